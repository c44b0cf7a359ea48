# The paper's recipe: only fusion-side parameters train, plain L1, 400 pairs per step over ten GPUs.
_base_ = [
    '../_base_/models/xemap_network.py',
    '../_base_/datasets/xemap_set_512.py',
    '../_base_/tasks/map.py',
    '../_base_/schedules/adamw_25e.py',
    '../_base_/default_runtime.py',
]
