# A small MLCM from scratch on synthetic scenes, minutes on two CPU cores.
_base_ = [
    '../_base_/models/mlcm_small.py',
    '../_base_/datasets/synthetic_128.py',
    '../_base_/tasks/box.py',
    '../_base_/schedules/adamw_small.py',
    '../_base_/default_runtime.py',
]
train_cfg = dict(max_epochs=12, val_interval=4)
