# A XeMap-Network that trains from scratch on two CPU cores in minutes: ResNet-18 of half the width, the packaged
# MiniLM, 128-wide tokens, two fusion layers, levels with strides 8, 16 and 32. Only the text encoder is pretrained and
# frozen, so the layer scale of the fusion starts at 1. What else differs from the paper's recipe is there because
# from scratch the words are learned faster with it; docs/learning.md has the measurements. Group
# normalization makes two processes with one image each equal to one process with both.
_width = 128
model = dict(
    type='XeMapNetwork',
    data_preprocessor=dict(
        type='ImgDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=False
    ),
    backbone=dict(
        type='ResNet',
        depth=18,
        stem_channels=32,
        base_channels=32,
        out_indices=(1, 2, 3),
        norm_cfg=dict(type='GN', num_groups=8),
        style='pytorch',
    ),
    neck=dict(
        type='ChannelMapper',
        in_channels=[64, 128, 256],
        kernel_size=1,
        out_channels=_width,
        act_cfg=None,
        bias=True,
        norm_cfg=dict(type='GN', num_groups=32),
        num_outs=3,
    ),
    language_model=dict(type='HuggingFaceTextEncoder', name='minilm', max_tokens=64),
    encoder=dict(
        type='FusionEncoder',
        num_layers=2,
        layer_cfg=dict(
            self_attn_cfg=dict(embed_dims=_width, num_heads=4, num_levels=3, num_points=2, dropout=0.0),
            ffn_cfg=dict(embed_dims=_width, feedforward_channels=4 * _width, ffn_drop=0.0),
        ),
        text_layer_cfg=dict(
            self_attn_cfg=dict(num_heads=4, embed_dims=_width, dropout=0.0),
            ffn_cfg=dict(embed_dims=_width, feedforward_channels=4 * _width, ffn_drop=0.0),
        ),
        fusion_layer_cfg=dict(
            v_dim=_width,
            l_dim=_width,
            embed_dim=2 * _width,
            num_heads=4,
            dropout=0.0,
            init_values=1.0,
            with_positions=True,
        ),
    ),
    head=dict(
        type='HMSAHead',
        pooling='mean',
        loss=dict(type='BalancedMapCELoss'),
        logit_scale=5.0,
        contrast_weight=1.0,
    ),
    positional_encoding=dict(num_feats=_width // 2, normalize=True, offset=0.0, temperature=20),
    num_levels=3,
    frozen=('language_model',),
)
