"""The mean box of a training set: what a guess without image and sentence would answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from xemap.datasets.annotations import AnnotationFile
from xemap.errors import DataError


def mean_box_of(path: str | Path) -> tuple[float, float, float, float]:
    """Mean of the boxes of all queries that have a referent, x0, y0, x1, y1 as shares of width and height.

    Args:
        path: an annotation file.

    Raises:
        DataError: the file cannot be read, or no query of it has a referent.
    """
    boxes = []
    for record in AnnotationFile(path):
        size = record.height, record.width
        sides = np.array([record.width, record.height] * 2, np.float64)
        boxes += [query.region.box(size) / sides for query in record.queries if not query.region.is_empty]
    if not boxes:
        raise DataError(f'{path}: no query has a referent, so there is no mean box; give the training annotations')
    x0, y0, x1, y1 = np.mean(boxes, 0).tolist()
    return x0, y0, x1, y1
