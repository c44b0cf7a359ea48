# Real imagery from the weights of xemap_base_synthetic.py, at more pixels and for longer than xemap_small_real.py; the
# relation blocks go on learning what phrases name. About 30 minutes of one CPU core.
_base_ = 'xemap_small_real.py'
image_size = (256, 256)
resize = dict(type='ResizeImage', size=image_size)
phrases = dict(type='GeneratePhrases', size=(64, 64))
train_pipeline = [_base_.train_pipeline[0], resize, *_base_.train_pipeline[2:-2], phrases, *_base_.train_pipeline[-2:]]
test_pipeline = [_base_.test_pipeline[0], resize, *_base_.test_pipeline[2:]]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

model = dict(
    backbone=dict(norm_cfg=dict(_delete_=True, type='BN'), norm_eval=False),  # as the weights have it
    encoder=dict(relation_cfg=dict()),
    phrase_weight=0.2,
)
train_cfg = dict(max_epochs=36)
load_from = 'work_dirs/base/iter_10000.pth'
