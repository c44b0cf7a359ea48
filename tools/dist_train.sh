#!/usr/bin/env bash
# Trains on the GPUs (or, without any, CPU processes) of one machine, or of several.
#
#   bash tools/dist_train.sh CONFIG PROCESSES [options of tools/train.py]
#
# Several machines: NNODES, NODE_RANK, MASTER_ADDR and PORT (default: 29500) as for torchrun.
set -euo pipefail
if [ $# -lt 2 ]; then sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec bash "$here/torchrun.sh" "$2" "$here/train.py" "$1" --launcher pytorch "${@:3}"
