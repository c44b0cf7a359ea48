"""The SeLo metrics written as plainly as possible, to compare the fast code with.

Nothing here is shared with it but ``cv2.fillPoly``, which defines what a filled polygon is.
"""

from __future__ import annotations

import math

import cv2
import numpy as np


def box_filter(gray: np.ndarray, size: int) -> np.ndarray:
    """Mean of x - size // 2 …, mirrored without repeating the edge, rounded half to even."""
    before = size // 2
    padded = np.pad(gray, (before, size - 1 - before), 'reflect').astype(int)
    out = np.zeros_like(gray)
    for y in range(gray.shape[0]):
        for x in range(gray.shape[1]):
            total, count = int(padded[y : y + size, x : x + size].sum()), size * size
            quotient, rest = divmod(total, count)
            up = 2 * rest > count or (2 * rest == count and quotient % 2 == 1)
            out[y, x] = quotient + up
    return out


def window_max(gray: np.ndarray, before: int, after: int) -> np.ndarray:
    """Maximum of x - before .. x + after, cut at the border, one shift at a time."""
    for _ in range(2):
        padded = np.pad(gray, ((before, after), (0, 0)))
        out = np.zeros_like(gray)
        for shift in range(before + after + 1):
            out = np.maximum(out, padded[shift : shift + len(gray)])
        gray = out.T
    return gray


def plateaus(peaks: np.ndarray) -> list[list[tuple[int, int]]]:
    """8-connected components as lists of (y, x), in the order in which a raster scan meets them."""
    left = {(int(y), int(x)) for y, x in np.argwhere(peaks)}
    components = []
    for seed in sorted(left):
        if seed not in left:
            continue
        left.remove(seed)
        component, todo = [], [seed]
        while todo:
            y, x = todo.pop()
            component.append((y, x))
            for near in [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]:
                if near in left:
                    left.remove(near)
                    todo.append(near)
        components.append(component)
    return components


def centers_of(gray: np.ndarray, smooth: np.ndarray, before: int, after: int) -> list[tuple[int, int]]:
    peaks = (smooth == window_max(smooth, before, after)) & (smooth > 0)
    centers = []
    for component in plateaus(peaks):
        y = sum(y for y, _ in component) // len(component)
        x = sum(x for _, x in component) // len(component)
        centers.append((x, y))
    centers.sort(key=lambda center: -int(gray[center[1], center[0]]))
    return [(x, y) for x, y in centers if gray[y, x] / 255 >= 0.5]


def metrics(gray: np.ndarray, polygons: list, centers: list[tuple[int, int]], protocol: str) -> dict[str, float]:
    """Rsu, Ras, Rda, Rmi of regions that have an area and a radius."""
    reference = protocol == 'reference'
    groups = [polygons] if reference else [[polygon] for polygon in polygons]
    probability = gray / 255
    a = area = 0.0
    for group in groups:
        mask = np.zeros(gray.shape, np.uint8)
        cv2.fillPoly(mask, [np.array(polygon).astype(np.int32) for polygon in group], 1)
        a += float((probability * mask).sum())
        area += int(mask.sum())
    total = float(probability.sum())
    exponent = (0.707 if reference else 0.694) * a / (total - a + 1e-7) * (gray.size - area) / area
    rsu = 1 - math.exp(-exponent)

    shifts, discreteness = [], []
    for polygon in polygons:
        cx = sum(x for x, _ in polygon) / len(polygon)
        cy = sum(y for _, y in polygon) / len(polygon)
        if reference:
            cx, cy = int(cx), int(cy)
        radius = 1.5 * sum(math.hypot(x - cx, y - cy) for x, y in polygon) / len(polygon)
        if reference:
            radius = int(radius)
        near = [(x, y) for x, y in centers if math.hypot(x - cx, y - cy) <= radius]
        count = len(near)
        if not near:
            shifts.append(1.0)
        else:
            shifts.append(sum(math.hypot(x - cx, y - cy) for x, y in near) / count / radius)
        if count < 2:
            discreteness.append(float(count))
        else:
            mx, my = sum(x for x, _ in near) / count, sum(y for _, y in near) / count
            spread = sum(math.hypot(x - mx, y - my) for x, y in near) / count / radius
            crowd = math.exp(-0.5 * (count + 2))
            discreteness.append((1 - spread) / 2 + crowd if reference else (1 - spread + crowd) / 2)
    number = len(polygons)

    def curve(shift: float) -> float:
        return (math.exp(3 * shift) - 1) / (math.exp(3) - 1)

    ras = curve(sum(shifts) / number) if reference else sum(curve(shift) for shift in shifts) / number
    rda = sum(discreteness) / number
    return {'rsu': rsu, 'ras': ras, 'rda': rda, 'rmi': 0.4 * rsu + 0.35 * (1 - ras) + 0.25 * rda}
