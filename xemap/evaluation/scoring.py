"""One map against the region of one query, in whatever process: numpy and OpenCV only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from xemap.errors import DataError
from xemap.evaluation.functional.selo import SeloTarget, bound_metrics, score_map, selo_target, to_gray8, united_target
from xemap.evaluation.report import BOUNDS, SCORES
from xemap.raster.resize import resize_map
from xemap.structures import PolygonRegion, Region


@dataclass(frozen=True)
class ScoringTask:
    """What is needed to score one map.

    Args:
        pred: (h, w) float in [0, 1] or uint8, of any resolution.
        region: where the query's referents are.
        size: (height, width) of the original image, at which the map is scored.
        protocol: see :mod:`xemap.evaluation.functional.selo`.
        min_region_area: see :class:`~xemap.evaluation.SeLoMetric`.
        with_bounds: score a uniform map and the true mask, too.
    """

    pred: np.ndarray
    region: Region
    size: tuple[int, int]
    protocol: str
    min_region_area: float
    with_bounds: bool


def score_task(task: ScoringTask) -> dict[str, Any]:
    """Score a map at the size of its image.

    Returns:
        - ``scores``: the four scores, ``centers`` (their number) and ``problem``, as in a report's row;
        - ``share``: of the region in the image's area;
        - ``bounds``: ``floor_rmi`` … ``ceiling_rda``; None where they were not asked for.

    Raises:
        DataError: map and region do not fit, or the map has values out of range.
    """
    gray = to_original_size(task.pred, task.size)
    target = _target(task)
    scores = score_map(gray, target)
    bounds = None
    if task.with_bounds:
        of_bounds = bound_metrics(target)
        bounds = {f'{bound}_{score}': of_bounds[bound][score] for bound in BOUNDS for score in SCORES}
    return {
        'scores': {
            **{score: scores[score] for score in SCORES},
            'centers': len(scores['centers']),
            'problem': scores['problem'],
        },
        'share': target.pixels / (task.size[0] * task.size[1]),
        'bounds': bounds,
    }


def as_array(pred: Any) -> np.ndarray:
    """Maps, tensor or array, as an array on the CPU; a tensor's in single precision."""
    return pred if isinstance(pred, np.ndarray) else pred.detach().float().cpu().numpy()


def to_original_size(pred: Any, size: tuple[int, int]) -> np.ndarray:
    """A predicted map, tensor or array of (h, w), as (H, W) uint8 by bilinear interpolation."""
    pred = as_array(pred)
    if pred.ndim != 2:
        raise DataError(f'map of shape {pred.shape}; the model must set pred_maps of shape (queries, h, w)')
    return to_gray8(pred if pred.shape == size else resize_map(pred.astype(np.float32), size))


def _target(task: ScoringTask) -> SeloTarget:
    region, size = task.region, task.size
    if isinstance(region, PolygonRegion):
        target = selo_target if region.hand_drawn else united_target
        return target(region.polygons(size), size, task.protocol)
    outlines = region.polygons(size, task.min_region_area * size[0] * size[1])
    if not outlines:
        every = region.polygons(size)
        outlines = [max(every, key=lambda outline: cv2.contourArea(outline.astype(np.float32)))] if every else []
    return selo_target(outlines, size, task.protocol, mask=region.mask(size))
