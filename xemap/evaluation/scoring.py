"""What one answer to one query scores, in whatever process: numpy and OpenCV, no torch.

A scorer is called with the answer to one query and returns columns of that query's row. It can be pickled, so that
:class:`~xemap.evaluation.workers.ScoringPool` may run it elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np

from xemap.datasets.mcmg import correlation_map
from xemap.errors import DataError
from xemap.evaluation.functional.maps import (
    SOFT_IOU_SIDE,
    average_precision,
    histogram,
    mass_share,
    pointing_accuracy,
    soft_iou,
)
from xemap.evaluation.functional.overlap import box_areas, mask_overlap, overlap_ratio
from xemap.evaluation.functional.selo import (
    SeloTarget,
    ceiling_map,
    floor_map,
    score_map,
    selo_target,
    to_gray8,
    united_target,
)
from xemap.evaluation.scores import Row
from xemap.raster.resize import resize_map
from xemap.structures import PolygonRegion, Query
from xemap.structures.answers import Answers

SELO_COLUMNS = ('rmi', 'rsu', 'ras', 'rda')
MEASURES = ('pointing', 'pixel_ap', 'soft_iou', 'distractor_mass')

NO_REFERENT = 'the image holds no referent'

Size = tuple[int, int]


class Scorer(Protocol):
    """Scores the answer to one query.

    Returns columns of the query's row; ``problem`` says why there is no score, ``area_share`` is the region's share of
    the image. With ``references``, the columns of answers that any method can be compared with, too.
    """

    def __call__(self, answer: Any, query: Query, size: Size, references: bool) -> Row: ...


@dataclass(frozen=True)
class ScoringTask:
    """A call of a scorer that can be sent to another process.

    Args:
        scorer: what scores.
        answer: the answer to one query, as the scorer takes it.
        query: with its region in pixels of the original image.
        size: (height, width) of the original image.
        references: see :class:`Scorer`.
    """

    scorer: Scorer
    answer: Any
    query: Query
    size: Size
    references: bool

    @property
    def nbytes(self) -> int:
        """Bytes of the answer."""
        return (self.answer.data if isinstance(self.answer, Answers) else self.answer).nbytes


def score_task(task: ScoringTask) -> Row:
    """The columns of a task."""
    return task.scorer(task.answer, task.query, task.size, task.references)


@dataclass(frozen=True)
class SeloScorer:
    """The SeLo metrics and measures of all pixels; arguments as of :class:`~xemap.evaluation.SeLoMetric`."""

    protocol: str = 'reference'
    min_region_area: float = 1e-5
    normalize: bool = False
    measures: bool = True

    def __call__(self, answer: Answers | np.ndarray, query: Query, size: Size, references: bool) -> Row:
        """Columns of :data:`SELO_COLUMNS`, :data:`MEASURES` and ``centers``; ``answer`` holds one map, or is it as
        (H, W) uint8."""
        gray = gray_map(answer, size)
        target = self._target(query, size)
        soft = None
        if self.measures:
            small = min(size[0], SOFT_IOU_SIDE), min(size[1], SOFT_IOU_SIDE)
            soft = correlation_map(query.region.coverage(size, small))
        compared = _Compared(target, soft, distractor_mask(query, size) if self.measures else None)
        row = compared.score(self._stretched(gray))
        row['area_share'] = target.pixels / (size[0] * size[1])
        if references:
            answers = {'floor': floor_map(target), 'ceiling': ceiling_map(target)}
            if soft is not None:
                answers['target'] = resize_map(soft, size)
            for name, map in answers.items():
                columns = compared.score(to_gray8(map))
                row |= {f'{name}_{key}': value for key, value in columns.items() if key in SELO_COLUMNS + MEASURES}
        return row

    def _stretched(self, gray: np.ndarray) -> np.ndarray:
        """The map stretched to 0..255, as SeLo's generators do it; a constant one stays."""
        low, high = int(gray.min()), int(gray.max())
        if not self.normalize or low == high:
            return gray
        table = np.rint((np.arange(256) - low).clip(0) * 255 / (high - low)).clip(0, 255).astype(np.uint8)
        return cv2.LUT(gray, table)

    def _target(self, query: Query, size: Size) -> SeloTarget:
        region = query.region
        if isinstance(region, PolygonRegion):
            make = selo_target if region.hand_drawn else united_target
            return make(region.polygons(size), size, self.protocol)
        outlines = region.polygons(size, self.min_region_area * size[0] * size[1])
        if not outlines:
            every = region.polygons(size)
            outlines = [max(every, key=lambda outline: cv2.contourArea(outline.astype(np.float32)))] if every else []
        return selo_target(outlines, size, self.protocol, mask=region.mask(size))


