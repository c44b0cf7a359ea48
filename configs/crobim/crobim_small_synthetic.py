# A small CroBIM from scratch on synthetic scenes, minutes on two CPU cores.
_base_ = [
    '../_base_/models/crobim_small.py',
    '../_base_/datasets/synthetic_128.py',
    '../_base_/schedules/adamw_small.py',
    '../_base_/default_runtime.py',
]
image_size = (128, 128)
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='ResizeImage', size=image_size),
    dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical']),
    dict(type='PhotometricAugment'),
    dict(type='GenerateMasks'),
    dict(type='PackXeMapInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_evaluator = dict(_delete_=True, type='MaskMetric', with_bounds=False)
test_evaluator = dict(_delete_=True, type='MaskMetric')
default_hooks = dict(checkpoint=dict(save_best='oiou', rule='greater'))
