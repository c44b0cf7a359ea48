#!/usr/bin/env bash
# Checks the style, types and imports of the package and runs the whole test suite in the project's environment.
#
#   bash tools/run_tests.sh [PYTEST ARGUMENTS]      e.g. tests/datasets -k mcmg, or -m "not slow"
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ "${1:-}" = "-h" ] || [ "${1:-}" = "--help" ]; then sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 0; fi

# One thread per test process: two processes with two threads each are slower on two cores.
export OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
checks=$(mktemp)
trap 'rm -f "$checks"' EXIT
(
    bash tools/with_env.sh ruff check xemap tools tests configs setup.py
    bash tools/with_env.sh mypy
    bash tools/with_env.sh lint-imports --no-cache --no-logo
) > "$checks" 2>&1 &  # beside the tests, since each of them takes one core
status=0
bash tools/with_env.sh python -m pytest -n 2 --dist worksteal --durations=15 "$@" || status=$?
wait $! || status=1
cat "$checks"
exit $status
