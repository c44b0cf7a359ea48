"""A tiny DIOR with both kinds of boxes: names in other case and hyphens, boxes past the border, an unused test list."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ('Expressway-toll-station', 'expressway toll station', 'ExpressWay-Toll-Station')


def voc(name: str, objects: list[str], size: tuple[int, int] = (96, 128)) -> str:
    """A Pascal VOC file; ``size`` is (height, width)."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<annotation><filename>{name}</filename>'
        f'<size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>'
        f'{"".join(f"<object>{content}</object>" for content in objects)}</annotation>\n'
    )


def upright(left: float, top: float, right: float, bottom: float) -> str:
    return f'<bndbox><xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox>'


def oriented(*corners: tuple[float, float]) -> str:
    places = ('left_top', 'right_top', 'right_bottom', 'left_bottom')
    inner = ''.join(f'<x_{place}>{x}</x_{place}><y_{place}>{y}</y_{place}>' for place, (x, y) in zip(places, corners))
    return f'<robndbox>{inner}</robndbox><angle>0.5</angle>'


def make(root: Path, images: int = 3, seed: int = 0) -> dict:
    """Write ``images`` images of 128 x 96 a list, each with a toll station and two vehicles.

    Returns:
        ``{'images': {split: n}, 'queries': {split: n}}`` for the default division, as 8000 to 3725.
    """
    rng = np.random.default_rng(seed)
    folder = Path(root) / 'DIOR'
    kinds = [folder / 'Annotations' / f'{kind} Bounding Boxes' for kind in ('Oriented', 'Horizontal')]
    for path in (folder / 'ImageSets/Main', folder / 'JPEGImages-trainval', folder / 'JPEGImages-test', *kinds):
        path.mkdir(parents=True)
    for which, split in enumerate(('train', 'val', 'test')):
        ids = [f'{1 + which + 3 * number:05d}' for number in range(images)]
        (folder / f'ImageSets/Main/{split}.txt').write_text(''.join(f'{key}\n' for key in ids))
        for number, key in enumerate(ids):
            place = 'test' if split == 'test' else 'trainval'
            pixels = rng.integers(0, 256, (96, 128, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f'JPEGImages-{place}/{key}.jpg')
            x, y = rng.integers(20, 50, 2)
            station, first, second = (f'<name>{name}</name>' for name in (NAMES[number % 3], 'vehicle', 'Vehicle'))
            turned = oriented((x, y - 8), (x + 20, y), (x + 16, y + 12), (x - 4, y + 4))
            (kinds[0] / f'{key}.xml').write_text(
                voc(
                    f'{key}.jpg',
                    [
                        station + turned,
                        first + oriented((100, 50), (110, 50), (110, 55), (100, 55)),
                        second + oriented((-6, 70), (10, 70), (10, 80), (-6, 80)),
                    ],
                )
            )
            boxes = [upright(x - 4, y - 8, x + 20, y + 12), upright(100, 50, 110, 55), upright(-6, 70, 10, 80)]
            objects = [name + box for name, box in zip((station, first, second), boxes)]
            (kinds[1] / f'{key}.xml').write_text(voc(f'{key}.jpg', objects))
    val = int(2 * images * 3725 / 11725 + 0.5)
    made = {'train': 2 * images - val, 'val': val}
    return {'images': made, 'queries': {split: 2 * number for split, number in made.items()}}
