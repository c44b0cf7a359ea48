#!/usr/bin/env bash
# From nothing to a trained and scored model: makes the environment, draws the synthetic data set, trains
# the small XeMap-Network, and scores it beside its untrained self, a uniform map, the true mask and the MCMG
# target, and with texts cut down to their target phrase and category.
#
#   bash tools/quickstart.sh
#
# About 15 minutes on two CPU cores on a new machine; uses a GPU where there is one. Results lie
# in work_dirs/quickstart: results.md and results.json (the table), test.queries.csv (one row per query) and
# pictures/ (image | target | prediction). An interrupted run goes on where it stopped; remove the folder
# to start anew.
set -euo pipefail
if [ "${1:-}" = "-h" ] || [ "${1:-}" = "--help" ]; then sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0; fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=work_dirs/quickstart
config=configs/xemap/xemap_small_synthetic.py
export TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1

step() { printf '\n== %s (%d:%02d since the start)\n' "$1" $((SECONDS / 60)) $((SECONDS % 60)); }
run() { bash tools/with_env.sh python "$@"; }

step "1/5 environment"
run --version
step "2/5 data: synthetic scenes"
run tools/data/make_synthetic.py --out data/synthetic --train 1500 --val 20 --test 48 > /dev/null
step "3/5 training, with validation"
if [ "$(nproc)" -ge 2 ] && [ "$(run -c 'import torch; print(torch.cuda.device_count())')" = 0 ]; then
    # One image per process in place of two: the same steps in two thirds of the time.
    OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(($(nproc) / 2))} bash tools/dist_train.sh "$config" 2 --work-dir "$out" \
        --resume --cfg-options train_dataloader.batch_sampler.pairs_per_batch=8
else
    run tools/train.py "$config" --work-dir "$out" --resume
fi
step "4/5 scoring on unseen scenes, trained and untrained"
run tools/test.py "$config" "$(cat "$out/last_checkpoint")" --work-dir "$out" --out "$out/test" --show-dir "$out/pictures" \
    --text-control target-only category
run tools/test.py "$config" none --work-dir "$out" --out "$out/untrained"
step "5/5 results"
run tools/analysis/quickstart_table.py "$out/test.summary.json" "$out/untrained.summary.json" --out "$out/results.json"
printf '\nTable: %s, pictures: %s (%d:%02d in all)\n' "$out/results.md" "$out/pictures" $((SECONDS / 60)) $((SECONDS % 60))
