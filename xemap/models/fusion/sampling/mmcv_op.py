"""Deformable sampling by mmcv's compiled operator."""

from __future__ import annotations

import importlib
from itertools import accumulate

import torch
from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction
from torch import Tensor

from xemap.compat.mmcv_ext import PlaceholderExtension
from xemap.models.fusion.sampling.grid_sample import LevelShapes

MAX_STEP = 64
"""Most images that the operator takes at a time (mmcv's default)."""


def has_compiled_ops() -> bool:
    """Whether mmcv's compiled operators are there."""
    return not isinstance(importlib.import_module('mmcv._ext'), PlaceholderExtension)


def sample_mmcv(value: Tensor, shapes: LevelShapes, locations: Tensor, weights: Tensor) -> Tensor:
    """As :func:`xemap.models.fusion.sampling.sample_levels`, on CUDA, computed in float32."""
    n, device = len(value), value.device
    areas = [h * w for h, w in shapes]
    # the operator requires a step that divides the batch.
    step = next(s for s in range(min(n, MAX_STEP), 0, -1) if n % s == 0)
    sizes = torch.tensor(shapes, device=device)
    starts = torch.tensor([0, *accumulate(areas[:-1])], device=device)
    sampled = MultiScaleDeformableAttnFunction.apply(
        value.float(), sizes, starts, locations.float(), weights.float(), step
    )
    return sampled.to(value.dtype)
