"""The meaning of a query as data, and the one definition of what satisfies it.

Every condition is three-valued: it holds, it does not, or the object lies in the dead band between the
two, where people would disagree. An expression with any doubtful object has no referents at all, so
that no query is ambiguous. All lengths are relative: x to the image's width, y to its height, distances
between outlines to ``sqrt(width * height)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import shapely
from shapely.ops import nearest_points

from xemap.datasets.synthetic.layout import SceneObject

SIDES = ('left', 'right', 'top', 'bottom')
CORNERS = ('top left', 'top right', 'bottom left', 'bottom right')
EXTREMES = ('leftmost', 'rightmost', 'topmost', 'bottommost')
POSITIONS = (*SIDES, *CORNERS, 'center', *EXTREMES)
"""Values of :attr:`Expression.position`."""

NEIGHBOURS = ('next to', 'closest to', 'farthest from')
DIRECTIONS = ('left of', 'right of', 'above', 'below')
RELATIONS = (*NEIGHBOURS, *DIRECTIONS, 'between')
"""Values of :attr:`Expression.relation`; ``'between'`` has two anchors, all others one."""

SIDE_BAND = (0.38, 0.5)
"""A centroid up to the first is on that side, from the second on it is not."""
SIDE_REACH = 0.64
"""An object on a side reaches at most this far towards the other."""
CENTER_BAND = (0.13, 0.25)
"""The same for the distance of a centroid from the middle, in x and in y."""
EXTREME_GAP = 0.12
"""The leftmost centroid leads the next one by at least this."""
SIZE_RATIO = 1.6
"""The large one has at least this many times the area of every other."""
NEAR_BAND = (0.045, 0.1)
"""Outlines up to the first apart are next to each other, from the second on they are not."""
CLOSEST_GAP = 0.08
"""The closest one is nearer than every other by at least this."""
BETWEEN_ANGLE = (150.0, 110.0)
"""Seen from the centroid, the nearest points of the anchors lie at least / at most this many degrees apart."""
BETWEEN_REACH = (0.35, 0.5)
"""Distance of the centroid to either anchor: at most the first, or at least the second."""
WRAP = (0.15, 60.0)
"""An anchor that comes within this share of its nearest distance more than this many degrees aside leaves
doubt whether anything lies between it and another."""
DIRECTION_TILT = (0.5, 1.2)
"""Sideways over forward offset of the centroids: at most the first, or at least the second."""
DIRECTION_OVERLAP = 0.02
"""Bounding boxes of an object left of another overlap by at most this in x."""


@dataclass(frozen=True)
class Expression:
    """All objects of a category that meet every given condition.

    Args:
        category: key of the lexicon, e.g. ``'parking'``.
        attribute: (name, value) as in ``SceneObject.attributes``, or ``('size', 'large' | 'small')``, which
            picks one among the objects of the category.
        position: one of :data:`POSITIONS`; the extremes pick one among those that meet the attribute.
        relation: one of :data:`RELATIONS`; ``closest to`` and ``farthest from`` pick one among those
            that meet the attribute. An expression has a position or a relation, not both.
        anchors: what the relation refers to.
    """

    category: str
    attribute: tuple[str, str] | None = None
    position: str | None = None
    relation: str | None = None
    anchors: tuple[Expression, ...] = ()

    @property
    def kind(self) -> str:
        """One of :data:`xemap.structures.QUERY_KINDS`: the hardest step that is needed."""
        if self.relation:
            return 'multi-hop'
        return 'position' if self.position else 'attribute' if self.attribute else 'one-hop'

    @property
    def hops(self) -> int:
        """Number of object groups to be found: the referents and all anchors."""
        return 1 + sum(anchor.hops for anchor in self.anchors)


class World:
    """The objects of a scene, measured.

    Args:
        objects: of the scene.
        size: (height, width) of the image.
    """

    def __init__(self, objects: Sequence[SceneObject], size: tuple[int, int]) -> None:
        height, width = size
        self.objects = objects
        self.side = math.sqrt(height * width)
        self.outlines = [obj.outline for obj in objects]
        for outline in self.outlines:
            shapely.prepare(outline)
        self.area = np.array([outline.area for outline in self.outlines]) / (height * width)
        self.center = np.array([[o.centroid.x / width, o.centroid.y / height] for o in self.outlines]).reshape(-1, 2)
        self.bounds = np.array([o.bounds for o in self.outlines]).reshape(-1, 4) / (width, height, width, height)
        self.distance = cache(self._distance)

    def _distance(self, i: int, j: int) -> float:
        return self.outlines[i].distance(self.outlines[j]) / self.side

    def resolve(self, expression: Expression) -> tuple[int, ...]:
        """Indices of the referents, ascending; empty where there are none or where any object is doubtful."""
        anchors = [self.resolve(anchor) for anchor in expression.anchors]
        if not all(anchors):
            return ()
        found = tuple(i for i, obj in enumerate(self.objects) if obj.category == expression.category)
        if expression.attribute:
            name, value = expression.attribute
            if name == 'size':
                log_area = np.log(self.area)
                found = self._extreme(found, lambda i: float(log_area[i]), value == 'large', math.log(SIZE_RATIO))
            else:
                found = tuple(i for i in found if self.objects[i].attributes.get(name) == value)
        if expression.position:
            found = self._at(found, expression.position)
        if expression.relation:
            found = self._related(found, expression.relation, anchors)
        return found

    def _at(self, found: tuple[int, ...], position: str) -> tuple[int, ...]:
        if position in EXTREMES:
            axis = 0 if position in ('leftmost', 'rightmost') else 1
            largest = position in ('rightmost', 'bottommost')
            return self._extreme(found, lambda i: float(self.center[i, axis]), largest, EXTREME_GAP)
        if position == 'center':
            return _select(found, lambda i: _below(float(np.abs(self.center[i] - 0.5).max()), *CENTER_BAND))
        return _select(found, lambda i: _all([self._on_side(i, side) for side in position.split()]))

    def _on_side(self, i: int, side: str) -> bool | None:
        axis = 0 if side in ('left', 'right') else 1
        center, reach = self.center[i, axis], self.bounds[i, axis + 2]
        if side in ('right', 'bottom'):
            center, reach = 1 - center, 1 - self.bounds[i, axis]
        verdict = _below(float(center), *SIDE_BAND)
        return None if verdict and reach > SIDE_REACH else verdict

    def _related(self, found: tuple[int, ...], relation: str, anchors: list[tuple[int, ...]]) -> tuple[int, ...]:
        if any(i in group for group in anchors for i in found):
            return ()
        if relation == 'between':
            return _select(found, lambda i: self._between(i, anchors)) if _single(anchors) else ()
        if relation in DIRECTIONS:
            return _select(found, lambda i: self._beside(i, relation, anchors[0][0])) if _single(anchors) else ()
        gap = {i: min(self.distance(i, j) for j in anchors[0]) for i in found}
        if relation == 'next to':
            return _select(found, lambda i: _below(gap[i], *NEAR_BAND))
        return self._extreme(found, gap.__getitem__, relation == 'farthest from', CLOSEST_GAP)

    def _between(self, i: int, anchors: list[tuple[int, ...]]) -> bool | None:
        center = self.outlines[i].centroid
        rays = []
        for (j,) in anchors:
            point = nearest_points(center, self.outlines[j])[1]
            rays.append(np.array([point.x - center.x, point.y - center.y]) / self.side)
        lengths = [float(np.hypot(*ray)) for ray in rays]
        if min(lengths) < 1e-6:
            return False
        cosine = float(np.clip(rays[0] @ rays[1] / (lengths[0] * lengths[1]), -1, 1))
        if any(self._wraps(center, j, ray) for (j,), ray in zip(anchors, rays)):
            return None
        opposite = _below(-math.degrees(math.acos(cosine)), *(-angle for angle in BETWEEN_ANGLE))
        return _all([opposite, *(_below(length, *BETWEEN_REACH) for length in lengths)])

    def _wraps(self, center: shapely.Point, anchor: int, ray: np.ndarray) -> bool:
        """Whether an anchor comes almost as near in quite another direction as along its nearest ray."""
        reach = (1 + WRAP[0]) * float(np.hypot(*ray)) * self.side
        near = shapely.get_coordinates(center.buffer(reach).intersection(self.outlines[anchor]))
        offsets = near - (center.x, center.y)
        cosine = offsets @ ray / np.maximum(np.hypot(*offsets.T) * np.hypot(*ray), 1e-9)
        return bool((cosine < math.cos(math.radians(WRAP[1]))).any())

    def _beside(self, i: int, relation: str, anchor: int) -> bool | None:
        axis = 0 if relation in ('left of', 'right of') else 1
        offset = self.center[anchor] - self.center[i]
        overlap = self.bounds[i, axis + 2] - self.bounds[anchor, axis]
        if relation in ('right of', 'below'):
            offset = -offset
            overlap = self.bounds[anchor, axis + 2] - self.bounds[i, axis]
        forward, sideways = float(offset[axis]), abs(float(offset[1 - axis]))
        if forward <= 0:
            return False
        verdict = _below(sideways / forward, *DIRECTION_TILT)
        return None if verdict and overlap > DIRECTION_OVERLAP else verdict

    def _extreme(
        self, found: tuple[int, ...], measure: Callable[[int], float], largest: bool, gap: float
    ) -> tuple[int, ...]:
        """The one whose measure leads all others by ``gap``; none where there is nothing to compare with."""
        if len(found) < 2:
            return ()
        ordered = sorted(found, key=measure, reverse=largest)
        lead = abs(measure(ordered[0]) - measure(ordered[1]))
        return (ordered[0],) if lead >= gap else ()


def _below(value: float, yes: float, no: float) -> bool | None:
    """True up to ``yes``, False from ``no`` on, None between."""
    return True if value <= yes else False if value >= no else None


def _all(verdicts: Sequence[bool | None]) -> bool | None:
    """Three-valued and: False wins over doubt, doubt over True."""
    return False if False in verdicts else None if None in verdicts else True


def _select(found: tuple[int, ...], verdict: Callable[[int], bool | None]) -> tuple[int, ...]:
    verdicts = {i: verdict(i) for i in found}
    return () if None in verdicts.values() else tuple(i for i in found if verdicts[i])


def _single(anchors: list[tuple[int, ...]]) -> bool:
    """Every anchor is one object, and no two are the same."""
    return all(len(group) == 1 for group in anchors) and len(set(anchors)) == len(anchors)
