# As the authors' code: BGR images with the mean and deviation of RGB, input coordinates from 0 to 639, truncated truth,
# padding of words seen by the fusion, and their test protocol. Their border color, too, is painted into the BGR image.
# Golden values and their checkpoints belong to it.
_base_ = ['./mlcm_r50_bert_640_dior-rsvg.py']
model = dict(legacy=True, data_preprocessor=dict(rgb_to_bgr=True))
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='Letterbox', size=(640, 640), color=(103.5, 116.3, 123.7)),
    dict(type='GenerateTargets'),
    dict(type='PackXeMapInputs'),
]
test_pipeline = [
    dict(type='LoadImage'),
    dict(type='Letterbox', size=(640, 640), color=(103.5, 116.3, 123.7)),
    dict(type='PackXeMapInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
val_evaluator = dict(protocol='legacy')
test_evaluator = dict(protocol='legacy')
