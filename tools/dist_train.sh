#!/usr/bin/env bash
# Trains on the GPUs (or, without any, CPU processes) of one machine, or of several.
#
#   bash tools/dist_train.sh CONFIG PROCESSES [options of tools/train.py]
#
# Several machines: NNODES, NODE_RANK, MASTER_ADDR and PORT (default: 29500) as for torchrun.
set -euo pipefail
if [ $# -lt 2 ]; then sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; fi

config=$1 processes=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ "${NNODES:-1}" = 1 ]; then
    rendezvous=(--standalone)  # takes a free port
else
    rendezvous=(--nnodes "$NNODES" --node_rank "${NODE_RANK:-0}"
        --master_addr "${MASTER_ADDR:-127.0.0.1}" --master_port "${PORT:-29500}")
fi
exec bash "$here/with_env.sh" torchrun "${rendezvous[@]}" --nproc_per_node "$processes" \
    "$here/train.py" "$config" --launcher pytorch "${@:3}"
