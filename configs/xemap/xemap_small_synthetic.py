# The quickstart: a small network from scratch on synthetic scenes, minutes on two CPU cores.
_base_ = [
    '../_base_/models/xemap_network_small.py',
    '../_base_/datasets/synthetic_128.py',
    '../_base_/tasks/map.py',
    '../_base_/schedules/adamw_small_cosine.py',
    '../_base_/default_runtime.py',
]
# Words first, at a quarter of the pixels; outlines in the last epoch.
resize = dict(type='ResizeImage', size=_base_.image_size, first_size=(64, 64), first_epochs=2)
train_pipeline = [_base_.train_pipeline[0], resize, *_base_.train_pipeline[2:]]
# Two images with eight queries each: queries of one image are told apart.
train_dataloader = dict(dataset=dict(max_queries=8, pipeline=train_pipeline))
train_cfg = dict(max_epochs=3, val_interval=3)
