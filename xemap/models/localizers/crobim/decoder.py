"""Mutual-interaction decoder (MID, eqs. 14 to 16)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.cnn.bricks.transformer import FFN
from mmdet.models.layers import SinePositionalEncoding
from torch import Tensor, nn

from xemap.errors import ConfigError
from xemap.models.fusion.deformable import DeformableAttention, LevelShapes
from xemap.models.fusion.encoder import reference_points

MODES = ('cascaded', 'parallel', 'unidirectional')
ORDERS = ('interleaved', 'stacked')


class TextUpdate(nn.Module):
    """``FFN(SelfAttn(CrossAttn(L_v, V_ms)))`` (eq. 15), each step with residual and layer norm behind it."""

    def __init__(self, embed_dims: int, num_heads: int, ffn_dims: int) -> None:
        super().__init__()
        self.cross_attn = nn.MultiheadAttention(embed_dims, num_heads, batch_first=True)
        self.self_attn = nn.MultiheadAttention(embed_dims, num_heads, batch_first=True)
        self.ffn = FFN(embed_dims, ffn_dims, ffn_drop=0.0)
        self.norms = nn.ModuleList([nn.LayerNorm(embed_dims) for _ in range(3)])

    def forward(self, text: Tensor, padding: Tensor, vision: Tensor, vision_pos: Tensor) -> Tensor:
        """Text tokens (N, S, D), their padding (N, S), image tokens (N, P, D) and positions (1, P, D) -> (N, S, D)."""
        text = self.norms[0](text + self.cross_attn(text, vision + vision_pos, vision, need_weights=False)[0])
        attended = self.self_attn(text, text, text, key_padding_mask=padding, need_weights=False)[0]
        text = self.norms[1](text + attended)
        return self.norms[2](self.ffn(text))


class VisionUpdate(nn.Module):
    """``FFN(MSDeformAttn(CrossAttn(V_ms, L_v)))`` (eq. 16), each step with residual and layer norm behind it.

    Args:
        gated: multiply the image tokens by what they gather from the words, as the unidirectional attention of
            Table VII does, instead of adding it.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        ffn_dims: int,
        num_levels: int,
        num_points: int,
        sampling: str,
        gated: bool,
    ) -> None:
        super().__init__()
        self.gated = gated
        self.cross_attn = nn.MultiheadAttention(embed_dims, num_heads, batch_first=True)
        self.deform_attn = DeformableAttention(
            embed_dims, num_heads, num_levels, num_points, dropout=0.0, batch_first=True, sampling=sampling
        )
        self.ffn = FFN(embed_dims, ffn_dims, ffn_drop=0.0)
        self.norms = nn.ModuleList([nn.LayerNorm(embed_dims) for _ in range(3)])

    def forward(
        self,
        vision: Tensor,
        vision_pos: Tensor,
        shapes: LevelShapes,
        reference: Tensor,
        text: Tensor,
        padding: Tensor,
    ) -> Tensor:
        """Image tokens (N, P, D), positions (1, P, D), text (N, S, D) and padding (N, S) -> (N, P, D)."""
        gathered = self.cross_attn(vision + vision_pos, text, text, key_padding_mask=padding, need_weights=False)[0]
        vision = self.norms[0](vision + (gathered * vision if self.gated else gathered))
        vision = self.norms[1](self.deform_attn(vision, vision_pos, reference, shapes))
        return self.norms[2](self.ffn(vision))


