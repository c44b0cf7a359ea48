# A LAVT that trains from scratch on two CPU cores in minutes: ResNet-18 and the packaged MiniLM.
model = dict(
    type='LAVT',
    data_preprocessor=dict(
        type='ImgDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=False
    ),
    backbone=dict(type='ResNet', depth=18, norm_eval=False, style='pytorch'),
    language_model=dict(name='minilm', max_tokens=32),
    in_channels=(64, 128, 256, 512),
    head=dict(width=64),
    frozen='language_model',
)
