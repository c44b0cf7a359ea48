"""IoU and Pr@X of masks and boxes, the metrics of referring segmentation and comprehension, as pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from xemap.errors import ConfigError, DataError

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)


def mask_overlap(prediction: np.ndarray, target: np.ndarray) -> tuple[int, int]:
    """Pixels in both and in either of two masks.

    Args:
        prediction, target: (H, W) bool.

    Raises:
        DataError: arrays of another type, or of different shapes.
    """
    for name, mask in (('prediction', prediction), ('target', target)):
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.ndim != 2:
            raise DataError(f'{name} mask of {getattr(mask, "dtype", type(mask).__name__)}; give (H, W) bool')
    if prediction.shape != target.shape:
        raise DataError(f'masks of {prediction.shape} and {target.shape}; bring them to one size')
    return int((prediction & target).sum()), int((prediction | target).sum())


def box_overlap(predictions: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Area in both and in either box of each pair.

    Args:
        predictions, targets: (N, 4) x0, y0, x1, y1 with x0 <= x1 and y0 <= y1; areas are (x1 - x0) (y1 - y0).

    Returns:
        two (N,) float64.

    Raises:
        DataError: arrays of other shapes, or a box turned inside out.
    """
    a, b = np.asarray(predictions, np.float64), np.asarray(targets, np.float64)
    if a.shape != b.shape or a.ndim != 2 or a.shape[1] != 4:
        raise DataError(f'boxes of shapes {a.shape} and {b.shape}; give two of (N, 4) x0, y0, x1, y1')
    for boxes in (a, b):
        turned = ~(boxes[:, :2] <= boxes[:, 2:]).all(1)  # NaN included
        if turned.any():
            raise DataError(f'box {boxes[turned][0].tolist()}; give x0, y0, x1, y1 with x0 <= x1 and y0 <= y1')
    inner = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    both = inner.clip(0).prod(1)
    either = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - both
    return both, either


def overlap_metrics(
    overlaps: Iterable[tuple[float, float]], thresholds: Sequence[float] = THRESHOLDS
) -> dict[str, float]:
    """Scores of a set of queries.

    A query with nothing in prediction and target is answered right: IoU 1.

    Args:
        overlaps: intersection and union of each query, as from :func:`mask_overlap`.
        thresholds: the X of Pr@X, in (0, 1].

    Returns:
        ``oiou`` (sum of intersections over sum of unions), ``miou`` (mean of the queries' IoU), ``pr@0.5`` … (share
        of queries whose IoU is above X, as RefCOCO's evaluators count), ``queries``. NaN where there are none.

    Raises:
        ConfigError: a threshold out of range.
        DataError: an intersection larger than its union, or negative.
    """
    if not all(0 < threshold <= 1 for threshold in thresholds):
        raise ConfigError(f'thresholds {tuple(thresholds)} of Pr@X; give numbers in (0, 1]')
    pairs = np.array(list(overlaps), np.float64).reshape(-1, 2)
    both, either = pairs.T
    if not ((both >= 0) & (both <= either)).all():
        raise DataError('an intersection is negative or larger than its union; give (intersection, union) pairs')
    iou = np.divide(both, either, out=np.ones(len(pairs)), where=either > 0)
    empty = float('nan')
    total = either.sum()
    scores = {
        'oiou': (float(both.sum() / total) if total else 1.0) if len(pairs) else empty,
        'miou': float(iou.mean()) if len(pairs) else empty,
    }
    scores |= {f'pr@{x:g}': float((iou > x).mean()) if len(pairs) else empty for x in thresholds}
    return scores | {'queries': len(pairs)}
