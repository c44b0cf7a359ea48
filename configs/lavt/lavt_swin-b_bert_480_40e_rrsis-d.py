# LAVT on RRSIS-D, with the recipe of its family. Its head has batch norms, and a rank has four pairs: their statistics
# are over all ranks, on GPUs.
_base_ = [
    '../_base_/models/lavt_swin-b.py',
    '../_base_/datasets/referring_480.py',
    '../_base_/tasks/mask_published.py',
    '../_base_/schedules/adamw_poly_40e.py',
    '../_base_/default_runtime.py',
]
sync_bn = 'torch'
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'relative_position_bias_table': dict(decay_mult=0.0)}))
