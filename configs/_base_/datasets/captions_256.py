# Image-caption pairs as RSITMD publishes them; RSICD, UCM and Sydney have the same format: change data_root
# and ann_file. Samples in training are pairs, in evaluation images with all their captions.
data_root = 'data/rsitmd/'
ann_file = 'dataset_RSITMD.json'
image_size = (256, 256)

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='ResizeImage', size=image_size),
    dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical']),
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
    batch_sampler=dict(type='PairBatchSampler', pairs_per_batch=100),
    dataset=dict(
        type='CaptionDataset',
        data_root=data_root,
        ann_file=ann_file,
        img_dir='images',
        split='train',
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='CaptionDataset',
        data_root=data_root,
        ann_file=ann_file,
        img_dir='images',
        split='test',  # RSITMD has no other
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader
