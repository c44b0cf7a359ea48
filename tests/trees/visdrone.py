"""A tiny VisDrone-DET: ignored regions, score 0, 'others', last commas, CRLF, boxes past the border."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def make(root: Path, images: int = 3, seed: int = 0) -> dict:
    """Write ``images`` images of 160 x 120 a split, each with two cars and a pedestrian.

    Returns:
        ``{'images': {split: n}, 'queries': {split: n}}``
    """
    rng = np.random.default_rng(seed)
    for split in ('train', 'val'):
        folder = Path(root) / f'VisDrone/VisDrone2019-DET-{split}'
        for name in ('images', 'annotations'):
            (folder / name).mkdir(parents=True)
        for number in range(images):
            stem = f'0000{number:03d}_{split}_d_0000001'
            Image.fromarray(rng.integers(0, 256, (120, 160, 3), dtype=np.uint8)).save(folder / f'images/{stem}.jpg')
            x, y = rng.integers(5, 60, 2)
            lines = [
                f'{x},{y},30,20,1,4,0,0',
                '150,100,40,12,1,4,1,0,',
                f'{x + 40},{y},6,14,1,1,0,2',
                '0,0,50,30,0,0,0,0',
                '70,70,10,10,0,4,0,0',
                '80,80,10,10,1,11,0,0',
                '90,90,0,10,1,5,0,0',
            ]
            (folder / f'annotations/{stem}.txt').write_text('\r\n'.join(lines) + '\r\n')
    return {'images': {'train': images, 'val': images}, 'queries': {'train': 2 * images, 'val': 2 * images}}
