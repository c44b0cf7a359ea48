"""A tiny RefSegRS: TIFF images and masks, two sentences for the first image of a split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SPLITS = ('train', 'val', 'test')


def make(root: Path, images: int = 2, seed: int = 0) -> dict:
    """Write ``images`` images of 64 x 48 a split.

    Returns:
        ``{'images': {split: n}, 'queries': {split: n}}``
    """
    rng = np.random.default_rng(seed)
    folder = Path(root) / 'RefSegRS'
    for name in ('images', 'masks'):
        (folder / name).mkdir(parents=True)
    number = 0
    for split in SPLITS:
        lines = []
        for _ in range(images):
            Image.fromarray(rng.integers(0, 256, (48, 64, 3), np.uint8)).save(folder / f'images/{number}.tif')
            mask = np.zeros((48, 64), np.uint8)
            mask[10:30, 5 : 15 + number] = 255
            Image.fromarray(mask).save(folder / f'masks/{number}.tif')
            lines += [f'{number} The road {number} on the left.'] + [f'{number} road'] * (not lines)
            number += 1
        (folder / f'output_phrase_{split}.txt').write_text('\n'.join(lines) + '\n')
    return {'images': dict.fromkeys(SPLITS, images), 'queries': dict.fromkeys(SPLITS, images + 1)}
