"""A XeMap-Network small enough to run hundreds of times."""

from __future__ import annotations

from mmengine.config import ConfigDict


def tiny_network(**overrides) -> ConfigDict:
    """Config of a XeMapNetwork with a narrow ResNet, 32-wide tokens, two levels and two fusion layers."""
    width = 32
    config = ConfigDict(
        type='XeMapNetwork',
        data_preprocessor=dict(type='ImgDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3, bgr_to_rgb=False),
        backbone=dict(type='ResNet', depth=18, base_channels=8, out_indices=(1, 2), norm_eval=False, style='pytorch'),
        neck=dict(
            type='ChannelMapper',
            in_channels=[16, 32],
            kernel_size=1,
            out_channels=width,
            norm_cfg=dict(type='GN', num_groups=4),
            act_cfg=None,
            num_outs=2,
        ),
        language_model=dict(type='HuggingFaceTextEncoder', name='minilm', max_tokens=32),
        encoder=dict(
            type='FusionEncoder',
            num_layers=2,
            layer_cfg=dict(
                self_attn_cfg=dict(embed_dims=width, num_heads=4, num_levels=2, num_points=2, dropout=0.0),
                ffn_cfg=dict(embed_dims=width, feedforward_channels=2 * width, ffn_drop=0.0),
            ),
            text_layer_cfg=dict(
                self_attn_cfg=dict(num_heads=4, embed_dims=width, dropout=0.0),
                ffn_cfg=dict(embed_dims=width, feedforward_channels=2 * width, ffn_drop=0.0),
            ),
            fusion_layer_cfg=dict(v_dim=width, l_dim=width, embed_dim=64, num_heads=4, dropout=0.0, init_values=1.0),
        ),
        head=dict(type='HMSAHead', loss=dict(type='MapL1Loss', reduction='mean')),
        positional_encoding=dict(num_feats=width // 2, normalize=True, temperature=20),
        num_levels=2,
    )
    config.merge_from_dict(overrides) if hasattr(config, 'merge_from_dict') else config.update(overrides)
    return config
