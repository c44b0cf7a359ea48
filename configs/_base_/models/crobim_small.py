# A CroBIM that trains from scratch on two CPU cores in minutes: ResNet-18, the packaged MiniLM, 64-wide tokens, two
# decoder layers.
model = dict(
    type='CroBIM',
    data_preprocessor=dict(
        type='ImgDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=False
    ),
    backbone=dict(type='ResNet', depth=18, norm_eval=False, style='pytorch'),
    language_model=dict(name='minilm', max_tokens=32),
    in_channels=(64, 128, 256, 512),
    compensation=dict(width=16, num_heads=4),
    decoder=dict(num_layers=2, embed_dims=64, num_heads=4, num_points=2, ffn_dims=256),
    frozen='language_model',
)
