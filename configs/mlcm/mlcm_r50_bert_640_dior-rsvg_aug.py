# Ours: TransVG's augmentation: a part of the image that holds whole referents and where no word changes its meaning,
# sizes of 640 down to 448 pixels anywhere in the frame, light and color, flips that rewrite direction words.
_base_ = ['./mlcm_r50_bert_640_dior-rsvg.py']
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='RandomScaleCrop', prob=0.5, scale=(0.64, 1.0), min_kept=0.99),  # 384 to 600 of 600 pixels
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
