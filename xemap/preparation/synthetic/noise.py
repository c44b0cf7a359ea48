"""Random fields that all surface textures are made of; whole arrays at a time."""

from __future__ import annotations

import cv2
import numpy as np


def fractal(
    rng: np.random.Generator,
    shape: tuple[int, int],
    cell: float,
    octaves: int = 4,
    gain: float = 0.6,
    stretch: float = 1.0,
) -> np.ndarray:
    """Smooth noise of several octaves.

    Args:
        rng: source of randomness.
        shape: (height, width).
        cell: size of the largest blotches, pixels.
        octaves: each halves the cell; octaves below 1.5 pixels are left out.
        gain: amplitude of an octave relative to the one before.
        stretch: blotches are this many times longer in x than in y.

    Returns:
        ``shape`` float32 of zero mean and unit standard deviation.
    """
    height, width = shape
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        size = cell / 2**octave
        if size < 1.5 and octave:
            break
        rows, columns = (max(2, round(length / size) + 1) for length in (height, width / stretch))
        grid = rng.standard_normal((rows, columns), np.float32)
        total += gain**octave * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return (total - total.mean()) / max(float(total.std()), 1e-6)


def ramp(field: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below ``low``, 1 above ``high``, smooth between; same shape as ``field``."""
    t = np.clip((field - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def crowns(rng: np.random.Generator, shape: tuple[int, int], spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """Tree crowns seen from above: every pixel belongs to the nearest of randomly jittered centers.

    Args:
        rng: source of randomness.
        shape: (height, width).
        spacing: mean distance of the centers, pixels (at least 2).

    Returns:
        Height of the canopy in [0, 1] (1 at a center) and a random number in [0, 1) a crown, both
        ``shape`` float32.
    """
    height, width = shape
    spacing = max(spacing, 2.0)
    y, x = np.mgrid[0 : height + spacing : spacing, 0 : width + spacing : spacing]
    jitter = rng.uniform(-0.42, 0.42, (2, *y.shape)) * spacing
    rows = np.clip(y + jitter[0], 0, height - 1).astype(int)
    columns = np.clip(x + jitter[1], 0, width - 1).astype(int)
    seeds = np.ones(shape, np.uint8)
    seeds[rows, columns] = 0
    distance, label = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    value = rng.random(int(label.max()) + 1, np.float32)[label]
    canopy = np.sqrt(np.clip(1 - (distance / (0.85 * spacing)) ** 2, 0, 1))
    return canopy.astype(np.float32), value


def slope(field: np.ndarray, direction: tuple[float, float]) -> np.ndarray:
    """Derivative of ``field`` (H, W) along ``direction`` (x, y), float32: relief lit from one side."""
    return direction[0] * cv2.Sobel(field, cv2.CV_32F, 1, 0, scale=0.125) + direction[1] * cv2.Sobel(
        field, cv2.CV_32F, 0, 1, scale=0.125
    )
