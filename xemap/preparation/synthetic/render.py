"""From a plan to pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np

from xemap.preparation.synthetic import buildings, grounds, terrain
from xemap.preparation.synthetic.canvas import Canvas
from xemap.preparation.synthetic.layout import Plan, SceneObject
from xemap.preparation.synthetic.noise import fractal

DRAW: dict[str, Callable[[Canvas, SceneObject, np.random.Generator], Iterator[None]]] = {
    'sea': terrain.draw_water,
    'lake': terrain.draw_water,
    'river': terrain.draw_water,
    'forest': terrain.draw_forest,
    'farmland': terrain.draw_farmland,
    'road': grounds.draw_road,
    'crossroads': grounds.draw_road,
    'runway': grounds.draw_runway,
    'apron': grounds.draw_apron,
    'parking': grounds.draw_parking,
    'track': grounds.draw_track,
    'football': grounds.draw_football,
    'tennis': grounds.draw_tennis,
    'ship': grounds.draw_ship,
    'buildings': buildings.draw_buildings,
    'tanks': buildings.draw_tanks,
    'solar': buildings.draw_solar,
}
"""Category to the function that draws it: ground and cast shadows up to its yield, the rest after it."""


def render(plan: Plan, seed: np.random.SeedSequence) -> np.ndarray:
    """Draw a plan.

    Args:
        plan: the scene.
        seed: seed of everything that the plan leaves open; every object has a stream of its own.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    keys = [(*seed.spawn_key, i) for i in range(len(plan.objects) + 3)]
    children = [np.random.SeedSequence(seed.entropy, spawn_key=key) for key in keys]
    ground_rng, tree_rng, camera_rng, *streams = map(np.random.default_rng, children)
    canvas = Canvas(plan, terrain.open_ground(plan, ground_rng), ground_rng)
    terrain.draw_tracks(canvas, ground_rng)
    free = cv2.distanceTransform(1 - _occupied(plan), cv2.DIST_L2, 5)
    steps = [DRAW[obj.category](canvas, obj, rng) for obj, rng in zip(plan.objects, streams)]
    steps.append(terrain.scatter_trees(canvas, tree_rng, free, tree_rng.uniform(2, 14)))
    for step in steps:
        next(step, None)
    canvas.drop_shadows()
    for step in steps:
        next(step, None)
    return photograph(canvas.image, camera_rng)


def photograph(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a camera adds: illumination, contrast, color balance, haze, blur and grain.

    Args:
        image: (H, W, 3) uint8 RGB.
        rng: source of randomness.

    Returns:
        The same shape and type.
    """
    shape = image.shape[:2]
    photo = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.45, 0.8)).astype(np.float32)
    gain = rng.uniform(0.84, 1.14) * (1 + rng.uniform(-0.045, 0.045, 3))
    photo *= gain.astype(np.float32)
    photo *= (1 + 0.03 * fractal(rng, shape, max(shape) / 1.5, 2))[..., None]
    contrast = rng.uniform(0.88, 1.12)
    photo = (photo - 118) * contrast + 118
    haze = rng.uniform(0, 0.12)
    photo += haze * (np.array([186, 196, 210], np.float32) - photo)
    photo += rng.normal(0, 1, (*shape, 1)).astype(np.float32) * rng.uniform(1.5, 3.5)
    return np.clip(photo + 0.5, 0, 255).astype(np.uint8)


def _occupied(plan: Plan) -> np.ndarray:
    """(H, W) uint8, 1 where any object lies."""
    mask = np.zeros(plan.size, np.uint8)
    for obj in plan.objects:
        cv2.fillPoly(mask, [np.round(ring).astype(np.int32) for ring in obj.polygons], 1)
    return mask
