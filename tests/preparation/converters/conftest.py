"""Small trees of every source."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

BUILDING, WATER, UNLABELED = (0x3C, 0x10, 0x98), (0xE2, 0xA9, 0x29), (0x9B, 0x9B, 0x9B)


@pytest.fixture
def save_image() -> Callable[..., Path]:
    """Writes an image of constant color, or the pixels given."""

    def save(path: Path, size: tuple[int, int] = (40, 60), pixels: np.ndarray | None = None) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((*size, 3), 90, np.uint8) if pixels is None else pixels).save(path)
        return path

    return save


@pytest.fixture
def mask_tree(tmp_path, save_image) -> Path:
    """Two images of 40 x 60 with masks and a class table.

    ``a``: two buildings (50 and 20 pixels) and a speck of water of 1 pixel; the rest is unlabeled.
    ``b``: all water.
    """
    root = tmp_path / 'tree'
    first = np.full((40, 60, 3), UNLABELED, np.uint8)
    first[5:10, 5:15] = BUILDING
    first[20:24, 30:35] = BUILDING
    first[39, 59] = WATER
    save_image(root / 'image/a.jpg')
    save_image(root / 'mask/a.png', pixels=first)
    save_image(root / 'image/b.jpg')
    save_image(root / 'mask/b.png', pixels=np.full((40, 60, 3), WATER, np.uint8))
    table = [
        {'color': '#3C1098', 'name': 'building'},
        {'color': '#E2A929', 'name': 'water'},
        {'color': '#9B9B9B', 'name': 'unlabeled', 'ignore': True},
    ]
    (root / 'classes.json').write_text(json.dumps(table))
    return root


@pytest.fixture
def csv_tree(tmp_path, save_image) -> Path:
    """Three images of 40 x 60: ``a`` with two planes and a car, ``b`` with a plane that runs past
    the border, ``c`` without an object."""
    root = tmp_path / 'tree'
    for name in 'abc':
        save_image(root / f'images/{name}.jpg')
    (root / 'objects.csv').write_text(
        'id,image_id,geometry,class\n'
        '1,a.jpg,"[(2, 3), (12, 3), (12, 9), (2, 9), (2, 3)]",Plane\n'
        '2,a.jpg,"[(30, 20), (40, 20), (40, 30), (30, 30)]",Plane\n'
        '3,a.jpg,"[(50, 30), (55, 30), (55, 34)]",small_car\n'
        '4,b.jpg,"[(50, -5), (70, -5), (70, 10), (50, 10), (50, -5)]",Plane\n'
    )
    return root


@pytest.fixture
def coco_content() -> dict:
    """COCO instances on an image ``a.png`` of 40 x 60: two polygon ships, one box, one uncompressed
    run-length code, one crowd."""
    crowd = np.zeros((40, 60), np.uint8)
    crowd[30:, 50:] = 1
    return {
        'images': [{'id': 7, 'file_name': 'a.png', 'width': 60, 'height': 40}],
        'categories': [{'id': 1, 'name': 'ship'}, {'id': 2, 'name': 'storage_tank'}, {'id': 3, 'name': 'person'}],
        'annotations': [
            {
                'id': 1,
                'image_id': 7,
                'category_id': 1,
                'segmentation': [[1, 1, 9, 1, 9, 5, 1, 5]],
                'bbox': [1, 1, 8, 4],
            },
            {'id': 2, 'image_id': 7, 'category_id': 1, 'bbox': [20, 10, 10, 5], 'segmentation': []},
            # Column by column: 3 columns of 40 zeros, 5 zeros, 10 ones, the rest zeros.
            {
                'id': 3,
                'image_id': 7,
                'category_id': 2,
                'segmentation': {'size': [40, 60], 'counts': [125, 10, 2265]},
            },
            {
                'id': 4,
                'image_id': 7,
                'category_id': 3,
                'iscrowd': 1,
                'segmentation': {'size': [40, 60], 'counts': _runs(crowd)},
            },
        ],
    }


@pytest.fixture
def coco_tree(tmp_path, save_image) -> Callable[[dict], Path]:
    """Writes COCO content and its image, and returns the data root."""

    def write(content: dict) -> Path:
        root = tmp_path / 'tree'
        save_image(root / 'images/a.png')
        (root / 'instances.json').write_text(json.dumps(content))
        return root

    return write


def _runs(mask: np.ndarray) -> list[int]:
    """Column-major run lengths, starting with zeros: COCO's definition, read pixel by pixel."""
    runs, current, value = [], 0, 0
    for pixel in mask.T.reshape(-1).tolist():
        if pixel != value:
            runs.append(current)
            current, value = 0, pixel
        current += 1
    return [*runs, current]
