"""Pixels for trees of segmentation sources."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CROP = 512
WIDTH, HEIGHT = 2 * CROP + 16, CROP + 18
"""Size of a tile: two whole crops, and a margin at the right and at the bottom."""


def photo(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """(H, W, 3) uint8 of colored squares."""
    small = rng.integers(0, 256, (height // 32 + 1, width // 32 + 1, 3), dtype=np.uint8)
    return small.repeat(32, 0).repeat(32, 1)[:height, :width]


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def six_class_tile() -> np.ndarray:
    """(HEIGHT, WIDTH) class numbers 1 to 6 in the order of ISPRS, for a tile with 5 queries in each crop: clutter
    (6) makes none, and the margin, all car (5), is in no crop."""
    cell = np.ones((CROP, CROP), np.uint8)
    cell[:100, :200] = 2
    cell[200:300, 300:] = 3
    cell[350:420, 10:90] = 4
    cell[450:460, 450:460] = 5
    cell[480:, :60] = 6
    tile = np.full((HEIGHT, WIDTH), 5, np.uint8)
    tile[:CROP, : 2 * CROP] = np.tile(cell, (1, 2))
    return tile


def without_boundaries(classes: np.ndarray) -> np.ndarray:
    """The class numbers with 0 where a neighbor to the right or below is of another class."""
    out = classes.copy()
    out[:, :-1][classes[:, :-1] != classes[:, 1:]] = 0
    out[:-1][classes[:-1] != classes[1:]] = 0
    return out


ISPRS_RGB = np.array(
    [[0, 0, 0], [255, 255, 255], [0, 0, 255], [0, 255, 255], [0, 255, 0], [255, 255, 0], [255, 0, 0]], np.uint8
)
"""Color by class number; 0 = boundary."""
