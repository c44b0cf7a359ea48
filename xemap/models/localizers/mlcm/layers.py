"""MMDetection's DETR layers as MLCM uses them: batch first, after-norm, positions on queries and keys only."""

from __future__ import annotations

from typing import Any

from mmcv.cnn.bricks.transformer import MultiheadAttention
from mmengine.config import ConfigDict
from torch import Tensor, nn


def detr_layer(width: int, num_heads: int, feedforward: int, dropout: float, crosses: bool = False) -> ConfigDict:
    """Config of one layer, with DETR's dropout at its four places.

    Args:
        width: width of the tokens.
        num_heads: number of heads of every attention.
        feedforward: width inside the feed-forward network.
        dropout: on attention weights, after attention, inside and after the feed-forward network.
        crosses: a decoder layer, which has a cross-attention too.
    """

    def attention() -> ConfigDict:
        # Never ``dropout=``: mmcv then writes the number into a default that all its attentions share.
        return ConfigDict(
            embed_dims=width,
            num_heads=num_heads,
            attn_drop=dropout,
            dropout_layer=dict(type='Dropout', drop_prob=dropout),
            batch_first=True,
        )

    ffn = ConfigDict(
        embed_dims=width,
        feedforward_channels=feedforward,
        num_fcs=2,
        ffn_drop=dropout,
        act_cfg=dict(type='ReLU', inplace=True),
    )
    layer = ConfigDict(self_attn_cfg=attention(), ffn_cfg=ffn)
    if crosses:
        layer.cross_attn_cfg = attention()
    return layer


class FusedAttention(nn.MultiheadAttention):
    """torch's attention, which runs its fused kernel because the weights are not returned."""

    def forward(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor | None]:
        return super().forward(*args, **{'need_weights': False, **kwargs})


def fuse_attention(module: nn.Module) -> None:
    """Let every attention of mmcv in ``module`` run torch's fused kernel; the parameters keep their names."""
    for attention in module.modules():
        if isinstance(attention, MultiheadAttention):
            attention.attn = FusedAttention(attention.embed_dims, attention.num_heads, attention.attn.dropout)


def split_heads(attention: nn.MultiheadAttention, tokens: Tensor, part: int) -> Tensor:
    """Queries (``part`` 0), keys (1) or values (2) of tokens (N, T, C), as (N, heads, T, C / heads)."""
    width = attention.embed_dim
    rows = slice(part * width, (part + 1) * width)
    projected = nn.functional.linear(tokens, attention.in_proj_weight[rows], attention.in_proj_bias[rows])
    return projected.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)
