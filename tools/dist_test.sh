#!/usr/bin/env bash
# Scores on the GPUs (or, without any, CPU processes) of one machine, or of several.
#
#   bash tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [options of tools/test.py]
#
# Several machines: NNODES, NODE_RANK, MASTER_ADDR and PORT (default: 29500) as for torchrun.
set -euo pipefail
if [ $# -lt 3 ]; then sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec bash "$here/torchrun.sh" "$3" "$here/test.py" "$1" "$2" --launcher pytorch "${@:4}"