@dataclass(frozen=True)
class _Compared:
    """What the maps of one query are compared with; without ``soft_target`` there are no measures of all pixels."""

    target: SeloTarget
    soft_target: np.ndarray | None
    distractors: np.ndarray | None

    def score(self, gray: np.ndarray) -> Row:
        scores = score_map(gray, self.target)
        if scores['problem'] is not None:
            names = SELO_COLUMNS + (() if self.soft_target is None else MEASURES)
            return {**dict.fromkeys(names), 'centers': len(scores['centers']), 'problem': scores['problem']}
        row = {name: scores[name] for name in SELO_COLUMNS}
        if self.soft_target is not None:
            everywhere, inside = histogram(gray), self._inside(gray)
            row |= {
                'pointing': pointing_accuracy(inside, everywhere),
                'pixel_ap': average_precision(inside, everywhere),
                'soft_iou': soft_iou(gray, self.soft_target),
                'distractor_mass': None if self.distractors is None else mass_share(gray, self.distractors),
            }
        return {**row, 'centers': len(scores['centers']), 'problem': None}

    def _inside(self, gray: np.ndarray) -> np.ndarray:
        """Histogram of the referent's pixels, each counted once."""
        fills = self.target.fills
        if len(fills) > 1:
            return histogram(gray, ceiling_map(self.target))
        ((left, top, fill),) = fills
        return histogram(gray[top : top + fill.shape[0], left : left + fill.shape[1]], fill)


@dataclass(frozen=True)
class MaskScorer:
    """Overlap with the region's mask; arguments as of :class:`~xemap.evaluation.MaskMetric`."""

    threshold: float = 0.5
    empty: int = 1
    size: Size | None = None

    def __call__(self, answer: Answers, query: Query, size: Size, references: bool) -> Row:
        target = query.region.mask(size)
        if self.size is not None:
            size = self.size
            target = cv2.resize(target.view(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST_EXACT).view(bool)
        prediction = answer.masks(size, self.threshold)[0]
        pixels, area = int(np.count_nonzero(target)), size[0] * size[1]
        row = self._columns('mask', *mask_overlap(prediction, target)) | {'area_share': pixels / area, 'problem': None}
        return row | self._columns('floor_mask', pixels, area) if references else row

    def _columns(self, name: str, intersection: int, union: int) -> Row:
        iou = float(overlap_ratio(np.array([intersection]), np.array([union]), self.empty)[0])
        return {f'{name}_iou': iou, f'{name}_intersection': intersection, f'{name}_union': union}


@dataclass(frozen=True)
class BoxScorer:
    """Overlap with the region's box; arguments as of :class:`~xemap.evaluation.BoxMetric`."""

    protocol: str = 'default'
    threshold: float = 0.5
    mean_box: tuple[float, float, float, float] | None = None

    def __call__(self, answer: Answers, query: Query, size: Size, references: bool) -> Row:
        target = query.region.box(size)
        share = float((target[2:] - target[:2]).prod()) / (size[0] * size[1])
        if not share:
            return {'problem': NO_REFERENT, 'area_share': share}
        prediction = answer.boxes(size, self.threshold)[0]
        row = self._columns('box', prediction, target, size)
        row |= {f'box_{corner}': float(value) for corner, value in zip(('x0', 'y0', 'x1', 'y1'), prediction)}
        row |= {'area_share': share, 'problem': None}
        if references:
            sides = np.array([size[1], size[0]] * 2, np.float64)
            row |= self._columns('floor_box', sides * (0, 0, 1, 1), target, size)
            if self.mean_box is not None:
                row |= self._columns('mean_box', sides * self.mean_box, target, size)
        return row

    def _columns(self, name: str, prediction: np.ndarray, target: np.ndarray, size: Size) -> Row:
        intersection, union = box_areas(prediction[None], target[None], self.protocol, np.array(size))
        iou = float(overlap_ratio(intersection, union, empty=0)[0])
        return {f'{name}_iou': iou, f'{name}_intersection': float(intersection[0]), f'{name}_union': float(union[0])}


def gray_map(answer: Answers | np.ndarray, size: Size) -> np.ndarray:
    """The map of an answer to one query at the image's size, (H, W) uint8, by bilinear interpolation.

    Raises:
        DataError: the map has values out of range, or an array has another size.
    """
    if isinstance(answer, np.ndarray):
        if answer.shape != size:
            raise DataError(f'map of {answer.shape} for an image of {size} (height, width); give an Answers object')
        return to_gray8(answer)
    return to_gray8(answer.maps(size)[0])


def distractor_mask(query: Query, size: Size) -> np.ndarray | None:
    """(H, W) bool of the recorded distractors without the referent itself; None where none are recorded."""
    distractors = query.distractors
    if distractors is None or distractors.is_empty:
        return None
    return distractors.mask(size) & ~query.region.mask(size)
