#!/usr/bin/env bash
# The table "Seven systems on the same queries" of docs/results.md: draws the synthetic data, trains every system in
# small form for the same processor time of one CPU thread, and scores all on the same unseen scenes.
#
#   bash tools/analysis/seven_systems.sh [CPU_MINUTES]
#
# It draws 500 scenes into data/synthetic: move the quickstart's 1,500 away before, or they are replaced.
# CPU_MINUTES (default: 3) are those of each training; there are six. Results lie in work_dirs/seven_systems: compare.md,
# compare.json, index.html, and a folder for each training.
# An interrupted run goes on where it stopped; remove the folder to start anew.
set -euo pipefail
if [ "${1:-}" = "-h" ] || [ "${1:-}" = "--help" ]; then sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0; fi
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

out=work_dirs/seven_systems
export OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1
run() { bash tools/with_env.sh python "$@"; }
trained() { printf '%s=%s:%s' "$1" "${2:-$(echo "$out/$1"/*.py)}" "$(cat "$out/${3:-$1}/last_checkpoint")"; }  # NAME [CONFIG FOLDER]

run tools/data/make_synthetic.py --out data/synthetic --train 500 --val 20 --test 48 > /dev/null
run tools/data/make_synthetic.py --out data/synthetic_captions --captions 5 --train 240 --val 15 --test 50 > /dev/null
run tools/analysis/equal_time.py --cpu-minutes "${1:-3}" --out "$out" \
    XeMap-Network=configs/xemap/xemap_small_synthetic.py CroBIM=configs/crobim/crobim_small_synthetic.py \
    LAVT=configs/lavt/lavt_small_synthetic.py MLCM=configs/mlcm/mlcm_small_synthetic.py \
    TransVG=configs/mlcm/transvg_small_synthetic.py AMFMN=configs/retrieval/amfmn_small_synthetic.py
run tools/compare.py --metrics selo mask box --train-ann-file data/synthetic/train.arrow --out "$out" \
    "$(trained XeMap-Network)" "$(trained 'SeLo v1' configs/selo/selo_v1_s5_amfmn_small.py AMFMN)" \
    "$(trained 'SeLo v2' configs/selo/selo_v2_amfmn_small.py AMFMN)" \
    "$(trained CroBIM)" "$(trained LAVT)" "$(trained MLCM)" "$(trained TransVG)"
