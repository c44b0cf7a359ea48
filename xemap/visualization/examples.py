"""Queries of a data set with what a picture of them needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from xemap.datasets.annotations import AnnotationFile
from xemap.datasets.mcmg import correlation_map
from xemap.errors import DataError
from xemap.raster.image_io import image_size, read_image
from xemap.raster.resize import fit_size
from xemap.structures import ImageRecord, MaskRegion, Query
from xemap.visualization.overlay import scale_polygons, shrink

GRAY = 128
"""Stands for an image that cannot be read."""


@dataclass(frozen=True)
class Example:
    """A query, ready to be drawn.

    Args:
        row: row of its image in the annotation file.
        query_id: its place among the queries of the image.
        record: its image.
        image: (h, w, 3) uint8 RGB, the image made smaller; plain gray where it cannot be read.
        problem: why it cannot be read, else None.
        target_options: options of :func:`~xemap.datasets.mcmg.correlation_map`.
    """

    row: int
    query_id: int
    record: ImageRecord
    image: np.ndarray
    problem: str | None
    target_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def query(self) -> Query:
        return self.record.queries[self.query_id]

    def outlines(self) -> list[np.ndarray]:
        """Borders of the region, those of its holes too, each (V, 2) x, y pixels of :attr:`image`."""
        size, region = self.record.size, self.query.region
        if isinstance(region, MaskRegion):
            borders, _ = cv2.findContours(region.mask(size).view(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
            polygons = [border.reshape(-1, 2) for border in borders]
        else:
            polygons = region.polygons(size)
        return scale_polygons(polygons, size, self.image.shape[:2])

    def target(self) -> np.ndarray:
        """The MCMG target at the size of :attr:`image`, (h, w) float32 in [0, 1]."""
        covered = self.query.region.coverage(self.record.size, self.image.shape[:2])
        return correlation_map(covered, **self.target_options)


def read_examples(
    annotations: AnnotationFile,
    data_root: Path,
    chosen: np.ndarray,
    side: int,
    target_options: Mapping[str, Any] | None = None,
) -> Iterator[Example]:
    """Examples one after another; each image is read once and only the last is kept.

    Args:
        annotations: the file.
        data_root: folder that its image paths are relative to.
        chosen: positions of queries in the file, rising; see :func:`~xemap.datasets.selection.select_queries`.
        side: pixels of the longer side of the images; smaller ones are not enlarged.
        target_options: see :class:`Example`.
    """
    ends = np.cumsum(annotations.query_counts())
    rows = np.searchsorted(ends, chosen, side='right')
    last = -1
    for row, position in zip(rows.tolist(), chosen.tolist()):
        if row != last:
            last, record, problem = row, annotations[row], None
            try:
                image = _read_small(data_root / record.image, record.size, side)
            except DataError as error:
                problem = str(error)
                image = np.full((*fit_size(record.size, side), 3), GRAY, np.uint8)
        query_id = position - int(ends[row]) + len(record.queries)
        yield Example(row, query_id, record, image, problem, target_options or {})


def _read_small(path: Path, size: tuple[int, int], side: int) -> np.ndarray:
    image = read_image(path, at_least=side)
    file_size = image_size(path)
    if file_size != size:
        raise DataError(
            f'{path} is {file_size[1]} x {file_size[0]} pixels, its annotation says {size[1]} x {size[0]}; '
            'use the images that the annotation file was made from'
        )
    return shrink(image, side)
