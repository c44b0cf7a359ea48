"""The smoothing of SeLo maps, in 8 bits as the reference does it."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from xemap.errors import ConfigError
from xemap.models.localizers.selo.stacking import CellMap

MAX_SIZE = 255
"""Largest filter; OpenCV's median counts the pixels of a window in 16 bits."""

_STRIP = 1024  # rows of float32 that exist at a time


def median_filter(map: CellMap, size: int) -> np.ndarray:
    """Median of each pixel's size x size window; pixels outside repeat those at the edge.

    OpenCV's 8-bit median keeps running histograms: its time does not depend on ``size``.

    Args:
        map: uint8 values.
        size: odd, at most :data:`MAX_SIZE`; 1 leaves the map as it is.

    Returns:
        (H, W) uint8.
    """
    return cv2.medianBlur(map.pixels(), size) if size > 1 else map.pixels()


def gaussian_filter(map: CellMap, size: int) -> np.ndarray:
    """``cv2.GaussianBlur(map.pixels(), (size, size), 0)``, to the last bit and some fifty times faster.

    OpenCV blurs 8-bit images with weights that are multiples of 1/256, keeps all bits between the two
    directions, and rounds once. On cells that is a product of three matrices, ``rows @ values @ columns.T``,
    of integers below 2**24, which float32 multiplies and adds exactly.

    Args:
        map: uint8 values.
        size: odd, at most :data:`MAX_SIZE`; 1 leaves the map as it is.

    Returns:
        (H, W) uint8; pixels outside mirror those inside (REFLECT_101).
    """
    if size == 1:
        return map.pixels()
    right = map.values.astype(np.float32) @ _cell_weights(map.columns, size).T
    down = _cell_weights(map.rows, size)
    blurred = np.empty((len(down), right.shape[1]), np.uint8)
    for start in range(0, len(down), _STRIP):
        strip = slice(start, start + _STRIP)
        blurred[strip] = (down[strip] @ right + 2.0**15) * 2.0**-16
    return blurred


def require_filter_size(owner: str, name: str, size: int) -> int:
    """``size`` if a filter can have it.

    Raises:
        ConfigError: it is even or out of range.
    """
    if not (isinstance(size, int) and 1 <= size <= MAX_SIZE and size % 2):
        raise ConfigError(f'{owner}: {name}={size!r}; give an odd number of pixels, at most {MAX_SIZE} (1 = no filter)')
    return size


def _cell_weights(edges: np.ndarray, size: int) -> np.ndarray:
    """(pixels, cells) float32: 256 times the weight that the blur of a pixel gives to a cell, along one axis."""
    length, half = int(edges[-1]), size // 2
    kernel = _kernel(size)
    taps = np.flatnonzero(kernel)
    source = np.pad(np.arange(length), half, mode='reflect')
    cell_of = np.repeat(np.arange(len(edges) - 1), np.diff(edges))[source]
    weights = np.zeros((length, len(edges) - 1), np.float32)
    pixels = np.arange(length)
    for tap in taps:
        weights[pixels, cell_of[tap : tap + length]] += kernel[tap]
    return weights


@cache
def _kernel(size: int) -> np.ndarray:
    """OpenCV's 8-bit Gaussian kernel in units of 1/256, read off a single pixel of 255.

    A weight k <= 128 leaves 255 k / 256, which rounds to k; only a kernel of one pixel has a larger one.
    """
    impulse = np.zeros((1, 2 * size + 1), np.uint8)
    impulse[0, size] = 255
    response = cv2.GaussianBlur(impulse, (size, size), 0)[0]
    return response[size - size // 2 : size + size // 2 + 1].astype(np.float32)
