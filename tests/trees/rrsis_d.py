"""A tiny RRSIS-D: lists of one run-length code, ``categories_id``, an image that is a column longer than its mask."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from tests.trees.refcoco import python2_pickle

SIZE = (48, 64)
SPLITS = ('train', 'val', 'test')


def make(root: Path, images: int = 2, seed: int = 0) -> dict:
    """Write ``images`` images a split, each with one ship and one sentence; the first is 65 pixels wide.

    Returns:
        ``{'images': {split: n}, 'queries': {split: n}}``
    """
    rng = np.random.default_rng(seed)
    folder = Path(root) / 'RRSIS-D'
    (folder / 'rrsisd').mkdir(parents=True)
    (folder / 'images/rrsisd/JPEGImages').mkdir(parents=True)
    instances: dict[str, list] = {'images': [], 'annotations': [], 'categories': [{'id': 7, 'name': 'ship'}]}
    refs = []
    for number, split in enumerate(split for split in SPLITS for _ in range(images)):
        name, longer = f'{number:05d}.jpg', number == 0
        pixels = rng.integers(0, 256, (SIZE[0], SIZE[1] + longer, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / 'images/rrsisd/JPEGImages' / name)
        x, y = (int(n) for n in rng.integers(5, 20, 2))
        mask = np.zeros(SIZE, np.uint8)
        mask[y : y + 20, x : x + 30] = 1
        code = coco_mask.encode(np.asfortranarray(mask))
        rle = {'size': list(SIZE), 'counts': code['counts'].decode()}
        box = [x, y, x + 30, y + 20]
        instances['images'].append({'id': number, 'file_name': name, 'height': SIZE[0], 'width': SIZE[1]})
        key = ('categories_id', 'category_id')[number % 2]
        instances['annotations'].append(
            {'id': 100 + number, 'image_id': number, key: 7, 'bbox': box, 'segmentation': [rle]}
        )
        raw = f'The ship {number}, on the left.'
        sentence = {'raw': raw, 'sent': raw.lower().strip('.'), 'tokens': raw.split(), 'sent_id': number}
        refs.append(
            {
                'ref_id': number,
                'ann_id': 100 + number,
                'image_id': number,
                'category_id': 7,
                'file_name': name,
                'split': split,
                'sent_ids': [number],
                'sentences': [sentence],
            }
        )
    (folder / 'rrsisd/instances.json').write_text(json.dumps(instances))
    (folder / 'rrsisd/refs(unc).p').write_bytes(python2_pickle(refs))
    return {kind: dict.fromkeys(SPLITS, images) for kind in ('images', 'queries')}
