"""A tiny DIOR-RSVG: lists of global object numbers, images whose objects are in several splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests.trees.dior import upright, voc

SPLITS = ('train', 'val', 'test')


def make(root: Path, images: int = 3, seed: int = 0) -> dict:
    """Write ``images`` images of 128 x 96; all have an object in each split, the first has two for training.

    Returns:
        ``{'images': {split: n}, 'queries': {split: n}}``
    """
    rng = np.random.default_rng(seed)
    folder = Path(root) / 'DIOR_RSVG'
    for name in ('Annotations', 'JPEGImages'):
        (folder / name).mkdir(parents=True)
    lists: dict[str, list[int]] = {split: [] for split in SPLITS}
    count = 0
    for number in range(images):
        objects = []
        for place, split in enumerate(('train', *SPLITS) if number == 0 else SPLITS):
            x, y = rng.integers(5, 60, 2)
            text = f'The object {place} of image {number} for {split} '
            objects.append(
                f'<name>Expressway-Service-area</name>{upright(x, y, x + 30, y + 20)}<description>{text}</description>'
            )
            lists[split].append(count)
            count += 1
        pixels = rng.integers(0, 256, (96, 128, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f'JPEGImages/{number:05d}.jpg')
        (folder / f'Annotations/{number:05d}.xml').write_text(voc(f'{number:05d}.jpg', objects))
    for split, numbers in lists.items():
        (folder / f'{split}.txt').write_text(''.join(f'{number}\n' for number in numbers))
    return {
        'images': dict.fromkeys(SPLITS, images),
        'queries': {split: len(numbers) for split, numbers in lists.items()},
    }
