# A referring-segmentation set at 480 x 480: RRSIS-D, RefSegRS or RISBench, as tools/convert_dataset.py writes them.
# Samples in training are single (image, query) pairs, four on each of eight GPUs.
data_root = 'data/rrsis-d/'
image_size = (480, 480)

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='ResizeImage', size=image_size),
    dict(type='GenerateMasks'),
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
        type='XeMapDataset', data_root=data_root, ann_file='train.arrow', pipeline=train_pipeline, flat=True
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='XeMapDataset', data_root=data_root, ann_file='val.arrow', pipeline=test_pipeline, test_mode=True
    ),
)
test_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='XeMapDataset', data_root=data_root, ann_file='test.arrow', pipeline=test_pipeline, test_mode=True
    ),
)
val_evaluator = dict(type='MaskMetric', with_bounds=False)
test_evaluator = dict(type='MaskMetric')
