"""A tiny RISBench: a file for each sentence, equal images under several names, validation files called ``train_…``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SPLITS = ('train', 'val', 'test')


def make(root: Path, images: int = 2, seed: int = 0) -> dict:
    """Write ``images`` scenes of 64 x 48 for training and for tests with two sentences each; validation has a further
    sentence for each training scene.

    Returns:
        ``{'images': {split: n}, 'queries': {split: n}}``
    """
    rng = np.random.default_rng(seed)
    folder = Path(root) / 'RISBench'
    for name in ('img_rgb', 'mask'):
        (folder / name).mkdir(parents=True)
    lines: dict[str, list[str]] = {split: [] for split in SPLITS}
    for prefix, splits in (('train', ('train', 'train', 'val')), ('test', ('test', 'test'))):
        for scene in range(images):
            pixels = rng.integers(0, 256, (48, 64, 3), np.uint8)
            for number, split in enumerate(splits):
                name = f'{prefix}_{scene}_{number}.png'
                Image.fromarray(pixels).save(folder / 'img_rgb' / name)
                mask = np.zeros((48, 64), np.uint8)
                mask[10 * number : 10 * number + 9, 4:40] = 255
                Image.fromarray(mask).save(folder / 'mask' / name)
                lines[split].append(f'{name} The ship {number} of {prefix} scene {scene}.')
    for split in SPLITS:
        (folder / f'output_phrase_{split}.txt').write_text('\n'.join(lines[split]) + '\n')
    counts = {split: len(lines[split]) for split in SPLITS}
    return {'images': dict(counts), 'queries': counts}
