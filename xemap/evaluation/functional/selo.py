"""The SeLo metrics Rsu, Ras, Rda and Rmi as pure functions.

Equation numbers are those of "Learning to Evaluate Performance of Multi-modal Semantic Localization"
(Yuan et al.), which defines the metrics. Two protocols:

``reference``
    What the authors' evaluator computes, and so what every published number is. Polygons are filled
    together by the even-odd rule, alpha is 0.707, centers and radii of regions are truncated to
    pixels, Ras applies its exponential to the mean over regions, Rda halves its first term only.

``paper``
    The printed equations. Polygons are filled one by one and their sums added, alpha is 0.694,
    nothing is truncated, the exponential is applied to each region, Rda halves both terms. Where the
    print leaves a choice: eq. (11) is taken as the average that the text names, not the sum it
    prints (a sum would let Ras exceed 1); a region without a center has offset 1; centers are found
    as in ``reference``, since the paper gives neither window nor threshold.

========  =====================================================================  ==============
metric    measures                                                               best, worst
========  =====================================================================  ==============
Rsu       share of the attention that lies inside, against the share of area     1, 0
Ras       distance of the centers of attention from the region's center          0, 1
Rda       whether attention in a region has one center (1), several, none (0)    1, 0
Rmi       0.4 Rsu + 0.35 (1 - Ras) + 0.25 Rda                                    1, 0
========  =====================================================================  ==============
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from xemap.errors import ConfigError, DataError
from xemap.evaluation.functional.centers import attention_centers
from xemap.evaluation.functional.united import united_polygons

PROTOCOLS = ('reference', 'paper')

ALPHA = {'reference': 0.707, 'paper': 0.694}
EPS = 1e-7
EXPANSION = 1.5
"""Radius of a candidate region over the mean distance of its vertices from its center, eq. (9)."""
BETA = 3.0
ETA = 0.5
WEIGHTS = (0.4, 0.35, 0.25)
"""Weights for Rsu, 1 - Ras and Rda in Rmi, eq. (16)."""

NO_POLYGON = 'no polygon'
EMPTY_MASK = 'region covers no pixel of the image'
ZERO_RADIUS = 'polygon of radius 0'
OVERLAP = 'overlapping polygons count for more than the whole map (protocol paper)'

_RANGE_TOLERANCE = 1e-3  # rounds to the same 8-bit value; half precision needs about this much
_ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class SeloTarget:
    """What a map is compared with: made once for a query, used for any number of maps.

    Args:
        size: (height, width) of the maps.
        protocol: one of :data:`PROTOCOLS`.
        fills: (left, top, (h, w) uint8 of 0 and 255) of each filled area, cut to its bounding box.
        regions: (N, 3) center x, y and radius of each polygon, eqs. (8) and (9); int64 under
            ``reference``, float64 under ``paper``.
        pixels: sum of the fills' areas.
        problem: why no map can be scored against this target; None where all is well.
    """

    size: tuple[int, int]
    protocol: str
    fills: list[tuple[int, int, np.ndarray]]
    regions: np.ndarray
    pixels: int
    problem: str | None


def selo_metrics(
    map: np.ndarray,
    polygons: Sequence[np.ndarray],
    protocol: str = 'reference',
    mask: np.ndarray | None = None,
) -> dict[str, Any]:
    """Score one map against the regions of one query.

    Args:
        map: (H, W) uint8, 255 = 1, or float in [0, 1], which is rounded to 8 bits first (halves to
            even), because the reference works on 8-bit maps.
        polygons: (V, 2) x, y pixels of the map, V >= 1; may reach beyond the map.
        protocol: one of :data:`PROTOCOLS`.
        mask: (H, W) bool; takes the place of the filled polygons in Rsu. For regions that are masks,
            whose ``polygons`` are their outlines.

    Returns:
        - ``rmi``, ``rsu``, ``ras``, ``rda``: float. A value that is not defined is NaN, and so is then
          ``rmi``.
        - ``problem``: why a value is not defined, one of the constants of this module; else None.
        - ``centers``: (K, 2) int64 x, y, see :func:`attention_centers`.
        - ``regions``: (N, 3), see :class:`SeloTarget`.
        - ``offsets``: (N,) float64, mean distance in pixels of a region's centers from its own; its
          radius where it has none.
        - ``mask_pixels``: int, area of the regions.

    A region of radius 0 is a problem, whatever the map; the reference divides by zero there.

    Raises:
        DataError: map, mask or a polygon of wrong shape, type or range.
        ConfigError: unknown protocol.
    """
    gray = to_gray8(map)
    return score_map(gray, selo_target(polygons, gray.shape, protocol, mask))


def united_target(polygons: Sequence[np.ndarray], size: tuple[int, ...], protocol: str = 'reference') -> SeloTarget:
    """As :func:`selo_target`, of polygons made from labels: they are united, each connected part is one region.

    The even-odd rule would cut holes where boxes overlap, and of two equal ones leave the outline only.
    """
    checked = [_check_polygon(polygon) for polygon in polygons]
    if len(checked) < 2:
        return selo_target(checked, size, protocol)
    mask = np.zeros(tuple(size), np.uint8)
    for polygon in checked:
        cv2.fillPoly(mask, [polygon.astype(np.int32)], 1)
    return selo_target(united_polygons(checked), size, protocol, mask.view(bool))


def selo_target(
    polygons: Sequence[np.ndarray],
    size: tuple[int, ...],
    protocol: str = 'reference',
    mask: np.ndarray | None = None,
) -> SeloTarget:
    """Fill the polygons and measure their regions; arguments and errors as in :func:`selo_metrics`.

    Args:
        size: (height, width) of the maps to come.
    """
    if protocol not in PROTOCOLS:
        raise ConfigError(f'SeLo protocol "{protocol}" is unknown; use one of {", ".join(PROTOCOLS)}')
    height, width = size
    checked = [_check_polygon(polygon) for polygon in polygons]
    if mask is not None:
        if mask.shape != (height, width) or mask.dtype != np.bool_:
            raise DataError(
                f'mask of shape {mask.shape} and type {mask.dtype} for a map of {height} x {width}; '
                "give a bool mask of the map's size"
            )
        filled = [np.where(mask, np.uint8(255), np.uint8(0))]
    elif protocol == 'reference':
        filled = [_fill(checked, (height, width))] if checked else []
    else:
        filled = [_fill([polygon], (height, width)) for polygon in checked]
    fills = [_cut(fill) for fill in filled]
    pixels = sum(cv2.countNonZero(fill) for _, _, fill in fills if fill.size)
    regions = _regions(checked, truncate=protocol == 'reference')
    problem = None
    if not checked:
        problem = NO_POLYGON
    elif not pixels:
        problem = EMPTY_MASK
    elif (regions[:, 2] == 0).any():
        problem = ZERO_RADIUS
    return SeloTarget((height, width), protocol, fills, regions, pixels, problem)


def score_map(gray: np.ndarray, target: SeloTarget) -> dict[str, Any]:
    """Score an (H, W) uint8 map against a target; returns what :func:`selo_metrics` does."""
    if gray.shape != target.size:
        raise DataError(
            f"map of {gray.shape} for a target of {target.size} (height, width); bring the map to the image's size"
        )
    centers = attention_centers(gray)
    rsu, problem = _significant_area(gray, target)
    ras, rda, offsets = _shift_and_discreteness(centers, target)
    w_su, w_as, w_da = WEIGHTS
    return {
        'rmi': w_su * rsu + w_as * (1 - ras) + w_da * rda,
        'rsu': rsu,
        'ras': ras,
        'rda': rda,
        'problem': target.problem or problem,
        'centers': centers,
        'regions': target.regions,
        'offsets': offsets,
        'mask_pixels': target.pixels,
    }


def floor_map(target: SeloTarget) -> np.ndarray:
    """A map that knows nothing: 1 everywhere. (H, W) uint8.

    Any other constant of at least 0.5 has the same score; below 0.5 there is no center of attention,
    and Ras and Rda are at their worst.
    """
    return np.full(target.size, 255, np.uint8)


def ceiling_map(target: SeloTarget) -> np.ndarray:
    """The ground-truth mask as a map, 1 inside and 0 outside. (H, W) uint8.

    It scores below 1: only the highest peak within 500 pixels counts, which costs queries with
    several regions, and a region's center is not always where its smoothed mask peaks.
    """
    mask = np.zeros(target.size, np.uint8)
    for left, top, fill in target.fills:
        part = mask[top : top + fill.shape[0], left : left + fill.shape[1]]
        np.maximum(part, fill, out=part)
    return mask


def bound_metrics(target: SeloTarget) -> dict[str, dict[str, Any]]:
    """Scores of :func:`floor_map` and :func:`ceiling_map`, under ``'floor'`` and ``'ceiling'``."""
    return {
        'floor': score_map(floor_map(target), target),
        'ceiling': score_map(ceiling_map(target), target),
    }


def to_gray8(map: np.ndarray) -> np.ndarray:
    """Check a map and bring it to 8 bits.

    Args:
        map: (H, W) uint8, returned as it is, or float in [0, 1].

    Returns:
        (H, W) uint8: round(255 * map), halves to even.

    Raises:
        DataError: not two-dimensional, empty, of another type, not finite, or out of range by more
            than 0.001 (which half precision may be).
    """
    if not isinstance(map, np.ndarray):
        raise DataError(f'map of type {type(map).__name__}; give a numpy array, uint8 or float in [0, 1]')
    if map.ndim != 2 or not map.size:
        raise DataError(f'map of shape {map.shape}; give one map of shape (height, width)')
    if map.dtype == np.uint8:
        return map
    if not np.issubdtype(map.dtype, np.floating):
        raise DataError(f'map of type {map.dtype}; give uint8 or float in [0, 1]')
    low, high = map.min(), map.max()
    if np.isnan(low) or np.isnan(high):
        raise DataError('map with the value nan; every pixel needs a value in [0, 1]')
    if low < -_RANGE_TOLERANCE or high > 1 + _RANGE_TOLERANCE:
        worst = low if low < -_RANGE_TOLERANCE else high
        raise DataError(f'map with the value {worst:g}; float maps lie in [0, 1], maps of 0..255 are uint8')
    gray = np.empty(map.shape, np.uint8)
    precision = np.promote_types(map.dtype, np.float32)
    for start in range(0, len(map), _ROWS_AT_ONCE):
        rows = map[start : start + _ROWS_AT_ONCE].astype(precision) * 255
        gray[start : start + _ROWS_AT_ONCE] = np.clip(np.rint(rows), 0, 255)
    return gray


def _check_polygon(polygon: np.ndarray) -> np.ndarray:
    array = np.asarray(polygon, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 2 or not len(array):
        raise DataError(f'polygon of shape {array.shape}; give (V, 2) x, y pixels with V >= 1')
    outside = array[~(np.abs(array) < 2**31)]  # nan and inf included
    if outside.size:
        raise DataError(f'polygon with the coordinate {outside[0]:g}; coordinates are pixels of the image')
    return array


def _fill(polygons: list[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """(H, W) uint8, 255 inside: borders in, overlaps by the even-odd rule."""
    mask = np.zeros(size, np.uint8)
    cv2.fillPoly(mask, [polygon.astype(np.int32) for polygon in polygons], 255)
    return mask


def _cut(fill: np.ndarray) -> tuple[int, int, np.ndarray]:
    left, top, width, height = cv2.boundingRect(fill)
    return left, top, fill[top : top + height, left : left + width].copy()


def _regions(polygons: list[np.ndarray], truncate: bool) -> np.ndarray:
    """Center and radius of each polygon, eqs. (8) and (9); repeated vertices count as often."""
    regions = np.zeros((len(polygons), 3), np.int64 if truncate else np.float64)
    for region, vertices in zip(regions, polygons):
        region[:2] = vertices.mean(axis=0)  # to an int64 array numpy truncates
        region[2] = EXPANSION * np.linalg.norm(vertices - region[:2], axis=1).mean()
    return regions


def _significant_area(gray: np.ndarray, target: SeloTarget) -> tuple[float, str | None]:
    """Rsu, eqs. (5) to (7), and why it is not defined. Sums are of integers, hence exact."""
    if not target.pixels:
        return float('nan'), None
    inside = 0.0
    for left, top, fill in target.fills:
        if fill.size:
            part = gray[top : top + fill.shape[0], left : left + fill.shape[1]]
            inside += cv2.sumElems(cv2.bitwise_and(part, fill))[0]
    outside = cv2.sumElems(gray)[0] - inside
    if outside < 0 or target.pixels > gray.size:
        return float('nan'), OVERLAP
    attention_ratio = (inside / 255) / (outside / 255 + EPS)
    area_ratio = (gray.size - target.pixels) / target.pixels
    return float(1 - np.exp(-ALPHA[target.protocol] * attention_ratio * area_ratio)), None


def _shift_and_discreteness(centers: np.ndarray, target: SeloTarget) -> tuple[float, float, np.ndarray]:
    """Ras, eqs. (11) and (12); Rda, eqs. (13) to (15); the regions' offsets in pixels."""
    offsets, shifts, discreteness = [], [], []
    for *center, radius in target.regions:
        distances = np.linalg.norm(centers - np.array(center), axis=1)
        near = distances <= radius
        offset = float(distances[near].mean()) if near.any() else float(radius)
        offsets.append(offset)
        shifts.append(offset / radius if radius else float('nan'))
        discreteness.append(_discreteness(centers[near], radius, target.protocol))
    if not offsets:
        return float('nan'), float('nan'), np.zeros(0)
    if target.protocol == 'reference':
        ras = _exponential(np.mean(shifts))
    else:
        ras = np.mean(_exponential(np.array(shifts)))
    return float(ras), float(np.mean(discreteness)), np.array(offsets)


def _exponential(shift):
    return np.expm1(BETA * shift) / np.expm1(BETA)


def _discreteness(centers: np.ndarray, radius: float, protocol: str) -> float:
    """Rda of one region, from the centers within its radius."""
    count = len(centers)
    if count < 2:
        return float(count)
    if not radius:
        return float('nan')
    spread = np.linalg.norm(centers - centers.mean(axis=0), axis=1).mean() / radius
    crowd = np.exp(-ETA * (count + 2))
    return float(0.5 * (1 - spread) + crowd if protocol == 'reference' else 0.5 * (1 - spread + crowd))
