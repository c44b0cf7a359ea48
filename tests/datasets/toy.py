"""A small data set on disk, shared by the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from xemap.datasets.annotations import write_annotations
from xemap.structures import QUERY_KINDS, ImageRecord, MaskRegion, PolygonRegion, Query


def write_toy(folder: Path, queries: tuple[int, ...] = (2, 0, 5, 1, 3), sources: tuple[str, ...] = ('a', 'b')) -> Path:
    """Images of different sizes with boxes and masks as regions; returns the annotation file."""
    rng = np.random.default_rng(0)
    rows = []
    for i, count in enumerate(queries):
        height, width = 60 + 10 * i, 90 + 5 * i
        cv2.imwrite(str(folder / f'{i}.png'), rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        queries = []
        for k in range(count):
            x, y = 3 + 5 * k, 4 + 6 * k
            if k % 2:
                mask = np.zeros((height, width), bool)
                mask[y : y + 20, x : x + 30] = True
                region = MaskRegion.from_mask(mask)
            else:
                region = PolygonRegion([[x, y, x + 29, y, x + 29, y + 19, x, y + 19]])
            text = f'thing {i} {k} on the left'
            queries.append(Query(text, region, 'thing', QUERY_KINDS[k % 4], k % 3 + 1, 1 + k % 2))
        rows.append(ImageRecord(f'{i}.png', width, height, sources[i % len(sources)], queries))
    path = folder / 'toy.arrow'
    write_annotations(path, rows, {'name': 'toy'})
    return path
