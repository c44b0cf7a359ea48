# Ours: TransVG's augmentation except its crop: sizes of 640 down to 448 pixels anywhere in the frame, light and color,
# flips that rewrite direction words.
_base_ = ['./mlcm_r50_bert_640_dior-rsvg.py']
train_pipeline = [
    dict(type='LoadImage'),
    dict(
        type='Letterbox',
        size=(640, 640),
        shrink=[1 - 0.05 * step for step in range(7)],
        placement='random',
    ),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PhotometricAugment', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.0, noise=0.0),
    dict(type='GenerateTargets'),
    dict(type='PackXeMapInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
