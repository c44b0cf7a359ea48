"""A tiny Inria Aerial Image in its published layout: tiles of two whole crops and a margin, masks of one band or
three, and a test folder without masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.trees.tiles import CROP, HEIGHT, WIDTH, photo, save

CITIES = ('austin', 'chicago', 'kitsap', 'tyrol-w', 'vienna')


def make(root: Path, images: int = 3, seed: int = 0) -> dict:
    """Write ``images`` tiles, two at least, of which one crop has a building and the other none.

    Returns:
        ``{'images': {split: n}, 'queries': {split: n}}`` of the default division, in crops.
    """
    rng = np.random.default_rng(seed)
    folder = Path(root) / 'AerialImageDataset'
    for number in range(images):
        name = f'{CITIES[number % 5]}{number // 5 * 6 + 1}.tif'  # numbers 1, 7, 13…
        labels = np.zeros((HEIGHT, WIDTH), np.uint8)
        x, y = rng.integers(0, 400, 2)
        labels[y : y + 60, x : x + 90] = 255
        labels[CROP:] = 255  # in the margin
        save(folder / 'train/images' / name, photo(rng, HEIGHT, WIDTH))
        save(folder / 'train/gt' / name, np.repeat(labels[..., None], 3, 2) if number % 2 else labels)
    save(folder / 'test/images/bellingham1.tif', photo(rng, 64, 64))
    counts = {'train': images - 1, 'val': 1}
    return {'images': counts, 'queries': counts}
