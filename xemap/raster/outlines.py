"""From a mask to polygons along the edges of its pixels, holes kept, without a loop over pixels.

The mask is seen a strip of rows at a time; what is kept are its corners. Corners in a row belong together in
pairs, the ends of a horizontal edge, and those in a column, the ends of a vertical edge; following pairs in turn
walks around a ring. Pixels that touch at a corner only belong to different polygons.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

_ABOVE_LEFT, _ABOVE, _LEFT, _HERE = 1, 2, 4, 8
_FALLING, _RISING = _ABOVE_LEFT | _HERE, _ABOVE | _LEFT
"""Two pixels that touch at a corner: two corners in one place."""


def outline_polygons(strips: Iterable[np.ndarray]) -> np.ndarray:
    """Polygons of the 4-connected regions of a mask.

    Args:
        strips: (n, W) bool, from top to bottom, together the mask.

    Returns:
        (P,) shapely Polygons in x, y; (0, 0) is the outer corner of the top left pixel, so that their areas are
        numbers of pixels.
    """
    y, x, code = (np.concatenate(part) for part in zip(*_corners(strips)))
    if not len(y):
        return np.empty(0, object)
    coordinates, ring = _rings(y, x, code)
    ends = np.flatnonzero(np.diff(ring, append=-1)) + 1
    starts = np.concatenate([[0], ends[:-1]])
    following = np.arange(1, len(ring) + 1)
    following[ends - 1] = starts
    cross = coordinates[:, 0] * coordinates[following, 1] - coordinates[following, 0] * coordinates[:, 1]
    outer = np.add.reduceat(cross, starts) > 0
    return _with_holes(shapely.linearrings(coordinates, indices=ring), outer)


def _corners(strips: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """y, x and the four pixels around each corner, by rows; corners of touching pixels twice."""
    y, last = 0, None
    for strip in strips:
        first = np.zeros_like(strip[:1]) if last is None else last
        yield _corners_between(np.concatenate([first, strip]), y)
        y, last = y + len(strip), strip[-1:]
    if last is not None:
        yield _corners_between(np.concatenate([last, np.zeros_like(last)]), y)
    yield (np.zeros(0, np.int64),) * 3


def _corners_between(rows: np.ndarray, y: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    padded = np.pad(rows, ((0, 0), (1, 1))).view(np.uint8)
    pairs = padded[:-1] * _ABOVE_LEFT + padded[1:] * _LEFT  # of a column: above, here
    code = pairs[:, :-1] + pairs[:, 1:] * 2
    straight = (0, 3, 5, 10, 12, 15)
    found = np.ones(16, bool)
    found[list(straight)] = False
    at = np.flatnonzero(found[code])
    at = np.repeat(at, 1 + np.isin(code.ravel()[at], (_FALLING, _RISING)))
    return at // code.shape[1] + y, at % code.shape[1], code.ravel()[at].astype(np.int64)


def _rings(y: np.ndarray, x: np.ndarray, code: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 2) x, y ring by ring, the mask to the right of the way; and the number of their ring (V,)."""
    index = np.arange(len(y))
    second = index % 2  # ends a horizontal edge; of two corners in one place the first has the edge to the left
    # Two corners in one place: each goes around its own pixel, so one of them has the edge upwards.
    upwards = np.where(code == _RISING, 1 - second, second)
    by_column = np.lexsort((np.where(np.isin(code, (_FALLING, _RISING)), 1 - upwards, 0), y, x))
    across = index ^ 1
    along = np.empty_like(index)
    along[by_column] = by_column[index ^ 1]
    forward = np.where(second == 0, code & _HERE, code & _ABOVE_LEFT) > 0
    start = np.flatnonzero(forward)
    number = np.cumsum(forward) - 1
    after = number[along[across[start]]]
    order, ring = _walk(after)
    vertices = np.stack([start[order], across[start[order]]], 1).ravel()
    return np.stack([x[vertices], y[vertices]], 1).astype(np.float64), np.repeat(ring, 2)


def _walk(after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Elements of a permutation cycle by cycle, each in its order, and the number of their cycle."""
    count = len(after)
    here = np.arange(count)
    cycles, cycle = connected_components(coo_array((np.ones(count, bool), (here, after)), shape=(count, count)))
    lengths = np.bincount(cycle, minlength=cycles)
    root = np.full(cycles, count)
    np.minimum.at(root, cycle, here)
    steps, jump = np.ones(count, np.int64), after.copy()  # to the root, doubled until all have reached it
    steps[root], jump[root] = 0, root
    for _ in range(int(lengths.max()).bit_length()):
        steps += steps[jump]
        jump = jump[jump]
    order = np.lexsort(((-steps) % lengths[cycle], cycle))
    return order, cycle[order]


def _with_holes(rings: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """Polygons of the outer rings, each with the inner rings that lie in it and in no smaller one."""
    shells, holes = shapely.polygons(rings[outer]), shapely.polygons(rings[~outer])
    polygons = shells.copy()
    if len(holes):
        hole, shell = shapely.STRtree(shells).query(holes, predicate='covered_by')
        order = np.lexsort((shapely.area(shells)[shell], hole))
        hole, first = np.unique(hole[order], return_index=True)
        owner = shell[order][first]
        by_owner = np.argsort(owner, kind='stable')
        owners, begins = np.unique(owner[by_owner], return_index=True)
        inner = rings[~outer][hole[by_owner]]
        for i, own in zip(owners, np.split(inner, begins[1:])):
            polygons[i] = shapely.Polygon(shells[i].exterior, own)
    broken = ~shapely.is_valid(polygons)  # a ring that meets itself at a corner: its loops are holes
    polygons[broken] = shapely.buffer(polygons[broken], 0)
    return polygons
