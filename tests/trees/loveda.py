"""A tiny LoveDA in its published layout: no-data borders, stems that repeat between folders, specks of road, and
``Test`` without masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.trees.tiles import photo, save

SIZE = 96
FOLDERS = ('Train/Urban', 'Train/Rural', 'Val/Urban', 'Val/Rural')


def make(root: Path, images: int = 3, seed: int = 0) -> dict:
    """Write ``images`` images into each of the four folders; each has 3 queries: building, water and one other.

    Returns:
        ``{'images': {split: n}, 'queries': {split: n}}`` of the default division.
    """
    rng = np.random.default_rng(seed)
    folder = Path(root) / 'loveda'
    for part in FOLDERS:
        for number in range(images):
            save(folder / part / f'images_png/{number}.png', photo(rng, SIZE, SIZE))
            save(folder / part / f'masks_png/{number}.png', mask(rng))
    save(folder / 'Test/Urban/images_png/9.png', photo(rng, SIZE, SIZE))
    total = len(FOLDERS) * images
    val = max(1, round(total * 614 / 4191))
    return {'images': {'train': total - val, 'val': val}, 'queries': {'train': 3 * (total - val), 'val': 3 * val}}


def mask(rng: np.random.Generator) -> np.ndarray:
    """(SIZE, SIZE) uint8 labels."""
    labels = np.ones((SIZE, SIZE), np.uint8)
    labels[:10] = 0
    x, y = rng.integers(12, 40, 2)
    labels[y : y + 12, x : x + 20] = 2
    labels[60:80, 5:40] = 4
    labels[60:80, 50:90] = rng.integers(5, 8)
    labels[90, 90] = 3
    return labels
