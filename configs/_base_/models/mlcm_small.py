# An MLCM that trains from scratch on two CPU cores in minutes: the first three stages of ResNet-18 (stride 16), levels
# of 8, 3 and 1 tokens per side at 128 pixels, the packaged MiniLM as it is, 128-wide tokens, two encoder and two fusion
# layers. Only the text encoder is pretrained. Boxes have a learned score.
model = dict(
    type='MLCM',
    data_preprocessor=dict(
        type='ImgDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=False
    ),
    backbone=dict(
        type='ResNet',
        depth=18,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(2,),
        norm_eval=False,
        style='pytorch',
    ),
    language_model=dict(type='WordSentenceEncoder', name='minilm', layers=4),
    head=dict(type='BoxHead', with_score=True),
    in_channels=256,
    width=128,
    num_heads=4,
    feedforward=512,
    dropout=0.0,
    num_encoder_layers=2,
    num_fusion_layers=2,
    num_added=2,
    grid=(8, 8),
    frozen=('language_model',),
)
