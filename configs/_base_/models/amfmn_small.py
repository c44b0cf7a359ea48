# A narrow AMFMN that trains from random weights in minutes on two CPU cores.
retrieval = dict(
    type='AMFMN',
    backbone=dict(
        type='ResNet',
        depth=18,
        base_channels=32,
        stem_channels=32,
        out_indices=(0, 1, 2, 3),
        norm_eval=False,
        style='pytorch',
    ),
    embed_dim=256,
    word_dim=128,
    gru_width=256,
    image_size=128,
    loss=dict(type='ContrastiveLoss', temperature=0.07),
)
