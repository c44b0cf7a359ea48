# Real imagery on a CPU budget: Dubai land cover and Airbus aircraft (docs/results.md tells how to convert
# them), starting from the quickstart's weights.
_base_ = [
    '../_base_/models/xemap_network_small.py',
    '../_base_/datasets/synthetic_128.py',
    '../_base_/tasks/map.py',
    '../_base_/schedules/adamw_small_cosine.py',
    '../_base_/default_runtime.py',
]
data_root = 'data/'
ann_root = 'real/'  # below data_root
image_size = (192, 192)
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='ResizeImage', size=image_size),
    dict(type='RandomRotate90'),
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
    dataset=dict(data_root=data_root, ann_file=ann_root + 'train.arrow', pipeline=train_pipeline, max_queries=8)
)
val_dataloader = dict(dataset=dict(data_root=data_root, ann_file=ann_root + 'val.arrow', pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(data_root=data_root, ann_file=ann_root + 'test.arrow', pipeline=test_pipeline))

train_cfg = dict(max_epochs=24, val_interval=6)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=True, begin=0, end=2, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, begin=2, convert_to_iter_based=True),
]
# Few texts and many epochs: each text is encoded once.
model = dict(language_model=dict(cached_texts=5000))
load_from = 'work_dirs/quickstart/epoch_3.pth'
