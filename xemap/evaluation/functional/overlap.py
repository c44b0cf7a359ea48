"""Overlap of masks and boxes: oIoU, mIoU, meanIoU, cumIoU and Pr@X, as pure functions.

Two counts of every query are all that these scores need: the area of the intersection of prediction and target, I, and
that of their union, U. With IoU = I / U,

==================  ======================================================================================
oIoU, cumIoU        sum of I over sum of U: large referents weigh more; eq. (19) of CroBIM, eq. (17) of MLCM
mIoU, meanIoU       mean of IoU: every query weighs the same; eqs. (20) and (16)
Pr@X                share of queries with an IoU above X
==================  ======================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xemap.errors import ConfigError, DataError

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""The X of Pr@X."""

BOX_PROTOCOLS = ('default', 'legacy')

LEGACY_SIDE = 640
"""Side in pixels of the square input whose coordinates protocol ``legacy`` rounds to."""
LEGACY_IMAGE = (800, 800)
"""(height, width) of DIOR-RSVG's images, which ``legacy`` assumes where no size is given."""


def mask_metrics(
    predictions: Sequence[np.ndarray], targets: Sequence[np.ndarray], strict: bool = True, empty: int = 1
) -> dict[str, float]:
    """Scores of masks, one pair per query.

    Args:
        predictions, targets: (H, W) bool each; sizes may differ between queries, not within a pair.
        strict: Pr@X counts IoU > X, as the papers say; False counts IoU >= X, as the code of LAVT and RMSIN does.
        empty: IoU of a query with nothing in prediction and target: 1, it is answered right; 0 as in that code.

    Returns:
        ``oiou``, ``miou``, ``pr@0.5`` … ``pr@0.9`` in [0, 1].

    Raises:
        ConfigError: ``empty`` is neither 0 nor 1.
        DataError: no query, unequal numbers, or arrays of other types or shapes.
    """
    if len(predictions) != len(targets):
        raise DataError(f'{len(predictions)} predicted masks for {len(targets)} targets; give one for each query')
    areas = np.array([mask_overlap(*pair) for pair in zip(predictions, targets)], np.float64).reshape(-1, 2)
    oiou, miou, shares = overlap_scores(areas[:, 0], areas[:, 1], strict, empty)
    return {'oiou': oiou, 'miou': miou, **shares}


def box_metrics(
    predictions: np.ndarray, targets: np.ndarray, protocol: str = 'default', sizes: np.ndarray | None = None
) -> dict[str, float]:
    """Scores of boxes, one pair per query; areas as in :func:`box_overlap`, Pr@X counts IoU > X.

    Args:
        predictions, targets: (M, 4) x0, y0, x1, y1 in pixels of the original images.
        protocol: ``'default'`` scores against the exact target. ``'legacy'`` against what MLCM's code makes of it,
            see :func:`legacy_targets`; an exact answer is then no longer perfect.
        sizes: (M, 2) height and width of the images, or one pair for all; predictions are cut to them. None cuts
            nothing under ``default`` and takes :data:`LEGACY_IMAGE` under ``legacy``.

    Returns:
        ``meaniou``, ``cumiou``, ``pr@0.5`` … ``pr@0.9`` in [0, 1].

    Raises:
        ConfigError: unknown protocol.
        DataError: no query, or boxes of wrong shapes or values.
    """
    intersection, union = box_areas(predictions, targets, protocol, sizes)
    cumiou, meaniou, shares = overlap_scores(intersection, union, strict=True, empty=0)
    return {'meaniou': meaniou, 'cumiou': cumiou, **shares}


def mask_overlap(prediction: np.ndarray, target: np.ndarray) -> tuple[int, int]:
    """Pixels in the intersection and in the union of two (H, W) bool masks.

    Raises:
        DataError: arrays of another type, or of different shapes.
    """
    prediction, target = np.asarray(prediction), np.asarray(target)
    for name, mask in (('prediction', prediction), ('target', target)):
        if mask.dtype != np.bool_ or mask.ndim != 2:
            raise DataError(f'{name} mask of type {mask.dtype} and shape {mask.shape}; give (H, W) bool')
    if prediction.shape != target.shape:
        raise DataError(f'masks of {prediction.shape} and {target.shape}; bring them to one size')
    intersection = int(np.count_nonzero(prediction & target))
    return intersection, int(np.count_nonzero(prediction)) + int(np.count_nonzero(target)) - intersection


