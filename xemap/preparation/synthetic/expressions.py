"""The meaning of a query as data, and the one definition of what satisfies it.

Conditions are three-valued (see :mod:`xemap.language.verdicts`): an expression with any doubtful object
has no referents at all, so that no query is ambiguous. All lengths are relative: x to the image's width,
y to its height, distances between outlines to ``sqrt(width * height)``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import shapely
from shapely.ops import nearest_points

from xemap.language.verdicts import (
    CORNERS,
    DIRECTIONS,
    DOUBT,
    EXTREMES,
    NO,
    SIDES,
    below,
    beside,
    extreme_values,
    in_zone,
    leader,
    selected,
)
from xemap.preparation.synthetic.layout import SceneObject

POSITIONS = (*SIDES, *CORNERS, 'center', *EXTREMES)
"""Values of :attr:`Expression.position`."""

NEIGHBOURS = ('next to', 'closest to', 'farthest from')
RELATIONS = (*NEIGHBOURS, *DIRECTIONS, 'between')
"""Values of :attr:`Expression.relation`; ``'between'`` has two anchors, all others one."""

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
                found = self._leader(found, np.log(self.area[list(found)]), value == 'large', math.log(SIZE_RATIO))
            else:
                found = tuple(i for i in found if self.objects[i].attributes.get(name) == value)
        if expression.position:
            found = self._at(found, expression.position)
        if expression.relation:
            found = self._related(found, expression.relation, anchors)
        return found

    def _at(self, found: tuple[int, ...], position: str) -> tuple[int, ...]:
        center, bounds = self.center[list(found)], self.bounds[list(found)]
        if position in EXTREMES:
            return self._leader(found, *extreme_values(center, position), EXTREME_GAP)
        return _select(found, in_zone(center, bounds, position))

    def _related(self, found: tuple[int, ...], relation: str, anchors: list[tuple[int, ...]]) -> tuple[int, ...]:
        if any(i in group for group in anchors for i in found):
            return ()
        if relation == 'between':
            verdicts = [self._between(i, anchors) for i in found] if _single(anchors) else []
            return _select(found, np.array(verdicts))
        if relation in DIRECTIONS:
            if not _single(anchors):
                return ()
            of = np.array(found, np.intp)
            return _select(found, beside(self.center, self.bounds, anchors[0][0], of, relation))
        gap = np.array([min(self.distance(i, j) for j in anchors[0]) for i in found])
        if relation == 'next to':
            return _select(found, below(gap, *NEAR_BAND))
        return self._leader(found, gap, relation == 'farthest from', CLOSEST_GAP)

    def _between(self, i: int, anchors: list[tuple[int, ...]]) -> int:
        center = self.outlines[i].centroid
        rays = []
        for (j,) in anchors:
            point = nearest_points(center, self.outlines[j])[1]
            rays.append(np.array([point.x - center.x, point.y - center.y]) / self.side)
        lengths = np.array([float(np.hypot(*ray)) for ray in rays])
        if lengths.min() < 1e-6:
            return NO
        cosine = float(np.clip(rays[0] @ rays[1] / (lengths[0] * lengths[1]), -1, 1))
        if any(self._wraps(center, j, ray) for (j,), ray in zip(anchors, rays)):
            return DOUBT
        opposite = below(np.array([-math.degrees(math.acos(cosine))]), *(-angle for angle in BETWEEN_ANGLE))
        return int(min(*opposite, *below(lengths, *BETWEEN_REACH)))

    def _wraps(self, center: shapely.Point, anchor: int, ray: np.ndarray) -> bool:
        """Whether an anchor comes almost as near in quite another direction as along its nearest ray."""
        reach = (1 + WRAP[0]) * float(np.hypot(*ray)) * self.side
        near = shapely.get_coordinates(center.buffer(reach).intersection(self.outlines[anchor]))
        offsets = near - (center.x, center.y)
        cosine = offsets @ ray / np.maximum(np.hypot(*offsets.T) * np.hypot(*ray), 1e-9)
        return bool((cosine < math.cos(math.radians(WRAP[1]))).any())

    @staticmethod
    def _leader(found: tuple[int, ...], values: np.ndarray, largest: bool, lead: float) -> tuple[int, ...]:
        """The one whose value leads all others."""
        first = leader(values, largest, lead)
        return () if first is None else (found[first],)


def _select(found: tuple[int, ...], verdicts: np.ndarray) -> tuple[int, ...]:
    return tuple(found[i] for i in selected(verdicts))


def _single(anchors: list[tuple[int, ...]]) -> bool:
    """Every anchor is one object, and no two are the same."""
    return all(len(group) == 1 for group in anchors) and len(set(anchors)) == len(anchors)
