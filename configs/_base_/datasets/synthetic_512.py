# Synthetic scenes of 512 px (tools/data/make_synthetic.py --sizes 512), for training on a GPU.
data_root = 'data/synthetic_512/'
image_size = (512, 512)

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='ResizeImage', size=image_size),
    dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical']),
    dict(type='PhotometricAugment'),
    dict(type='GenerateTargets'),
    dict(type='PackXeMapInputs'),
]
test_pipeline = [
    dict(type='LoadImage'),
    dict(type='ResizeImage', size=image_size),
    dict(type='PackXeMapInputs'),
]

train_dataloader = dict(
    batch_size=1,  # MMEngine wants it; the batch sampler decides
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='PairBatchSampler', pairs_per_batch=64),
    dataset=dict(
        type='XeMapDataset',
        data_root=data_root,
        ann_file='train.arrow',
        pipeline=train_pipeline,
        max_queries=8,
    ),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='XeMapDataset', data_root=data_root, ann_file='val.arrow', pipeline=test_pipeline, test_mode=True
    ),
)
test_dataloader = dict(
    batch_size=4,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='XeMapDataset', data_root=data_root, ann_file='test.arrow', pipeline=test_pipeline, test_mode=True
    ),
)