class MutualInteractionDecoder(nn.Module):
    """Text and image tokens update each other, layer after layer.

    Args:
        num_layers: layers n.
        in_channels: channels of each stage, projected to ``embed_dims`` by a 1 x 1 convolution and group norm.
        text_width: width of the text tokens, projected by a linear layer and layer norm.
        embed_dims: width D.
        num_heads: heads of every attention.
        num_points: sampling points per head and level.
        ffn_dims: hidden width of the FFNs.
        order: ``'interleaved'``: text, vision, text, vision …; ``'stacked'``: all text layers against the image
            tokens as they came, then all vision layers.
        mode: ``'cascaded'``: the vision update reads the updated text. The other two are Table VII's:
            ``'parallel'``: both read what the other was before the layer; ``'unidirectional'``: the text stays.
        sampling: back end of the deformable attention, see :mod:`xemap.models.fusion.sampling`.

    Raises:
        ConfigError: an unknown choice, a number below 1, or a width that does not go with the heads or the positions.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        text_width: int,
        num_layers: int = 4,
        embed_dims: int = 256,
        num_heads: int = 8,
        num_points: int = 4,
        ffn_dims: int = 1024,
        order: str = 'interleaved',
        mode: str = 'cascaded',
        sampling: str = 'auto',
    ) -> None:
        super().__init__()
        if mode not in MODES:
            raise ConfigError(f'MutualInteractionDecoder: mode "{mode}" is unknown; use one of {", ".join(MODES)}')
        if order not in ORDERS:
            raise ConfigError(f'MutualInteractionDecoder: order "{order}" is unknown; use one of {", ".join(ORDERS)}')
        if order == 'stacked' and mode != 'cascaded':
            raise ConfigError(f'MutualInteractionDecoder: order "stacked" goes with mode "cascaded", not "{mode}"')
        sizes = dict(num_layers=num_layers, embed_dims=embed_dims, num_heads=num_heads)
        sizes.update(num_points=num_points, ffn_dims=ffn_dims)
        if min(sizes.values()) < 1 or embed_dims % 32 or embed_dims % num_heads:
            given = ', '.join(f'{name}={value}' for name, value in sizes.items())
            raise ConfigError(
                f'MutualInteractionDecoder: {given}; give at least 1 of each, and embed_dims a multiple of 32 and of '
                'the heads'
            )
        self.order, self.mode, self.embed_dims = order, mode, embed_dims
        self.vision_proj = nn.ModuleList(
            [nn.Sequential(nn.Conv2d(c, embed_dims, 1), nn.GroupNorm(32, embed_dims)) for c in in_channels]
        )
        self.text_proj = nn.Sequential(nn.Linear(text_width, embed_dims), nn.LayerNorm(embed_dims))
        self.positions = SinePositionalEncoding(embed_dims // 2, normalize=True)
        self.level_embed = nn.Parameter(torch.empty(len(in_channels), embed_dims))
        nn.init.normal_(self.level_embed)
        text_layers = 0 if mode == 'unidirectional' else num_layers
        self.text_layers = nn.ModuleList([TextUpdate(embed_dims, num_heads, ffn_dims) for _ in range(text_layers)])
        vision = (embed_dims, num_heads, ffn_dims, len(in_channels), num_points, sampling, mode == 'unidirectional')
        self.vision_layers = nn.ModuleList([VisionUpdate(*vision) for _ in range(num_layers)])

    def forward(self, levels: Sequence[Tensor], text: Tensor, padding: Tensor) -> tuple[Tensor, LevelShapes, Tensor]:
        """Let N pairs interact.

        Args:
            levels: (N, C_i, H_i, W_i) of every stage.
            text: (N, S, text_width) tokens, prompts included.
            padding: (N, S) bool, True = padding.

        Returns:
            sum of the image tokens before and after the layers (N, P, D), the levels one after another; the levels'
            (h, w); the text tokens (N, S, D).
        """
        projected = [project(level) for project, level in zip(self.vision_proj, levels)]
        shapes: LevelShapes = [(level.shape[-2], level.shape[-1]) for level in projected]
        start = torch.cat([level.flatten(2).transpose(1, 2) for level in projected], 1)  # V_ms of eq. 14
        position = torch.cat(
            [
                self.positions(None, level[:1]).flatten(2).transpose(1, 2) + embed
                for level, embed in zip(projected, self.level_embed)
            ],
            1,
        ).to(start.dtype)
        reference = reference_points(shapes, start.device)
        vision, text = start, self.text_proj(text)
        if self.order == 'stacked':
            for text_layer in self.text_layers:
                text = text_layer(text, padding, vision, position)
        for index, vision_layer in enumerate(self.vision_layers):
            before = text
            if self.order == 'interleaved' and self.mode != 'unidirectional':
                text = self.text_layers[index](text, padding, vision, position)
            read = before if self.mode == 'parallel' else text
            vision = vision_layer(vision, position, shapes, reference, read, padding)
        return start + vision, shapes, text
