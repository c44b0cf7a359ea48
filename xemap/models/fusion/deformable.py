"""Multi-scale deformable self-attention that runs with and without mmcv's compiled operators."""

from __future__ import annotations

from typing import Any

import torch
from mmcv.cnn import build_norm_layer
from mmcv.cnn.bricks.transformer import FFN
from mmcv.ops import MultiScaleDeformableAttention
from mmdet.models.layers.transformer.deformable_detr_layers import DeformableDetrTransformerEncoderLayer
from mmengine.model import ModuleList
from torch import Tensor

from xemap.models.fusion.sampling import LevelShapes, check_backend, sample_levels
from xemap.registry import build_part


class DeformableAttention(MultiScaleDeformableAttention):
    """mmcv's module with its parameters, sampled by one of several back ends.

    Args:
        sampling: a back end of :mod:`xemap.models.fusion.sampling`; ``'auto'`` takes the fastest that runs.
        others: as mmcv's.

    Raises:
        ConfigError: an unknown back end.
    """

    def __init__(self, *args: Any, sampling: str = 'auto', **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sampling = check_backend(sampling)

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
        with_pos = query + query_pos
        grid = (n, p, self.num_heads, self.num_levels, self.num_points)
        offsets = self.sampling_offsets(with_pos).view(*grid, 2)
        weights = self.attention_weights(with_pos).view(n, p, self.num_heads, -1).softmax(-1).view(grid)
        extent = torch.tensor([(w, h) for h, w in shapes], dtype=torch.float32, device=offsets.device)
        # Sub-pixel positions need more than half precision.
        locations = reference_points[:, None, None, None] + offsets.float() / extent[:, None]
        sampled = sample_levels(value, shapes, locations, weights, self.sampling)
        return self.dropout(self.output_proj(sampled)) + query


class DeformableEncoderLayer(DeformableDetrTransformerEncoderLayer):
    """Deformable self-attention and FFN, post-norm, with MMDetection's parameter names.

    Args:
        attention: False leaves the self-attention out (an ablation): a token then sees no other token of the image.
            Its parameters keep their names and take no gradient.
        others: as MMDetection's.
    """

    def __init__(self, *args: Any, attention: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.attention = attention
        if not attention:
            self.self_attn.requires_grad_(False)

    def _init_layers(self) -> None:
        self.self_attn = build_part(DeformableAttention, 'layer_cfg.self_attn_cfg', self.self_attn_cfg)
        self.embed_dims = self.self_attn.embed_dims
        self.ffn = build_part(FFN, 'layer_cfg.ffn_cfg', self.ffn_cfg)
        self.norms = ModuleList([build_norm_layer(self.norm_cfg, self.embed_dims)[1] for _ in range(2)])

    def forward(self, query: Tensor, query_pos: Tensor, reference_points: Tensor, shapes: LevelShapes) -> Tensor:
        """Arguments and shapes as :meth:`DeformableAttention.forward`."""
        if self.attention:
            query = self.self_attn(query, query_pos, reference_points, shapes)
        query = self.norms[0](query)
        return self.norms[1](self.ffn(query))
