"""Measures of a map that a false peak cannot please: they look at all pixels, wherever these are.

A map is (H, W) uint8, 255 = 1, as the SeLo metrics have it; sums are of integers and hence exact.
"""

from __future__ import annotations

import cv2
import numpy as np

LEVELS = 256
SOFT_IOU_SIDE = 256
"""Longest side in pixels at which a map is compared with its target, whose finest grid has 64 cells."""

EXACT_COUNTS = 1 << 24
"""Most pixels that cv2, which counts in single precision, counts exactly."""


def histogram(gray: np.ndarray, mask: np.ndarray | None = None, at_once: int = EXACT_COUNTS) -> np.ndarray:
    """Number of pixels of each gray level, (256,) int64.

    Args:
        gray: (H, W) uint8.
        mask: (H, W) uint8; only pixels where it is not 0 count.
        at_once: most pixels to count at a time.
    """
    counts = np.zeros(LEVELS, np.int64)
    rows = max(1, at_once // max(gray.shape[1], 1))
    for start in range(0, gray.shape[0], rows):
        part = slice(start, start + rows)
        within = None if mask is None else mask[part]
        counts += cv2.calcHist([gray[part]], [0], within, [LEVELS], [0, LEVELS]).ravel().astype(np.int64)
    return counts


def pointing_accuracy(inside: np.ndarray, everywhere: np.ndarray) -> float:
    """Share of the map's highest pixels that lie in the referent: 1 or 0 where one pixel is highest.

    Args:
        inside, everywhere: :func:`histogram` of the referent's pixels and of all.

    Returns:
        a number in [0, 1]; of a uniform map the referent's share of the area.
    """
    top = int(np.flatnonzero(everywhere)[-1])
    return float(inside[top] / everywhere[top])


def average_precision(inside: np.ndarray, everywhere: np.ndarray) -> float:
    """Area under the curve of precision over recall, pixels in descending order of the map.

    Pixels of one level enter together, so their order does not matter: AP = sum_n (R_n - R_(n-1)) P_n.

    Args:
        inside, everywhere: as in :func:`pointing_accuracy`; ``inside`` holds at least one pixel.
    """
    hits, taken = np.cumsum(inside[::-1]), np.cumsum(everywhere[::-1])
    precision = np.divide(hits, taken, out=np.zeros(LEVELS), where=taken > 0)
    return float((inside[::-1] * precision).sum() / hits[-1])


def soft_iou(gray: np.ndarray, target: np.ndarray) -> float | None:
    """Sum of the smaller over sum of the larger of map and target, at the target's resolution.

    Args:
        gray: (H, W) uint8.
        target: (h, w) float in [0, 1], not larger than the map.

    Returns:
        a number in [0, 1]; None where both are 0 everywhere.
    """
    small = cv2.resize(gray, target.shape[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    union = float(np.maximum(small, target).sum(dtype=np.float64))
    return float(np.minimum(small, target).sum(dtype=np.float64)) / union if union else None


def mass_share(gray: np.ndarray, mask: np.ndarray) -> float | None:
    """Share of the map's sum that lies in an (H, W) bool mask; None where the map is 0 everywhere."""
    total = cv2.sumElems(gray)[0]
    inside = cv2.sumElems(cv2.bitwise_and(gray, gray, mask=mask.astype(np.uint8)))[0]
    return inside / total if total else None
