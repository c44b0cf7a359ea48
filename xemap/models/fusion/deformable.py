"""Multi-scale deformable self-attention that runs with and without mmcv's compiled operator."""

from __future__ import annotations

import importlib

import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmcv.cnn.bricks.transformer import FFN
from mmcv.ops import MultiScaleDeformableAttention
from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction
from mmdet.models.layers.transformer.deformable_detr_layers import DeformableDetrTransformerEncoderLayer
from mmengine.model import ModuleList
from torch import Tensor

from xemap.compat.mmcv_ext import PlaceholderExtension

LevelShapes = list[tuple[int, int]]


def has_compiled_ops() -> bool:
    """Whether mmcv's compiled operators are there."""
    return not isinstance(importlib.import_module('mmcv._ext'), PlaceholderExtension)


def sample_levels(value: Tensor, shapes: LevelShapes, locations: Tensor, weights: Tensor) -> Tensor:
    """Weighted bilinear samples of several feature levels, in plain torch.

    Args:
        value: (N, P, heads, d) with P the sum of the levels' areas.
        shapes: (h, w) of every level.
        locations: (N, Q, heads, levels, points, 2) x, y in [0, 1] of each level; outside counts as zero.
        weights: (N, Q, heads, levels, points).

    Returns:
        (N, Q, heads * d).
    """
    n, _, heads, dim = value.shape
    queries, points = locations.shape[1], locations.shape[4]
    grids = (2 * locations - 1).permute(3, 0, 2, 1, 4, 5).flatten(1, 2)  # (levels, N * heads, Q, points, 2)
    weights = weights.permute(3, 0, 2, 1, 4).reshape(len(shapes), n * heads, 1, queries, points)
    out = value.new_zeros(n * heads, dim, queries)
    for level, (height, width), grid, weight in zip(value.split([h * w for h, w in shapes], 1), shapes, grids, weights):
        features = level.permute(0, 2, 3, 1).reshape(n * heads, dim, height, width)
        # Positions need more than half precision, also where autocast made the values bfloat16.
        wide = torch.promote_types(features.dtype, grid.dtype)
        samples = F.grid_sample(features.to(wide), grid.to(wide), padding_mode='zeros', align_corners=False)
        out = out + (samples.to(features.dtype) * weight).sum(-1)  # (N * heads, d, Q)
    return out.view(n, heads * dim, queries).transpose(1, 2)


class DeformableAttention(MultiScaleDeformableAttention):
    """mmcv's module with its parameters; chooses mmcv's CUDA operator only where it was compiled."""

    def forward(self, query: Tensor, query_pos: Tensor, reference_points: Tensor, shapes: LevelShapes) -> Tensor:
        """Self-attention over the tokens of all levels.

        Args:
            query: (N, P, C).
            query_pos: (1 or N, P, C) added for offsets and weights, not for values.
            reference_points: (P, 2) x, y in [0, 1].
            shapes: (h, w) of every level.

        Returns:
            (N, P, C), the input included as residual.
        """
        n, p, _ = query.shape
        value = self.value_proj(query).view(n, p, self.num_heads, -1)
        asked = query + query_pos
        grid = (n, p, self.num_heads, self.num_levels, self.num_points)
        offsets = self.sampling_offsets(asked).view(*grid, 2)
        weights = self.attention_weights(asked).view(n, p, self.num_heads, -1).softmax(-1).view(grid)
        extent = torch.tensor([(w, h) for h, w in shapes], dtype=torch.float32, device=offsets.device)
        # Sub-pixel positions need more than half precision.
        locations = reference_points[:, None, None, None] + offsets.float() / extent[:, None]
        if value.is_cuda and has_compiled_ops():
            areas = torch.tensor([h * w for h, w in shapes], device=value.device)
            # The operator wants a step that divides the batch.
            step = next(s for s in range(min(n, self.im2col_step), 0, -1) if n % s == 0)
            starts = torch.cat([areas.new_zeros(1), areas.cumsum(0)[:-1]])
            sampled = MultiScaleDeformableAttnFunction.apply(
                value.float(), extent.flip(1).long(), starts, locations, weights.float(), step
            ).to(value.dtype)
        else:
            sampled = sample_levels(value, shapes, locations, weights)
        return self.dropout(self.output_proj(sampled)) + query


class DeformableEncoderLayer(DeformableDetrTransformerEncoderLayer):
    """Deformable self-attention and FFN, post-norm, with MMDetection's parameter names."""

    def _init_layers(self) -> None:
        self.self_attn = DeformableAttention(**self.self_attn_cfg)
        self.embed_dims = self.self_attn.embed_dims
        self.ffn = FFN(**self.ffn_cfg)
        self.norms = ModuleList([build_norm_layer(self.norm_cfg, self.embed_dims)[1] for _ in range(2)])

    def forward(self, query: Tensor, query_pos: Tensor, reference_points: Tensor, shapes: LevelShapes) -> Tensor:
        """Arguments and shapes as :meth:`DeformableAttention.forward`."""
        query = self.norms[0](self.self_attn(query, query_pos, reference_points, shapes))
        return self.norms[1](self.ffn(query))
