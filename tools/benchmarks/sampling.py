"""The back ends of deformable sampling against each other."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.timing import measure
from xemap.models.fusion.encoder import reference_points
from xemap.models.fusion.sampling import BACKENDS, LevelShapes, has_compiled_ops, sample_levels
from xemap.models.fusion.sampling.triton_kernel import triton_available

STRIDES = (8, 16, 32, 64)
HEADS, WIDTH, POINTS = 8, 32, 4
"""Those of the paper's fusion layers."""
PAIRS = 4
REFERENCE = 'grid_sample'


def benchmark_sampling(size: tuple[int, int], repeats: int, device: str, seed: int = 0) -> dict[str, Any]:
    """Time every back end that runs on the device, in turn, on the same random values.

    Args:
        size: (height, width) of the image whose levels of strides 8 to 64 are sampled.
        repeats: timed rounds.
        device: ``'cpu'``: float32; ``'cuda'``: bfloat16, too.
        seed: seed of the values.

    Returns:
        ``pairs``, ``tokens`` and, in ``dtypes``, for each type and back end: times ``forward`` and ``with_backward``,
        ``gain`` of both over ``grid_sample``, and ``max_difference`` from its samples and from its gradients.
    """
    shapes = [(max(1, size[0] // stride), max(1, size[1] // stride)) for stride in STRIDES]
    dtypes = (torch.float32, torch.bfloat16) if device == 'cuda' else (torch.float32,)
    results: dict[str, Any] = {}
    for dtype in dtypes:
        inputs = _inputs(shapes, device, dtype, seed)
        names = available_backends(device)
        forward = measure(
            {name: partial(_forward, name, shapes, inputs) for name in names}, repeats, device, f'sampling, {dtype}'
        )
        backward = measure(
            {name: partial(_gradients, name, shapes, inputs) for name in names}, repeats, device, 'with backward'
        )
        reference = _gradients(REFERENCE, shapes, inputs)
        results[str(dtype).removeprefix('torch.')] = {
            name: {
                'forward': forward[name],
                'with_backward': backward[name],
                'gain': {
                    way: times[REFERENCE]['median_s'] / times[name]['median_s']
                    for way, times in (('forward', forward), ('with_backward', backward))
                },
                'max_difference': max(
                    float((a.float() - b.float()).abs().max())
                    for a, b in zip(_gradients(name, shapes, inputs), reference)
                ),
            }
            for name in names
        }
    return {'pairs': PAIRS, 'tokens': sum(h * w for h, w in shapes), 'dtypes': results}


def available_backends(device: str) -> list[str]:
    """Back ends that run on ``'cpu'`` or ``'cuda'`` here."""
    runs = {
        'embedding_bag': device == 'cpu',
        'triton': device == 'cuda' and triton_available(),
        'mmcv': device == 'cuda' and has_compiled_ops(),
        'grid_sample': True,
    }
    return [name for name in BACKENDS if runs[name]]


def _inputs(shapes: LevelShapes, device: str, dtype: torch.dtype, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Values, locations a few pixels around each token, and weights, as a layer has them after some training."""
    generator = torch.Generator().manual_seed(seed)
    tokens = sum(h * w for h, w in shapes)
    grid = (PAIRS, tokens, HEADS, len(shapes), POINTS)
    value = torch.randn(PAIRS, tokens, HEADS, WIDTH, generator=generator)
    extent = torch.tensor([(w, h) for h, w in shapes], dtype=torch.float32)
    offsets = 2 * torch.randn(*grid, 2, generator=generator) / extent[:, None]
    locations = reference_points(shapes, torch.device('cpu'))[:, None, None, None] + offsets
    weights = torch.randn(*grid[:3], len(shapes) * POINTS, generator=generator).softmax(-1).view(grid)
    inputs = value.to(device, dtype), locations.to(device), weights.to(device, dtype)
    for tensor in inputs:
        tensor.requires_grad_(True)
    return inputs


def _forward(name: str, shapes: LevelShapes, inputs: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    value, locations, weights = inputs
    with torch.no_grad():
        return sample_levels(value, shapes, locations, weights, name)


def _gradients(name: str, shapes: LevelShapes, inputs: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Samples, and gradients of their sum of squares."""
    value, locations, weights = inputs
    sampled = sample_levels(value, shapes, locations, weights, name)
    return (sampled.detach(), *torch.autograd.grad(sampled.float().square().sum(), inputs))
