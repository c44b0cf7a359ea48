#!/usr/bin/env bash
# Runs the tests marked gpu, the benchmarks and trainings on this machine with the Python on the path
# (XEMAP_PYTHON names another), after bringing what it lacks. All options: bash tools/gpu_report.sh --help
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${XEMAP_PYTHON:-python3}

# Only what stands before the first package is imported: OUT_FOLDER and --wheels, as __main__.py reads them.
out=work_dirs/gpu_report wheels=${XEMAP_WHEELS:-} words=("$@")
[ $# -gt 0 ] && [ "${1#-}" = "$1" ] && out=$1
for ((i = 0; i < $#; i++)); do
    case ${words[i]} in
        --wheels) wheels=${words[i + 1]:-} ;;
        --wheels=*) wheels=${words[i]#--wheels=} ;;
    esac
done
site=$(realpath -m "$out")/site
export PYTHONPATH="$root:$root/tools:$site${PYTHONPATH:+:$PYTHONPATH}"
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false

if [ -n "$wheels" ]; then
    [ -d "$wheels" ] || { echo "error: --wheels $wheels: there is no such folder; fill one with --carry" >&2; exit 2; }
    "$python" "$root/tools/gpu_report/bring.py" "$wheels" "$site" || exit 2
fi
wheels=$( [ -z "$wheels" ] || realpath "$wheels" )
cd "$root"
exec "$python" -m gpu_report "$@"
