"""A tiny RefCOCO, RefCOCO+ and RefCOCOg: pickles of Python 2, run-length codes, refs whose file_name is no image's,
repeated sentences, test splits, and one image that RefCOCOg validates on and the others train on."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

SIZE = (80, 100)
VARIANTS = {'refcoco': 'unc', 'refcoco+': 'unc', 'refcocog': 'umd'}


class Python2Pickler(pickle._Pickler):
    """Writes text as Python 2 wrote its ``str``: bytes of no stated encoding."""

    def save_text(self, text: str) -> None:
        raw = text.encode('latin1')
        self.write(pickle.SHORT_BINSTRING + bytes([len(raw)]) + raw)

    dispatch = {**pickle._Pickler.dispatch, str: save_text}


def python2_pickle(content, protocol: int = 2) -> bytes:
    stream = io.BytesIO()
    Python2Pickler(stream, protocol).dump(content)
    return stream.getvalue()


def make(root: Path, images: int = 3, seed: int = 0) -> dict:
    """Write ``images`` training and ``images`` validation images of 100 x 80 and one for tests; each has a car and
    a dog, each of them two sentences in every variant, one of them the same in all. At least 2 are needed.

    Returns:
        ``{'images': {split: n}, 'queries': {split: n}}``
    """
    rng = np.random.default_rng(seed)
    folder = Path(root) / 'RefCOCO'
    (folder / 'train2014').mkdir(parents=True)
    splits = ['train'] * images + ['val'] * images + ['testA']
    instances: dict[str, list] = {'images': [], 'annotations': [], 'categories': []}
    instances['categories'] = [{'id': 3, 'name': 'car'}, {'id': 18, 'name': 'dog'}]
    refs: dict[str, list] = {variant: [] for variant in VARIANTS}
    for number, split in enumerate(splits):
        name = f'COCO_train2014_{number:012d}.jpg'
        Image.fromarray(rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)).save(folder / 'train2014' / name)
        instances['images'].append({'id': 1000 + number, 'file_name': name, 'height': SIZE[0], 'width': SIZE[1]})
        x, y = (int(n) for n in rng.integers(5, 40, 2))
        mask = np.zeros(SIZE, np.uint8)
        mask[y + 10 : y + 30, x : x + 30] = 1
        code = coco_mask.encode(np.asfortranarray(mask))
        shapes = [
            [[x, y, x + 20, y, x + 20, y + 9, x, y + 9], [x + 25, y, x + 30, y, x + 30, y + 9]],
            {'size': list(SIZE), 'counts': code['counts'].decode()},
        ]
        for category, segmentation in zip((3, 18), shapes):
            key = 2 * number + (category == 18)
            instances['annotations'].append(
                {'id': key, 'image_id': 1000 + number, 'category_id': category, 'segmentation': segmentation}
            )
            for variant in VARIANTS:
                leaks = variant == 'refcocog' and number == 0
                sentences = [f'thing {key} on the left', f'thing {key} of {variant}', f'thing {key} on the left']
                refs[variant].append(
                    {
                        'sent_ids': [3 * key + place for place in range(3)],
                        'file_name': f'{name[:-4]}_{key}.jpg',
                        'ann_id': key,
                        'ref_id': 7 * key,
                        'image_id': 1000 + number,
                        'split': 'val' if leaks else split,
                        'sentences': [
                            {'tokens': text.split(), 'raw': text.title(), 'sent_id': 3 * key + place, 'sent': text}
                            for place, text in enumerate(sentences)
                        ],
                        'category_id': category,
                    }
                )
    for variant, division in VARIANTS.items():
        (folder / variant).mkdir()
        (folder / variant / 'instances.json').write_text(json.dumps(instances))
        (folder / variant / f'refs({division}).p').write_bytes(python2_pickle(refs[variant]))
    # Of each object: the shared sentence once, and one of each variant. The leaked image keeps RefCOCOg's.
    return {
        'images': {'train': images - 1, 'val': images + 1},
        'queries': {'train': 8 * (images - 1), 'val': 8 * images + 4},
    }
