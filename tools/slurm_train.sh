#!/usr/bin/env bash
# Trains as a Slurm job.
#
#   GPUS=8 GPUS_PER_NODE=8 CPUS_PER_TASK=5 bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [options]
#
# SRUN_ARGS holds further options of srun.
set -euo pipefail
if [ $# -lt 4 ]; then sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; fi

partition=$1 job=$2 config=$3 work_dir=$4
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
gpus=${GPUS:-8} per_node=${GPUS_PER_NODE:-8}
# shellcheck disable=SC2086  (SRUN_ARGS is a list of words)
exec srun -p "$partition" --job-name="$job" --gres="gpu:$per_node" --ntasks="$gpus" --ntasks-per-node="$per_node" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
    bash "$here/with_env.sh" python -u "$here/train.py" "$config" --work-dir "$work_dir" --launcher slurm "${@:5}"
