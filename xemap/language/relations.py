"""Relations between objects: what "next to" or "between" means.

Functions take the :class:`~xemap.language.geometry.Geometry` of an image, the (n,) indices of the objects
that are judged, and the indices of the anchors; they return (n,) verdicts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import shapely
from shapely.ops import nearest_points

from xemap.language.geometry import Geometry
from xemap.language.verdicts import DOUBT, NO, YES, above, below, unless

NEIGHBORS = ('next to', 'surrounded by', 'far from', 'closest to', 'farthest from')
"""Relations to any number of anchors."""
DIRECTIONS = ('left of', 'right of', 'above', 'below')
COMPARISONS = ('larger than', 'smaller than')
RANKINGS = ('closest to', 'farthest from')
"""Relations that pick the first one of several objects."""
RELATIONS = (*NEIGHBORS, *DIRECTIONS, *COMPARISONS, 'between')
"""All relations; ``'between'`` has two anchors, all others one."""

NEAR_REACH = 0.064
NEAR_BAND = (0.7, 1.55)
"""Gap between neighbors, in units of :data:`NEAR_REACH` or of the root of the smaller one's area, whichever
is less."""
NEAR_OVERLAP = 0.2
"""Neighbors overlap by at most this share of the smaller one; beyond, one may be inside the other."""
FAR_BAND = (0.25, 0.15)
"""Gap to everything that an object is far from."""
CLOSEST_LEAD = 0.06
"""The closest one is nearer than every other by at least this."""
RING_WIDTH = 0.03
RING_BAND = (0.85, 0.6)
"""Share of a ring of that width around a surrounded object that what surrounds it covers."""
LARGER_BAND = (1.6, 1.1)
"""Area of an object over that of the one it is larger than."""
DIRECTION_TILT = (0.5, 1.2)
"""Sideways over forward offset of the centroids: at most the first, or at least the second."""
DIRECTION_OVERLAP = 0.02
"""Bounding boxes of an object left of another overlap by at most this in x."""
WIDE = 0.5
"""An object that reaches through more of the image than this, in x or y, has no direction from another."""
BETWEEN_ANGLE = (150.0, 110.0)
"""Seen from the centroid, the nearest points of the anchors lie at least / at most this many degrees apart."""
BETWEEN_REACH = (0.35, 0.5)
"""Distance of the centroid to either anchor: at most the first, or at least the second."""
BETWEEN_LEAST = 0.02
"""Nearer to an anchor than this, it is unclear; within one it lies between nothing."""
WRAP = (0.15, 60.0)
"""An anchor that comes within this share of its nearest distance more than this many degrees aside leaves
doubt whether anything lies between it and another."""


def next_to(geometry: Geometry, members: np.ndarray, anchors: Sequence[int]) -> np.ndarray:
    others = np.array(anchors)
    tree = shapely.STRtree(geometry.outlines[others])
    reach = NEAR_BAND[1] * NEAR_REACH * geometry.side
    of, near = tree.query(geometry.outlines[members], predicate='dwithin', distance=reach)
    i, j = members[of], others[near]
    smaller = np.minimum(geometry.area[i], geometry.area[j])
    gap = shapely.distance(geometry.outlines[i], geometry.outlines[j]) / geometry.side
    ratio = np.full(len(members), np.inf)
    np.minimum.at(ratio, of, gap / np.minimum(NEAR_REACH, np.sqrt(smaller)))
    verdicts = below(ratio, *NEAR_BAND)
    touching = gap == 0
    common = np.zeros(len(of))
    overlap = shapely.intersection(geometry.outlines[i[touching]], geometry.outlines[j[touching]])
    common[touching] = shapely.area(overlap)
    verdicts[of[common > NEAR_OVERLAP * smaller * geometry.side**2]] = DOUBT
    return verdicts


def far_from(geometry: Geometry, members: np.ndarray, anchors: Sequence[int]) -> np.ndarray:
    return above(geometry.gaps(members, anchors), *FAR_BAND)


def surrounded_by(geometry: Geometry, members: np.ndarray, anchors: Sequence[int]) -> np.ndarray:
    height, width = geometry.size
    image = shapely.box(-0.5, -0.5, width - 0.5, height - 0.5)
    verdicts = np.full(len(members), NO, np.int8)
    for k in np.flatnonzero(geometry.gaps(members, anchors) < RING_WIDTH):
        outline = geometry.outlines[members[k]]
        ring = outline.buffer(RING_WIDTH * geometry.side, quad_segs=4).difference(outline)
        seen = ring.intersection(image)
        parts = shapely.intersection(seen, geometry.outlines[list(anchors)])
        covered = shapely.union_all(parts).area / ring.area
        hidden = 1 - seen.area / ring.area  # nobody knows what lies beyond the border
        yes, no = RING_BAND
        verdicts[k] = YES if covered >= yes else NO if covered + hidden <= no else DOUBT
    return verdicts


def in_direction(geometry: Geometry, members: np.ndarray, anchor: int, direction: str) -> np.ndarray:
    """In one of :data:`DIRECTIONS` from one anchor."""
    center, bounds = geometry.center, geometry.bounds
    axis = 0 if direction in ('left of', 'right of') else 1
    offset = center[anchor] - center[members]
    overlap = bounds[members, axis + 2] - bounds[anchor, axis]
    if direction in ('right of', 'below'):
        offset = -offset
        overlap = bounds[anchor, axis + 2] - bounds[members, axis]
    forward, sideways = offset[:, axis], np.abs(offset[:, 1 - axis])
    ahead = forward > 0
    verdicts = below(sideways / np.where(ahead, forward, 1.0), *DIRECTION_TILT)
    verdicts = unless(overlap > DIRECTION_OVERLAP, verdicts)
    verdicts = np.where(ahead, verdicts, NO).astype(np.int8)
    wide = (geometry.extent(members) > WIDE) | (geometry.extent(np.array([anchor])) > WIDE)
    return np.where(wide, DOUBT, verdicts).astype(np.int8)


def compared(
    geometry: Geometry, members: np.ndarray, anchor: int, relation: str, band: tuple[float, float]
) -> np.ndarray:
    """One of :data:`COMPARISONS` with one anchor.

    Args:
        band: ratio of areas from which on it holds, and up to which it does not.
    """
    ratio = geometry.area[members] / geometry.area[anchor]
    if relation == 'larger than':
        return unless(geometry.cut[anchor], above(ratio, *band))
    return unless(geometry.cut[members], above(1 / ratio, *band))


def between(geometry: Geometry, members: np.ndarray, first: int, second: int) -> np.ndarray:
    return np.array([_between(geometry, i, (first, second)) for i in members], np.int8)


def _between(geometry: Geometry, i: int, anchors: tuple[int, int]) -> int:
    center = geometry.outlines[i].centroid
    rays = []
    for j in anchors:
        point = nearest_points(center, geometry.outlines[j])[1]
        rays.append(np.array([point.x - center.x, point.y - center.y]) / geometry.side)
    lengths = np.array([float(np.hypot(*ray)) for ray in rays])
    if lengths.min() < BETWEEN_LEAST:
        return NO if lengths.min() < 1e-6 else DOUBT
    cosine = float(np.clip(rays[0] @ rays[1] / (lengths[0] * lengths[1]), -1, 1))
    if any(_wraps(geometry, center, j, ray) for j, ray in zip(anchors, rays)):
        return DOUBT
    opposite = below(np.array([-math.degrees(math.acos(cosine))]), *(-angle for angle in BETWEEN_ANGLE))
    return int(min(*opposite, *below(lengths, *BETWEEN_REACH)))


def _wraps(geometry: Geometry, center: shapely.Point, anchor: int, ray: np.ndarray) -> bool:
    """Whether an anchor comes almost as near in quite another direction as along its nearest ray."""
    reach = (1 + WRAP[0]) * float(np.hypot(*ray)) * geometry.side
    near = shapely.get_coordinates(center.buffer(reach).intersection(geometry.outlines[anchor]))
    offsets = near - (center.x, center.y)
    cosine = offsets @ ray / np.maximum(np.hypot(*offsets.T) * np.hypot(*ray), 1e-9)
    return bool((cosine < math.cos(math.radians(WRAP[1]))).any())
