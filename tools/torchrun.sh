#!/usr/bin/env bash
# Starts a tool in several processes of one machine, or of several; dist_train.sh and dist_test.sh call it.
#
#   bash tools/torchrun.sh PROCESSES TOOL.py [its arguments]
set -euo pipefail
if [ $# -lt 2 ]; then sed -n '2,4s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; fi

if [ "${NNODES:-1}" = 1 ]; then
    rendezvous=(--standalone)  # takes a free port
else
    rendezvous=(--nnodes "$NNODES" --node_rank "${NODE_RANK:-0}"
        --master_addr "${MASTER_ADDR:-127.0.0.1}" --master_port "${PORT:-29500}")
fi
exec bash "$(dirname "${BASH_SOURCE[0]}")/with_env.sh" torchrun "${rendezvous[@]}" --nproc_per_node "$1" "${@:2}"
