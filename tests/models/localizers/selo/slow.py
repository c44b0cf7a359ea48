"""SeLo's maps as the protocol words it: full-size arrays, one slice and one pixel at a time."""

from __future__ import annotations

import cv2
import numpy as np

Box = tuple[int, int, int, int]


def tiles(size: tuple[int, int], scales, offsets_of) -> list[Box]:
    """x0, y0, x1, y1 of every tile; ``offsets_of(step)`` gives the passes' offsets."""
    height, width = size
    boxes: list[Box] = []
    for scale in scales:
        for offset in offsets_of(scale):
            for y in starts(height, scale, offset):
                for x in starts(width, scale, offset):
                    box = (x, y, min(x + scale, width), min(y + scale, height))
                    if box not in boxes:
                        boxes.append(box)
    return boxes


def starts(length: int, step: int, offset: int) -> list[int]:
    if length <= step:
        return [0]
    offsets = []
    start = offset
    while start < length:
        offsets.append(start if start + step < length else length - step)
        start += step
    return offsets


def stack(boxes, similarity, size: tuple[int, int]) -> np.ndarray:
    """Mean over covering slices, 0 where there is none; (H, W) float64."""
    total, count = np.zeros(size), np.zeros(size)
    for (x0, y0, x1, y1), value in zip(boxes, similarity):
        for y in range(y0, y1):
            for x in range(x0, x1):
                total[y, x] += value
                count[y, x] += 1
    return np.where(count > 0, total / np.maximum(count, 1), 0)


def gray(map: np.ndarray) -> np.ndarray:
    map = map - map.min()
    return np.zeros(map.shape, np.uint8) if map.max() == 0 else (map / map.max() * 255).astype(np.uint8)


def median(map: np.ndarray, size: int) -> np.ndarray:
    """Median of each window, the edge repeated outside."""
    padded = np.pad(map, size // 2, mode='edge')
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size))
    return np.array([[np.median(window) for window in row] for row in windows]).astype(np.uint8)


def v1(size, scales, score, median_size: int) -> np.ndarray:
    """``score`` takes one box."""
    boxes = tiles(size, scales, lambda step: (0, int(step / 2)))
    return median(gray(stack(boxes, [score(box) for box in boxes], size)), median_size)


def v2(size, tile: int, sides, score, blur: int) -> np.ndarray:
    height, width = size
    coarse = tiles(size, (tile,), lambda step: (0,))
    ranked = sorted(range(len(coarse)), key=lambda i: -score(coarse[i]))
    chosen = [coarse[i] for i in ranked[: int(0.15 * len(coarse)) + 1]]
    boxes = list(chosen)
    for x0, y0, x1, y1 in chosen:
        w, h = x1 - x0, y1 - y0
        for fx, fy in [
            (0, 0),
            (1, 0),
            (0, 1),
            (1, 1),
            (0.25, 0.25),
            (0.75, 0.25),
            (0.25, 0.75),
            (0.75, 0.75),
            (0.5, 0.5),
        ]:
            x, y = x0 + int(w * fx), y0 + int(h * fy)
            for side in sides:
                half = side // 2
                box = (max(x - half, 0), max(y - half, 0), min(x + half, width), min(y + half, height))
                if box not in boxes:
                    boxes.append(box)
    map = gray(stack(boxes, [score(box) for box in boxes], size))
    return cv2.GaussianBlur(map, (blur, blur), 0)
