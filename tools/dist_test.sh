#!/usr/bin/env bash
# Scores on the GPUs (or, without any, CPU processes) of one machine, or of several.
#
#   bash tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [options of tools/test.py]
#
# Several machines: NNODES, NODE_RANK, MASTER_ADDR and PORT (default: 29500) as for torchrun.
set -euo pipefail
if [ $# -lt 3 ]; then sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; fi

config=$1 checkpoint=$2 processes=$3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ "${NNODES:-1}" = 1 ]; then
    rendezvous=(--standalone)  # takes a free port
else
    rendezvous=(--nnodes "$NNODES" --node_rank "${NODE_RANK:-0}"
        --master_addr "${MASTER_ADDR:-127.0.0.1}" --master_port "${PORT:-29500}")
fi
exec bash "$here/with_env.sh" torchrun "${rendezvous[@]}" --nproc_per_node "$processes" \
    "$here/test.py" "$config" "$checkpoint" --launcher pytorch "${@:4}"
