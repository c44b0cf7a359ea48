"""Reads damaged copies of an annotation file, from trial FIRST on; prints each trial's number before it.

    python flip_bits.py GOOD BAD FIRST LAST
"""

from __future__ import annotations

import sys
import time

import numpy as np

from xemap.datasets.annotations import AnnotationFile
from xemap.errors import DataError

QUERY_FIELDS = ('text', 'category', 'kind', 'hops', 'referents')


def read_everything(path: str) -> None:
    file = AnnotationFile(path)
    counts = file.query_counts()
    for name in ('image', 'width', 'height', 'source'):
        file.image_column(name).to_pylist()
    for name in QUERY_FIELDS:
        assert len(file.query_column(name).to_pylist()) == counts.sum()
    for i in range(len(file)):
        record = file[i]
        for query in record.queries:
            query.region.polygons(record.size)
            query.region.coverage(record.size, (8, 8))


def main(good: str, bad: str, first: int, last: int) -> None:
    content = np.fromfile(good, np.uint8)
    for trial in range(first, last):
        print(trial, flush=True)
        rng = np.random.default_rng(trial)
        damaged = content.copy()
        damaged[rng.integers(len(content), size=int(rng.integers(1, 4)))] ^= np.uint8(1 << int(rng.integers(8)))
        damaged.tofile(bad)
        start = time.perf_counter()
        try:
            read_everything(bad)
        except DataError as error:
            assert len(str(error).splitlines()) == 1
        assert time.perf_counter() - start < 5


if __name__ == '__main__':
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
