"""Random scenes of known layout: the labels that a converter would give, and the same objects as masks."""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

from tests.preparation.expressions.evaluator import PALETTE, RasterScene
from xemap.preparation.instance import Instance
from xemap.structures import MaskRegion, PolygonRegion

BOXED = ('vehicle', 'storage-tank', 'ship', 'Harbor')
OUTLINED = ('building', 'agriculture', 'mystery_thing')
MASKED = ('tree', 'agriculture', 'water', 'road', 'building')
WORDS = {'storage-tank': 'storage tank', 'Harbor': 'harbor', 'mystery_thing': 'mystery thing'}
SMALLEST_PART = 2e-4


def make_scene(kind: str, seed: int) -> tuple[list[Instance], RasterScene]:
    rng = np.random.default_rng(seed)
    size = (int(rng.integers(200, 360)), int(rng.integers(200, 360)))
    return {'boxes': boxes, 'outlines': outlines, 'masks': masks}[kind](size, rng)


def boxes(size, rng) -> tuple[list[Instance], RasterScene]:
    """Boxes along the axes and oblique ones; some overlap."""
    oblique = rng.random() < 0.6
    shapes = []
    for _ in range(int(rng.integers(3, 30))):
        length = np.exp(rng.uniform(np.log(12), np.log(0.4 * min(size))))
        sides = length, max(length * rng.uniform(0.2, 1), 8)
        points = cv2.boxPoints((rng.uniform(0, 1, 2) * size[::-1], sides, rng.uniform(0, 180) if oblique else 0))
        shapes.append((str(rng.choice(BOXED[: int(rng.integers(1, 5))])), points))
    return labeled(shapes, size, rng)


def outlines(size, rng) -> tuple[list[Instance], RasterScene]:
    """Ellipses, rectangles and polygons with many corners, all inside the image."""
    shapes = []
    for _ in range(int(rng.integers(2, 14))):
        length = np.exp(rng.uniform(np.log(14), np.log(0.35 * min(size))))
        sides = length, length * float(rng.choice([1, 0.95, 0.5, 0.25]))
        angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        turn = rng.uniform(0, np.pi)
        rim = np.stack([np.cos(angles), np.sin(angles)], -1)
        if rng.random() < 0.5:  # a rectangle of many vertices, which could not be a mere box
            rim = rim / np.abs(rim).max(axis=1, keepdims=True)
        rim = rim * sides / 2 @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        reach = np.abs(rim).max(axis=0) + 3
        points = rim + reach + rng.uniform(0, 1, 2) * (np.array(size[::-1]) - 2 * reach)
        shapes.append((str(rng.choice(OUTLINED)), points))
    return labeled(shapes, size, rng)


def labeled(shapes, size, rng) -> tuple[list[Instance], RasterScene]:
    instances, objects = [], []
    image = np.full((*size, 3), 90, np.uint8)
    for category, points in shapes:
        points = np.round(np.clip(points, 0, np.array(size[::-1]) - 1)).astype(np.float64)
        region = PolygonRegion([points])
        mask = region.mask(size)
        if cv2.contourArea(points.astype(np.float32)) < 50:
            continue
        image[mask] = PALETTE[str(rng.choice(list(PALETTE)))]
        instances.append(Instance(category, region))
        objects.append((WORDS.get(category, category), mask))
    return instances, RasterScene(objects, _noisy(image, rng))


def masks(size, rng) -> tuple[list[Instance], RasterScene]:
    """Blobs, fields and lines painted over each other: a class mask each, parts found by the evaluator's means."""
    classes = np.full(size, -1)
    image = np.full((*size, 3), 90, np.uint8)
    for label, category in enumerate(MASKED):
        if rng.random() < 0.25:
            continue
        for _ in range(int(rng.integers(1, 7))):
            canvas = np.zeros(size, np.uint8)
            center = rng.uniform(0, 1, 2) * size[::-1]
            if category == 'road':
                ends = np.round([center, rng.uniform(0, 1, 2) * size[::-1]]).astype(int)
                cv2.line(canvas, ends[0].tolist(), ends[1].tolist(), 1, int(rng.integers(4, 12)))
            elif category == 'building':
                sides = rng.uniform(8, 0.2 * min(size), 2)
                cv2.fillPoly(canvas, [np.round(cv2.boxPoints((center, sides, rng.uniform(0, 90)))).astype(int)], 1)
            else:
                axes = np.round(rng.uniform(0.04, 0.35, 2) * min(size)).astype(int).tolist()
                cv2.ellipse(canvas, np.round(center).astype(int).tolist(), axes, rng.uniform(0, 180), 0, 360, 1, -1)
            classes[canvas > 0] = label
            image[canvas > 0] = PALETTE[str(rng.choice(list(PALETTE)))]
    classes[rng.random(size) < 0.002] = -1  # holes of a pixel, as in real masks
    instances, objects = [], []
    for label, category in enumerate(MASKED):
        mask = classes == label
        parts, num_parts = ndimage.label(mask, np.ones((3, 3)))
        kept = [part for part in range(1, num_parts + 1) if (parts == part).sum() >= SMALLEST_PART * mask.size]
        if num_parts:
            instances.append(Instance(category, MaskRegion.from_mask(mask), len(kept) or num_parts))
            objects += [(category, parts == part) for part in kept]
    return instances, RasterScene(objects, _noisy(image, rng))


def _noisy(image, rng) -> np.ndarray:
    return np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)
