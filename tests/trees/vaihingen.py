"""A tiny ISPRS Vaihingen in its published layout: labels are called as the images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.trees.tiles import HEIGHT, ISPRS_RGB, WIDTH, photo, save, six_class_tile


def make(root: Path, images: int = 3, seed: int = 0) -> dict:
    """Write the areas 1 to ``images``, 8 at most, each of two crops with 5 queries; odd areas are for training.

    Returns:
        ``{'images': {split: n}, 'queries': {split: n}}``, in crops.
    """
    rng = np.random.default_rng(seed)
    folder = Path(root) / 'vaihingen'
    images = min(images, 8)
    for area in range(1, images + 1):
        name = f'top_mosaic_09cm_area{area}.tif'
        save(folder / 'top' / name, photo(rng, HEIGHT, WIDTH))
        save(folder / 'ISPRS_semantic_labeling_Vaihingen_ground_truth_COMPLETE' / name, ISPRS_RGB[six_class_tile()])
    crops = {'train': 2 * ((images + 1) // 2), 'val': 2 * (images // 2)}
    return {'images': crops, 'queries': {split: 5 * n for split, n in crops.items()}}
