#!/usr/bin/env bash
# The table "Seven systems on real images" of docs/results.md: trains each network of seven_systems.sh further on the
# real images, for the same processor time of one CPU thread, and scores all on images of other ground.
#
#   bash tools/analysis/real_systems.sh [CPU_MINUTES]
#
# Run seven_systems.sh before, and make data/real as docs/results.md says. CPU_MINUTES (default: 6) are those of each
# training; there are five. The retrieval model of SeLo stays as it is: the real images have no captions.
# Results lie in work_dirs/real_systems: compare.md, compare.json, index.html, and a folder for each training.
# An interrupted run goes on where it stopped; remove the folder to start anew.
set -euo pipefail
if [ "${1:-}" = "-h" ] || [ "${1:-}" = "--help" ]; then sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0; fi
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

from=work_dirs/seven_systems out=work_dirs/real_systems
export OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1
run() { bash tools/with_env.sh python "$@"; }
start() { printf '%s=configs/%s:%s' "$1" "$2" "$(cat "$from/$1/last_checkpoint")"; }  # NAME CONFIG
trained() { printf '%s=%s:%s' "$1" "$(echo "$out/$1"/*.py)" "$(cat "$out/$1/last_checkpoint")"; }  # NAME

run tools/analysis/equal_time.py --cpu-minutes "${1:-6}" --out "$out" \
    --cfg-options data_root=data/ "image_size=(192,192)" train_dataloader.dataset.ann_file=real/train.arrow \
        train_dataloader.dataset.max_queries=8 -- \
    "$(start XeMap-Network xemap/xemap_small_synthetic.py)" "$(start CroBIM crobim/crobim_small_synthetic.py)" \
    "$(start LAVT lavt/lavt_small_synthetic.py)" "$(start MLCM mlcm/mlcm_small_synthetic.py)" \
    "$(start TransVG mlcm/transvg_small_synthetic.py)"
asked=$(cat "$from/AMFMN/last_checkpoint")
run tools/compare.py --metrics selo mask box --ann-file data/real/test.arrow --data-root data \
    --train-ann-file data/real/train.arrow --out "$out" \
    "$(trained XeMap-Network)" "SeLo v1=configs/selo/selo_v1_s5_amfmn_small.py:$asked" \
    "SeLo v2=configs/selo/selo_v2_amfmn_small.py:$asked" \
    "$(trained CroBIM)" "$(trained LAVT)" "$(trained MLCM)" "$(trained TransVG)"
