"""A tiny ISPRS Potsdam in its published layout: color-coded labels with and without boundaries, one of them in
off colors."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.trees.tiles import HEIGHT, ISPRS_RGB, WIDTH, photo, save, six_class_tile, without_boundaries

TILES = ('2_10', '2_13', '4_12', '3_13', '2_11', '4_13', '6_7', '5_13', '7_9', '7_13')
"""Every second is for validation."""


def make(root: Path, images: int = 3, seed: int = 0) -> dict:
    """Write ``images`` tiles, ten at most, each of two crops with 5 queries.

    Returns:
        ``{'images': {split: n}, 'queries': {split: n}}``, in crops.
    """
    rng = np.random.default_rng(seed)
    folder = Path(root) / 'potsdam'
    tiles = TILES[:images]
    for tile in tiles:
        classes = six_class_tile()
        labels = ISPRS_RGB[classes]
        if tile == '4_12':
            labels = np.where(labels == 255, 255 - rng.integers(0, 6, labels.shape, dtype=np.uint8), labels)
        name = f'top_potsdam_{tile}'
        save(folder / f'2_Ortho_RGB/{name}_RGB.tif', photo(rng, HEIGHT, WIDTH))
        (folder / f'2_Ortho_RGB/{name}_RGB.tfw').write_text('0.05\n')
        save(folder / f'5_Labels_all/{name}_label.tif', labels)
        save(folder / f'5_Labels_all_noBoundary/{name}_label_noBoundary.tif', ISPRS_RGB[without_boundaries(classes)])
    val = len(tiles) // 2
    crops = {'train': 2 * (len(tiles) - val), 'val': 2 * val}
    return {'images': crops, 'queries': {split: 5 * n for split, n in crops.items()}}
