# A referring-segmentation set at 480 x 480, RRSIS-D here, as tools/data/convert_dataset.py rrsis-d --data-root data
# --out data/rrsis_d leaves it; RefSegRS and RISBench likewise, with other annotation files. Samples in training are
# single (image, query) pairs, four on each of eight GPUs.
data_root = 'data/'
image_size = (480, 480)

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='ResizeImage', size=image_size),
    dict(type='GenerateTargets'),
    dict(type='PackXeMapInputs'),
]
test_pipeline = [
    dict(type='LoadImage'),
    dict(type='ResizeImage', size=image_size),
    dict(type='PackXeMapInputs'),
]

train_dataloader = dict(
    num_workers=4,
    persistent_workers=True,
    batch_size=1,  # MMEngine wants it; the batch sampler decides
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='PairBatchSampler', pairs_per_batch=4),
    dataset=dict(
        type='XeMapDataset', data_root=data_root, ann_file='rrsis_d/train.arrow', pipeline=train_pipeline, flat=True
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='XeMapDataset', data_root=data_root, ann_file='rrsis_d/val.arrow', pipeline=test_pipeline, test_mode=True
    ),
)
test_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='XeMapDataset', data_root=data_root, ann_file='rrsis_d/test.arrow', pipeline=test_pipeline, test_mode=True
    ),
)
