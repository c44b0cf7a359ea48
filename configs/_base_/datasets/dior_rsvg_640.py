# DIOR-RSVG at 640 x 640, the released 70/10/20 split: 26,991 / 3,829 / 7,500 queries, as
# tools/data/convert_dataset.py dior-rsvg --data-root data --out data/dior_rsvg leaves it. Samples in training are
# single (image, query) pairs, eight per step, as the authors draw them; in evaluation images with all their queries.
data_root = 'data/'
image_size = (640, 640)

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='Letterbox', size=image_size),
    dict(type='GenerateTargets'),
    dict(type='PackXeMapInputs'),
]
test_pipeline = [
    dict(type='LoadImage'),
    dict(type='Letterbox', size=image_size),
    dict(type='PackXeMapInputs'),
]

train_dataloader = dict(
    num_workers=4,
    persistent_workers=True,
    batch_size=1,  # MMEngine wants it; the batch sampler decides
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='PairBatchSampler', pairs_per_batch=8),
    dataset=dict(
        type='XeMapDataset',
        data_root=data_root,
        ann_file='dior_rsvg/train.arrow',
        pipeline=train_pipeline,
        flat=True,
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='XeMapDataset',
        data_root=data_root,
        ann_file='dior_rsvg/val.arrow',
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='XeMapDataset',
        data_root=data_root,
        ann_file='dior_rsvg/test.arrow',
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
