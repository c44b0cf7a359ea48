# XeMap-Set at 512 x 512, as tools/prepare_xemap_set.py --root data/raw --out data/xemap_set leaves it: image paths are
# relative to data/. 40 pairs per step and rank make the paper's 400 on ten GPUs; an epoch is every image once, with up
# to ten of its queries drawn anew (docs/xemap_set.md, "An epoch and a batch").
data_root = 'data/'
image_size = (512, 512)

train_pipeline = [
    dict(type='LoadImage', at_least=2 * max(image_size)),  # large JPEG and TIFF files at a fraction of their size
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
    batch_sampler=dict(type='PairBatchSampler', pairs_per_batch=40),
    dataset=dict(
        type='XeMapDataset',
        data_root=data_root,
        ann_file='xemap_set/train.arrow',
        pipeline=train_pipeline,
        max_queries=10,
    ),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='XeMapDataset',
        data_root=data_root,
        ann_file='xemap_set/val.arrow',
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = dict(
    batch_size=4,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='XeMapDataset',
        data_root=data_root,
        ann_file='xemap_set/airslt/test.arrow',  # AIR-SLT; the paper's own test partition is not published
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
