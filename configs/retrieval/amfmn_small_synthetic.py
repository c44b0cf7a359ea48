# A narrow AMFMN from random weights on captioned tiles of synthetic scenes, minutes on two CPU cores. Stop words
# stay: NLTK's list holds "between", "above" and "below". From scratch the hardest negatives would collapse it.
_base_ = [
    '../_base_/models/amfmn_small.py',
    '../_base_/datasets/captions_256.py',
    '../_base_/tasks/retrieval.py',
    '../_base_/schedules/adam_50e.py',
    '../_base_/default_runtime.py',
]
data_root = 'data/synthetic_captions/'
ann_file = 'dataset_synthetic.json'
image_size = (128, 128)  # as the tiles are stored
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical']),
    dict(type='PhotometricAugment'),
    dict(type='PackXeMapInputs'),
]
test_pipeline = [
    dict(type='LoadImage'),
    dict(type='PackXeMapInputs'),
]
model = dict(**_base_.retrieval, vocabulary=dict(ann_file=data_root + ann_file, min_count=5))
train_dataloader = dict(
    num_workers=1,
    batch_sampler=dict(pairs_per_batch=192),  # 48 images
    dataset=dict(data_root=data_root, ann_file=ann_file, captions_per_sample=4, pipeline=train_pipeline),
)
val_dataloader = dict(
    num_workers=1,
    dataset=dict(data_root=data_root, ann_file=ann_file, split='val', pipeline=test_pipeline),
)
test_dataloader = dict(
    num_workers=1,
    dataset=dict(data_root=data_root, ann_file=ann_file, pipeline=test_pipeline),
)
train_cfg = dict(max_epochs=12, val_interval=3)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=0.01))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=50),
    dict(type='PolyLR', power=1.0, by_epoch=True, begin=0, convert_to_iter_based=True),
]
default_hooks = dict(draw=dict(num_queries=0))  # no maps to draw
