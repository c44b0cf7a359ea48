# The paper's recipe on RRSIS-D with Swin-B.
_base_ = [
    '../_base_/models/crobim_swin-b.py',
    '../_base_/datasets/referring_480.py',
    '../_base_/tasks/mask_published.py',
    '../_base_/schedules/adamw_poly_40e.py',
    '../_base_/default_runtime.py',
]
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={
            'relative_position_bias_table': dict(decay_mult=0.0),
            'prompts.prompts': dict(decay_mult=0.0),
            'decoder.level_embed': dict(decay_mult=0.0),
        }
    )
)
