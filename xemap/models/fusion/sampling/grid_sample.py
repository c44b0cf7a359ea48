"""Deformable sampling in plain torch operators."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LevelShapes = list[tuple[int, int]]


def sample_grid(value: Tensor, shapes: LevelShapes, locations: Tensor, weights: Tensor) -> Tensor:
    """As :func:`xemap.models.fusion.sampling.sample_levels`; runs wherever torch runs."""
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
    return out.view(n, heads * dim, queries).transpose(1, 2).to(value.dtype)
