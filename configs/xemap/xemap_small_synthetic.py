# The quickstart: a small network from scratch on synthetic scenes, minutes on two CPU cores.
_base_ = [
    '../_base_/models/xemap_network_small.py',
    '../_base_/datasets/synthetic_128.py',
    '../_base_/tasks/map.py',
    '../_base_/schedules/adamw_small_cosine.py',
    '../_base_/default_runtime.py',
]
# Two images with eight queries each: queries of one image are told apart.
train_dataloader = dict(dataset=dict(max_queries=8))
