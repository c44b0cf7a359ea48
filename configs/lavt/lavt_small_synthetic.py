# A small LAVT from scratch on synthetic scenes, minutes on two CPU cores.
_base_ = [
    '../_base_/models/lavt_small.py',
    '../_base_/datasets/synthetic_128.py',
    '../_base_/tasks/mask.py',
    '../_base_/schedules/adamw_small.py',
    '../_base_/default_runtime.py',
]
