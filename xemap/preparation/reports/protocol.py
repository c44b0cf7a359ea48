"""The annotation protocol of the paper's test partition: two groups draw, what they agree on is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from xemap.datasets.annotations import AnnotationFile, write_annotations
from xemap.errors import ConfigError
from xemap.structures import ImageRecord, Query

MIN_IOU = 0.5
SHARE = (0.002, 0.75)
"""Least and largest share of the image that a region may have."""


@dataclass
class Agreement:
    """What became of the first group's queries.

    Args:
        kept: number of queries.
        rejected: image, sentence and reason of each of the others.
        ious: IoUs of all queries that both groups drew.
    """

    kept: int = 0
    rejected: list[tuple[str, str, str]] = field(default_factory=list)
    ious: list[float] = field(default_factory=list)


def region_iou(first: Query, second: Query, size: tuple[int, int], boxes: bool = False) -> float:
    """Intersection over union of two regions in an image of ``size`` (height, width), 0..1; 0 where both are empty.

    Args:
        boxes: compare the upright boxes around the polygons instead, each filled, which a second group that draws
            boxes cannot miss by the shape alone.
    """
    masks = [_boxes(query, size) if boxes else query.region.mask(size) for query in (first, second)]
    union = int(np.count_nonzero(masks[0] | masks[1]))
    return np.count_nonzero(masks[0] & masks[1]) / union if union else 0.0


def _boxes(query: Query, size: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(size, bool)
    for polygon in query.region.polygons(size):
        (x0, y0), (x1, y1) = polygon.min(0), polygon.max(0)
        left, top = max(0, round(x0)), max(0, round(y0))
        mask[top : max(top, round(y1) + 1), left : max(left, round(x1) + 1)] = True
    return mask


def check_agreement(
    first: str | Path,
    second: str | Path,
    out: str | Path,
    min_iou: float = MIN_IOU,
    share: tuple[float, float] = SHARE,
    boxes: bool = False,
) -> Agreement:
    """Keep the queries of the first group whose region the second group drew as well.

    A query is kept where the regions' IoU is above ``min_iou`` and the first one's share of the image lies within
    ``share``. Queries are identified by image and sentence.

    Args:
        first: annotation file of the group that wrote the sentences and drew polygons; its queries are kept as they
            are.
        second: annotation file of the group that drew for the sentences alone.
        out: annotation file to write.
        min_iou: 0 to below 1.
        share: least and largest share of the image.
        boxes: see :func:`region_iou`.

    Raises:
        ConfigError: a number out of range.
        DataError: a file cannot be read.
    """
    if not 0 <= min_iou < 1 or not 0 <= share[0] < share[1] <= 1:
        raise ConfigError(
            f'IoU above {min_iou}, share within {share}; give numbers from 0 to 1, the smaller share first'
        )
    theirs = {
        (record.image, query.text.strip().lower()): query
        for record in AnnotationFile(second)
        for query in record.queries
    }
    result = Agreement()
    ours = AnnotationFile(first)

    def kept() -> Iterator[ImageRecord]:
        for record in ours:
            queries = []
            for query in record.queries:
                other = theirs.get((record.image, query.text.strip().lower()))
                reason = _why_not(query, other, record, result, min_iou, share, boxes)
                if reason is None:
                    queries.append(query)
                else:
                    result.rejected.append((record.image, query.text, reason))
            result.kept += len(queries)
            if queries:
                yield replace(record, queries=queries)

    protocol = {'min_iou': min_iou, 'share': list(share), 'compared': 'boxes' if boxes else 'regions'}
    write_annotations(out, kept(), {**ours.info, 'protocol': protocol})
    return result


def _why_not(
    query: Query,
    other: Query | None,
    record: ImageRecord,
    result: Agreement,
    min_iou: float,
    share: tuple[float, float],
    boxes: bool,
) -> str | None:
    covered = np.count_nonzero(query.region.mask(record.size)) / (record.width * record.height)
    if other is None:
        return 'the second group drew nothing for it'
    iou = region_iou(query, other, record.size, boxes)
    result.ious.append(iou)
    if iou <= min_iou:
        return f'IoU {iou:.3f} is not above {min_iou}'
    if not share[0] <= covered <= share[1]:
        return f'covers {covered:.3%} of the image, not {share[0]:.1%} to {share[1]:.0%}'
    return None
