"""Sizes and resizing; the one place that chooses a filter."""

from __future__ import annotations

import cv2
import numpy as np


def fit_size(size: tuple[int, int], max_side: int, enlarge: bool = False) -> tuple[int, int]:
    """(height, width) with the same proportions and no side longer than ``max_side`` pixels.

    Args:
        size: (height, width).
        enlarge: bring the longer side to ``max_side`` even if it is shorter.
    """
    scale = max_side / max(size)
    if scale >= 1 and not enlarge:
        return size[0], size[1]
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Average areas along a side that shrinks, interpolate linearly along a side that grows.

    Args:
        image: (h, w) or (h, w, C) of a type that OpenCV resizes (uint8, uint16, int16, float32, float64).
        size: (height, width) of the result.

    Returns:
        ``size`` (and C) of the same type; ``image`` itself where its size is ``size``.
    """
    if image.shape[:2] == tuple(size):
        return image
    between = min(size[0], image.shape[0]), min(size[1], image.shape[1])
    if between != image.shape[:2]:
        image = cv2.resize(image, between[::-1], interpolation=cv2.INTER_AREA)
    return image if between == tuple(size) else cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)


def resize_map(map: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A float (h, w) map at ``size`` (height, width), bilinear in both directions, as the SeLo evaluator does it."""
    return map if map.shape == tuple(size) else cv2.resize(map, size[::-1], interpolation=cv2.INTER_LINEAR)
