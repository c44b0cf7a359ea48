"""Places in the image: what "on the left" or "leftmost" means.

Members are (n,) indices into a :class:`~xemap.language.geometry.Geometry`.
"""

from __future__ import annotations

import numpy as np

from xemap.language.geometry import Geometry
from xemap.language.verdicts import DOUBT, YES, below, leader, unless

SIDES = ('left', 'right', 'top', 'bottom')
CORNERS = ('top left', 'top right', 'bottom left', 'bottom right')
ZONES = (*SIDES, *CORNERS, 'center')
"""Places in the image. A side includes its two corners: what lies top left is on the left, too."""
EXTREMES = ('leftmost', 'rightmost', 'topmost', 'bottommost')

SIDE_BAND = (0.38, 0.5)
"""A centroid up to the first is on that side, from the second on it is not."""
SIDE_REACH = 0.64
"""An object on a side reaches at most this far towards the other; what extends further is nowhere in the image."""
CENTER_BAND = (0.13, 0.25)
"""The same as :data:`SIDE_BAND` for the distance of a centroid from the middle, in x and in y."""
EXTREME_LEAD = 0.05
"""The leftmost centroid leads the next one by at least this."""

_EDGE = {'leftmost': 0, 'topmost': 1, 'rightmost': 2, 'bottommost': 3}


def in_zone(geometry: Geometry, members: np.ndarray, zone: str) -> np.ndarray:
    """(n,) verdicts: does the object lie in one of :data:`ZONES`?"""
    center, bounds = geometry.center[members], geometry.bounds[members]
    if zone == 'center':
        verdicts = below(np.abs(center - 0.5).max(axis=1), *CENTER_BAND)
        return unless(geometry.extent(members) > SIDE_REACH, verdicts)
    return np.minimum.reduce([_on_side(center, bounds, side) for side in zone.split()])


def most_extreme(geometry: Geometry, members: np.ndarray, extreme: str) -> int | None:
    """Position in ``members`` of the "leftmost" one, or another of :data:`EXTREMES`; None where it is unclear."""
    values = geometry.center[members, 0 if extreme in ('leftmost', 'rightmost') else 1]
    largest = extreme in ('rightmost', 'bottommost')
    first = leader(values, largest, EXTREME_LEAD)
    # The leftmost one must not reach less far to the left than another.
    edges = geometry.bounds[members, _EDGE[extreme]]
    return first if first == leader(edges, largest, 0.0) else None


def _on_side(center: np.ndarray, bounds: np.ndarray, side: str) -> np.ndarray:
    axis = 0 if side in ('left', 'right') else 1
    along, reach = center[:, axis], bounds[:, axis + 2]
    if side in ('right', 'bottom'):
        along, reach = 1 - along, 1 - bounds[:, axis]
    verdicts = below(along, *SIDE_BAND)
    return np.where((verdicts == YES) & (reach > SIDE_REACH), DOUBT, verdicts).astype(np.int8)
