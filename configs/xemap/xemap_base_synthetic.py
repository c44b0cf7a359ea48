# Longer than the quickstart, on scenes whose queries need their words: 160 px, three fusion layers, two epochs; about
# half an hour of one CPU core, minutes on a GPU.
#   python tools/data/make_synthetic.py --out data/synthetic_base --train 1600 --val 40 --test 200 --seed 7 \
#       --needed-words 0.5
_base_ = 'xemap_small_synthetic.py'
data_root = 'data/synthetic_base/'
image_size = (160, 160)

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
model = dict(encoder=dict(num_layers=3))
train_dataloader = dict(dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(data_root=data_root, pipeline=test_pipeline))
train_cfg = dict(max_epochs=2, val_interval=2)

# Often enough that a run of hours, or of a GPU's minutes, loses little when it is stopped.
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=100))
