# The CLIP under CLIP-SeLo and CLIP-SeLo v2 (XeMap paper, section V.B): the last layers of both towers of a
# ViT-L/14 fine-tuned on RSITMD, SGD 1e-4, 10 epochs, 500 pairs per step. Needs the extra "clip". A RemoteCLIP or
# GeoRSCLIP file: --cfg-options model.weights=/path/to/RemoteCLIP-ViT-L-14.pt
_base_ = [
    '../_base_/datasets/captions_256.py',
    '../_base_/tasks/retrieval.py',
    '../_base_/schedules/adam_50e.py',
    '../_base_/default_runtime.py',
]
image_size = (224, 224)
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
model = dict(type='OpenCLIPRetrieval', name='ViT-L-14', weights='openai', train_last=1)

train_dataloader = dict(batch_sampler=dict(pairs_per_batch=500), dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

train_cfg = dict(max_epochs=10)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='SGD', lr=1e-4), clip_grad=None)
param_scheduler = []
default_hooks = dict(draw=dict(num_queries=0))  # no maps to draw