def box_overlap(predictions: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Area of the intersection and of the union of each pair of boxes; a box's area is (x1 - x0) (y1 - y0).

    Args:
        predictions: (M, 4) x0, y0, x1, y1; a box turned inside out, which a network may predict, is empty.
        targets: (M, 4) with x0 <= x1 and y0 <= y1.

    Returns:
        two (M,) float64.

    Raises:
        DataError: arrays of other shapes, a value that is not finite, or a target turned inside out.
    """
    a, b = np.asarray(predictions, np.float64), np.asarray(targets, np.float64)
    if a.shape != b.shape or a.ndim != 2 or a.shape[1] != 4:
        raise DataError(f'boxes of shapes {a.shape} and {b.shape}; give two of (M, 4) x0, y0, x1, y1')
    for boxes in (a, b):
        if not np.isfinite(boxes).all():
            bad = boxes[~np.isfinite(boxes).all(1)][0]
            raise DataError(f'box {bad.tolist()}; give finite x0, y0, x1, y1')
    turned = (b[:, :2] > b[:, 2:]).any(1)
    if turned.any():
        raise DataError(f'target box {b[turned][0].tolist()}; give x0, y0, x1, y1 with x0 <= x1 and y0 <= y1')
    intersection = (np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])).clip(0).prod(1)
    areas = (a[:, 2:] - a[:, :2]).clip(0).prod(1)
    # Rounding must not make a union smaller than its intersection.
    return intersection, np.maximum(areas + (b[:, 2:] - b[:, :2]).prod(1) - intersection, intersection)


def box_areas(
    predictions: np.ndarray, targets: np.ndarray, protocol: str = 'default', sizes: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Intersection and union of each pair under a protocol; arguments and errors as in :func:`box_metrics`."""
    if protocol not in BOX_PROTOCOLS:
        raise ConfigError(f'box protocol "{protocol}" is unknown; use one of {", ".join(BOX_PROTOCOLS)}')
    predictions, targets = np.asarray(predictions, np.float64), np.asarray(targets, np.float64)
    if predictions.shape != targets.shape or predictions.ndim != 2 or predictions.shape[1] != 4:
        raise DataError(f'boxes of shapes {predictions.shape} and {targets.shape}; give two of (M, 4) x0, y0, x1, y1')
    if sizes is None and protocol == 'legacy':
        sizes = np.array(LEGACY_IMAGE)
    if sizes is not None:
        sizes = np.asarray(sizes, np.float64)
        if sizes.shape not in ((2,), (len(targets), 2)) or not (sizes > 0).all():
            raise DataError(f'image sizes of shape {sizes.shape}; give ({len(targets)}, 2) height, width above 0')
        sizes = np.broadcast_to(sizes, (len(targets), 2))
        predictions = np.minimum(predictions.clip(min=0), np.tile(sizes[:, ::-1], 2))
        if protocol == 'legacy':
            targets = legacy_targets(targets, sizes)
    return box_overlap(predictions, targets)


def legacy_targets(targets: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Target boxes as MLCM's code scores them.

    It brings a box into the letterboxed 640 x 640 input, truncates it to whole pixels there, cuts it at 639, and
    brings it back: each corner moves by less than a pixel of the input towards the origin.

    Args:
        targets: (M, 4) x0, y0, x1, y1 in pixels of the original images.
        sizes: (M, 2) height and width of the images.

    Returns:
        (M, 4) float64, in pixels of the original images.
    """
    sizes = np.asarray(sizes, np.float64)[:, ::-1]  # width, height, as x, y
    ratio = LEGACY_SIDE / sizes.max(1, keepdims=True)
    border = (LEGACY_SIDE - np.rint(sizes * ratio)) / 2
    offset = np.tile(border, 2)
    rounded = np.trunc(np.asarray(targets, np.float64) * ratio + offset).clip(0, LEGACY_SIDE - 1)
    return (rounded - offset) / ratio


def overlap_scores(
    intersection: np.ndarray, union: np.ndarray, strict: bool = True, empty: float = 1
) -> tuple[float, float, dict[str, float]]:
    """Ratio of sums, mean of ratios, and Pr@X.

    Args:
        intersection, union: (M,) intersection and union of each query.
        strict, empty: see :func:`mask_metrics`.

    Returns:
        sum(I) / sum(U); mean(I / U); ``pr@0.5`` … ``pr@0.9``.

    Raises:
        ConfigError, DataError: as :func:`mask_metrics`.
    """
    if not len(intersection):
        raise DataError('no query to score; give at least one prediction with its target')
    iou = overlap_ratio(intersection, union, empty)
    total = np.sum(union)
    ratio_of_sums = float(np.sum(intersection) / total) if total else float(empty)
    return ratio_of_sums, float(iou.mean()), {f'pr@{x:g}': float(passes(iou, x, strict).mean()) for x in THRESHOLDS}


def overlap_ratio(intersection: np.ndarray, union: np.ndarray, empty: float = 1) -> np.ndarray:
    """IoU of each query, (M,) float64 in [0, 1]; ``empty`` where the union is 0.

    Raises:
        ConfigError: ``empty`` is neither 0 nor 1.
        DataError: an intersection that is negative or larger than its union.
    """
    if empty not in (0, 1):
        raise ConfigError(f'IoU of an empty prediction and target: empty={empty!r}; use 0 or 1')
    intersection, union = np.asarray(intersection, np.float64), np.asarray(union, np.float64)
    if not ((intersection >= 0) & (intersection <= union)).all():
        raise DataError('an intersection is negative or larger than its union; give intersections and unions in order')
    return np.divide(intersection, union, out=np.full(len(intersection), float(empty)), where=union > 0)


def passes(iou: np.ndarray, threshold: float, strict: bool = True) -> np.ndarray:
    """Whether Pr@``threshold`` counts each IoU, (M,) bool."""
    return iou > threshold if strict else iou >= threshold
