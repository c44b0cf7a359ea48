"""Attention centers: the peaks of a correlation map, as the authors' evaluator finds them.

1. Box filter of 50 x 50 pixels, five times, each time back to 8 bits (rounded half to even).
2. Peaks: pixels above 0 that equal the maximum of their 1000 x 1000 window.
3. Peaks that touch (8-connected) are one plateau; its center is its centroid, truncated.
4. Centers where the map itself, not the smoothed one, is at least 0.5, highest first.

All filter sizes are pixels, so the result depends on the resolution at which a map is scored.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

SMOOTH_SIZE = 50
"""Side of the box filter; the window of x is x - 25 .. x + 24, mirrored at the border (REFLECT_101)."""
SMOOTH_PASSES = 5
WINDOW_BEFORE, WINDOW_AFTER = 500, 499
"""The window of x in which a peak must be the maximum is x - 500 .. x + 499, cut at the border."""
MIN_CENTER = 128
"""Smallest 8-bit value of a center: the first with v / 255 >= 0.5."""

STRIP = 128
"""Rows or columns treated at once by the running maximum, so that the work stays in the cache."""


def attention_centers(
    gray: np.ndarray,
    smooth_passes: int = SMOOTH_PASSES,
    window: tuple[int, int] = (WINDOW_BEFORE, WINDOW_AFTER),
    strip: int = STRIP,
) -> np.ndarray:
    """Centers of attention, eq. (10) of the SeLo paper.

    Args:
        gray: (H, W) uint8, 255 = 1.
        smooth_passes: of the box filter.
        window: pixels before and after a peak in which it must be the maximum.
        strip: rows or columns treated at once; the centers do not depend on it.

    Returns:
        (K, 2) int64 x, y pixels; by the map's value at the center, descending, equal ones in the
        order in which a raster scan meets their plateaus. A ring-shaped plateau has its center in
        the hole, where the map may well be below 0.5: then it has none.
    """
    height, width = gray.shape
    low, high = int(gray.min()), int(gray.max())
    if high < MIN_CENTER:
        return np.zeros((0, 2), np.int64)
    if low == high:  # stays what it is under every filter: one plateau
        return np.array([[(width - 1) // 2, (height - 1) // 2]], np.int64)
    peaks = _peaks(smooth(gray, smooth_passes), window, strip)
    centers = np.array([center for _, center in sorted(_plateau_centers(peaks))], np.int64).reshape(-1, 2)
    values = gray[centers[:, 1], centers[:, 0]].astype(np.int64)
    order = np.argsort(-values, kind='stable')
    return centers[order][values[order] >= MIN_CENTER]


def smooth(gray: np.ndarray, passes: int = SMOOTH_PASSES) -> np.ndarray:
    """The box filter of :data:`SMOOTH_SIZE` applied several times, each time rounded to 8 bits, (H, W) uint8."""
    for _ in range(passes):
        gray = cv2.blur(gray, (SMOOTH_SIZE, SMOOTH_SIZE), borderType=cv2.BORDER_REFLECT_101)
    return gray


def _peaks(smoothed: np.ndarray, window: tuple[int, int], strip: int) -> np.ndarray:
    """(H, W) bool: the pixel is above 0 and the maximum of its window."""
    return (smoothed == _window_max(smoothed, window, strip)) & (smoothed > 0)


def _window_max(gray: np.ndarray, window: tuple[int, int], strip: int) -> np.ndarray:
    """Maximum of each pixel's window, cut at the border; columns first, then rows."""
    columns, both = np.empty_like(gray), np.empty_like(gray)
    for start in range(0, gray.shape[1], strip):
        part = slice(start, start + strip)
        columns[:, part] = _running_max(gray[:, part], window)
    for start in range(0, gray.shape[0], strip):
        part = slice(start, start + strip)
        both[part] = _running_max(columns[part].T, window).T
    return both


def _running_max(values: np.ndarray, window: tuple[int, int]) -> np.ndarray:
    """Maximum over the window along axis 0.

    A maximum over 2n values is the maximum of two over n: log2(window) passes in place of one pass
    for every value of the window.
    """
    count, side = values.shape[0], sum(window) + 1
    current = np.pad(values, (window, (0, 0)))  # 0 never wins
    covered = 1
    while 2 * covered <= side:
        current = np.maximum(current[:-covered], current[covered:])
        covered *= 2
    rest = side - covered
    return np.maximum(current[:count], current[rest : rest + count])


def _plateau_centers(peaks: np.ndarray) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """((y, x) of the first pixel in raster order, (x, y) of the center) of each plateau.

    Peaks are few. Rows, then columns, without any separate them for sure, so only the crops between
    such gaps are labeled.
    """
    for top, bottom in _runs(np.any(peaks, axis=1)):
        for left, right in _runs(np.any(peaks[top:bottom], axis=0)):
            crop = peaks[top:bottom, left:right].astype(np.uint8)
            count, labels, stats, centroids = cv2.connectedComponentsWithStats(crop, connectivity=8)
            for label in range(1, count):
                row = int(stats[label, cv2.CC_STAT_TOP])
                column = int(np.argmax(labels[row] == label))
                x, y = centroids[label]
                yield (top + row, left + column), (int(left + x), int(top + y))


def _runs(occupied: np.ndarray) -> list[tuple[int, int]]:
    """Start and end (exclusive) of each run of true values."""
    edges = np.flatnonzero(np.diff(occupied, prepend=False, append=False))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
