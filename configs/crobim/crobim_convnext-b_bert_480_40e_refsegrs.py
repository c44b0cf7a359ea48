# The paper's recipe on RefSegRS with ConvNeXt-B.
_base_ = [
    '../_base_/models/crobim_convnext-b.py',
    '../_base_/datasets/referring_480.py',
    '../_base_/tasks/mask_published.py',
    '../_base_/schedules/adamw_poly_40e.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(dataset=dict(ann_file='refsegrs/train.arrow'))
val_dataloader = dict(dataset=dict(ann_file='refsegrs/val.arrow'))
test_dataloader = dict(dataset=dict(ann_file='refsegrs/test.arrow'))
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={
            'prompts.prompts': dict(decay_mult=0.0),
            'decoder.level_embed': dict(decay_mult=0.0),
        }
    )
)
