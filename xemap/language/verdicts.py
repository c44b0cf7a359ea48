"""What words like "on the left" or "largest" mean for measured objects; shared by drawn and real scenes.

Every condition is three-valued: it holds, it does not, or the object lies in the band between the two,
where people would disagree. Centres are (N, 2) x, y and bounds (N, 4) left, top, right, bottom, both
relative to the image's width and height, y downwards.
"""

from __future__ import annotations

import numpy as np

NO, DOUBT, YES = 0, 1, 2
"""Verdicts, in arrays of int8. Their minimum is the three-valued "and": no wins over doubt, doubt over yes."""

SIDES = ('left', 'right', 'top', 'bottom')
CORNERS = ('top left', 'top right', 'bottom left', 'bottom right')
ZONES = (*SIDES, *CORNERS, 'center')
"""Places in the image. A side includes its two corners: what lies top left is on the left, too."""
EXTREMES = ('leftmost', 'rightmost', 'topmost', 'bottommost')
DIRECTIONS = ('left of', 'right of', 'above', 'below')

SIDE_BAND = (0.38, 0.5)
"""A centroid up to the first is on that side, from the second on it is not."""
SIDE_REACH = 0.64
"""An object on a side reaches at most this far towards the other."""
CENTER_BAND = (0.13, 0.25)
"""The same as :data:`SIDE_BAND` for the distance of a centroid from the middle, in x and in y."""
DIRECTION_TILT = (0.5, 1.2)
"""Sideways over forward offset of the centroids: at most the first, or at least the second."""
DIRECTION_OVERLAP = 0.02
"""Bounding boxes of an object left of another overlap by at most this in x."""


def below(value: np.ndarray, yes: float, no: float) -> np.ndarray:
    """Yes up to ``yes``, no from ``no`` on, doubt between; for ``yes`` > ``no`` see :func:`above`."""
    return np.where(value <= yes, YES, np.where(value >= no, NO, DOUBT)).astype(np.int8)


def above(value: np.ndarray, yes: float, no: float) -> np.ndarray:
    """Yes from ``yes`` on, no up to ``no``, doubt between."""
    return np.where(value >= yes, YES, np.where(value <= no, NO, DOUBT)).astype(np.int8)


def selected(verdicts: np.ndarray) -> np.ndarray:
    """Indices of what is a yes; empty where there is any doubt."""
    return np.flatnonzero(verdicts == YES) if (verdicts != DOUBT).all() else np.empty(0, np.intp)


def leader(values: np.ndarray, largest: bool, lead: float) -> int | None:
    """Index of the largest (else smallest) value; None where it leads the next by less than ``lead``, or
    where there is nothing to compare with."""
    if len(values) < 2:
        return None
    order = np.argsort(-values if largest else values, kind='stable')
    return int(order[0]) if abs(values[order[0]] - values[order[1]]) >= lead else None


def extreme_values(center: np.ndarray, extreme: str) -> tuple[np.ndarray, bool]:
    """The coordinate that one of :data:`EXTREMES` compares, and whether the largest is meant."""
    return center[:, 0 if extreme in ('leftmost', 'rightmost') else 1], extreme in ('rightmost', 'bottommost')


def in_zone(center: np.ndarray, bounds: np.ndarray, zone: str) -> np.ndarray:
    """(N,) verdicts: does the object lie in one of :data:`ZONES`?"""
    if zone == 'center':
        return below(np.abs(center - 0.5).max(axis=1), *CENTER_BAND)
    return np.minimum.reduce([_on_side(center, bounds, side) for side in zone.split()])


def _on_side(center: np.ndarray, bounds: np.ndarray, side: str) -> np.ndarray:
    axis = 0 if side in ('left', 'right') else 1
    along, reach = center[:, axis], bounds[:, axis + 2]
    if side in ('right', 'bottom'):
        along, reach = 1 - along, 1 - bounds[:, axis]
    verdicts = below(along, *SIDE_BAND)
    return np.where((verdicts == YES) & (reach > SIDE_REACH), DOUBT, verdicts).astype(np.int8)


def beside(center: np.ndarray, bounds: np.ndarray, anchor: int, of: np.ndarray, direction: str) -> np.ndarray:
    """Do objects lie in one of :data:`DIRECTIONS` from another?

    Args:
        center, bounds: of all objects.
        anchor: index of the other.
        of: (M,) indices of the objects asked about.

    Returns:
        (M,) verdicts.
    """
    axis = 0 if direction in ('left of', 'right of') else 1
    offset = center[anchor] - center[of]
    overlap = bounds[of, axis + 2] - bounds[anchor, axis]
    if direction in ('right of', 'below'):
        offset = -offset
        overlap = bounds[anchor, axis + 2] - bounds[of, axis]
    forward, sideways = offset[:, axis], np.abs(offset[:, 1 - axis])
    ahead = forward > 0
    verdicts = below(sideways / np.where(ahead, forward, 1.0), *DIRECTION_TILT)
    verdicts = np.where((verdicts == YES) & (overlap > DIRECTION_OVERLAP), DOUBT, verdicts)
    return np.where(ahead, verdicts, NO).astype(np.int8)
