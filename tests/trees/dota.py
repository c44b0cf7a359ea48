"""A tiny DOTA v2.0: header lines, CRLF, short lines, difficult objects, vertices outside, RGBA and gray images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

MODES = ('RGB', 'RGBA', 'L')


def make(root: Path, images: int = 3, seed: int = 0) -> dict:
    """Write ``images`` images of 200 x 160 a split, each with two planes and a small vehicle.

    Returns:
        ``{'images': {split: n}, 'queries': {split: n}}``
    """
    rng = np.random.default_rng(seed)
    for which, split in enumerate(('train', 'val')):
        folder = Path(root) / 'DOTA' / split
        for name in ('images', 'labelTxt'):
            (folder / name).mkdir(parents=True)
        for number in range(images):
            stem = f'P{which}{number:03d}'
            pixels = rng.integers(0, 256, (160, 200, 3), dtype=np.uint8)
            Image.fromarray(pixels).convert(MODES[number % len(MODES)]).save(folder / f'images/{stem}.png')
            x, y = rng.integers(10, 60, 2)
            lines = [
                'imagesource:GoogleEarth',
                'gsd:0.26' if number else 'gsd:null',
                f'{x} {y} {x + 30} {y + 5} {x + 27} {y + 25} {x - 3} {y + 20} plane 0',
                '-4.0 120 30 118 28 150 -6 152 plane 1',
                '150 20 170 20 170 30 150 30 Small-Vehicle',
                'no object at all',
            ]
            (folder / f'labelTxt/{stem}.txt').write_bytes('\r\n'.join(lines).encode())
    return {'images': {'train': images, 'val': images}, 'queries': {'train': 2 * images, 'val': 2 * images}}
