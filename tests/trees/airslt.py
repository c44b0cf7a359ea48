"""A tiny AIR-SLT in its published layout, with captions that end in newlines and repeated last vertices."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image


def make(root: Path, images: int = 3, seed: int = 0) -> dict:
    """Write ``images`` images of about 100 pixels with 2 captions each, the first of two polygons.

    Returns:
        ``{'images': {'test': n}, 'queries': {'test': n}}``
    """
    rng = np.random.default_rng(seed)
    folder = Path(root) / 'airslt'
    for name in ('annotations', 'imgs'):
        (folder / name).mkdir(parents=True)
    entries = []
    for number in range(images):
        width, height = 120 + number, 90
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f'imgs/{number}.jpg')
        x, y = rng.uniform(5, 20, 2)
        square = [[x, y], [x + 30, y], [x + 30, y + 30], [x, y + 30]]
        drawn_twice_at_the_end = [[x + 50, y], [x + 80.25, y], [x + 80.25, y + 12], [x + 80.25, y + 12]]
        past_the_border = [[60, 60], [width + 3.5, 60], [60, height + 2]]
        entries += [
            {
                'caption': f'there is a pond next to the road {number}.\n',
                'jpg_name': f'{number}.jpg',
                'points': [square, drawn_twice_at_the_end],
            },
            {'caption': 'A gray road.', 'jpg_name': f'{number}.jpg', 'points': [past_the_border]},
        ]
    (folder / 'annotations/anno.json').write_text(json.dumps(entries))
    return {'images': {'test': images}, 'queries': {'test': 2 * images}}
