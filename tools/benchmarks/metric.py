"""The SeLo metrics on one large map."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from benchmarks.timing import measure
from xemap.evaluation import selo_metrics

_REGIONS = ((0.2, 0.25, 0.06), (0.7, 0.3, 0.09), (0.45, 0.75, 0.12))
"""Center x, y and radius of the referents, as fractions of the side."""
_ELSEWHERE = ((0.85, 0.8, 0.07), (0.1, 0.85, 0.04))
"""Attention that belongs to no referent."""


def make_map(side: int, seed: int = 0) -> tuple[np.ndarray, list[np.ndarray]]:
    """A map with attention on three regions and in two other places over a smooth, uneven background.

    Args:
        side: height and width in pixels.
        seed: seed of the background.

    Returns:
        (side, side) float32 in [0, 1], and three polygons (24, 2) float64 of x, y pixels.
    """
    coarse = np.random.default_rng(seed).random((32, 32), dtype=np.float32)
    made = 0.2 * cv2.resize(coarse, (side, side), interpolation=cv2.INTER_LINEAR)
    place = (np.arange(side, dtype=np.float32) + 0.5) / side
    for x, y, radius in _REGIONS + _ELSEWHERE:
        across, down = (np.exp(-(((place - at) / radius) ** 2)) for at in (x, y))
        made = np.maximum(made, 0.9 * down[:, None] * across)
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], 1)
    return made, [side * (np.array([x, y]) + radius * circle) for x, y, radius in _REGIONS]


def benchmark_metric(side: int, repeats: int, seed: int = 0) -> dict[str, Any]:
    """Time the metrics of one query, protocol ``reference``, on the same map in both its types."""
    as_float, polygons = make_map(side, seed)
    as_uint8 = np.rint(as_float * 255).astype(np.uint8)
    calls = {
        'uint8': lambda: selo_metrics(as_uint8, polygons),
        'float32': lambda: selo_metrics(as_float, polygons),
    }
    return {'map_size': side, **measure(calls, repeats, title=f'metrics of a {side} x {side} map')}
