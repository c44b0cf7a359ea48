"""The meaning of an expression as data, and the one definition of what satisfies it.

Conditions are three-valued (see :mod:`xemap.language.verdicts`); an expression with any doubtful object
has no referents at all, so that no query is ambiguous. Lengths are relative: x to the image's width, y to
its height, distances to ``sqrt(width * height)``; areas to the image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, wraps
from typing import Any

import cv2
import numpy as np
import shapely

from xemap.errors import DataError
from xemap.language.verdicts import (
    DIRECTIONS,
    DOUBT,
    EXTREMES,
    NO,
    SIDE_REACH,
    YES,
    above,
    below,
    beside,
    extreme_values,
    in_zone,
    leader,
    selected,
)
from xemap.preparation.converters.base import Instance
from xemap.preparation.expressions.colors import color_verdicts, inner_pixels
from xemap.preparation.expressions.objects import Measured, measure
from xemap.preparation.expressions.words import NOUNS, CategoryWords, Words, category_key, usable

LARGE_BAND = (0.05, 0.03)
"""A large object covers at least the first; one that covers at most the second is not large."""
SMALL_BAND = (0.01, 0.017)
"""A small object covers at most the first; one that covers at least the second is not small."""
SIZE_RATIO = 1.6
"""The largest one has at least this many times the area of every other of its category."""
BOX_SIZE_RATIO = 2.5
"""The same for upright boxes: of two equal ships, the oblique one has the larger box."""
EXTREME_LEAD = 0.05
"""The leftmost centroid leads the next one by at least this."""
LONG_BAND = (3.0, 2.0)
"""Longer over shorter side of the smallest rectangle around a long object, and around one that is not."""
SQUARE_ASPECT, SQUARE_FILL = (1.2, 1.45), (0.88, 0.75)
"""The same ratio of a square object, and the share of that rectangle it fills."""
ROUND_FILL = (0.82, 0.68)
"""Share of the smallest circle around it that a round object fills."""
NEAR_REACH = 0.045
NEAR_BAND = (0.7, 1.4)
"""Gap between neighbours, in units of :data:`NEAR_REACH` or of the root of the smaller one's area, whichever
is less."""
NEAR_OVERLAP = 0.2
"""Neighbours overlap by at most this share of the smaller one; beyond, one may be inside the other."""
FAR_BAND = (0.25, 0.15)
"""Gap to everything that an object is far from."""
CLOSEST_LEAD = 0.06
"""The closest one is nearer than every other by at least this."""
RING_WIDTH = 0.03
RING_BAND = (0.85, 0.6)
"""Share of a ring of that width around a surrounded object that what surrounds it covers."""
LARGER_BAND = (1.6, 1.1)
"""Area of an object over that of the one it is larger than; for upright boxes from :data:`BOX_SIZE_RATIO` on."""
WIDE = 0.5
"""An object that reaches through more of the image than this, in x or y, has no direction from another."""
BORDER = 2
"""An object this many pixels from the border may be cut by it: nobody knows how small it is, or its
shape."""

_EDGE = {'leftmost': 0, 'topmost': 1, 'rightmost': 2, 'bottommost': 3}


@dataclass(frozen=True)
class Expression:
    """All objects of a category that meet every given condition.

    Args:
        category: key of :attr:`Scene.members`.
        attributes: (name, value) pairs of colour, shape and size, sorted.
        superlative: one of :data:`~xemap.preparation.expressions.words.SUPERLATIVES`, among those that have
            the attributes; it goes with no place and no relation.
        place: one of :data:`~xemap.language.verdicts.ZONES`.
        relation: one of :data:`~xemap.preparation.expressions.words.RELATIONS`; ``closest to`` and ``farthest
            from`` pick one among those that have the attributes.
        anchor: what the relation refers to; a mere category is all of it.
    """

    category: str
    attributes: tuple[tuple[str, str], ...] = ()
    superlative: str | None = None
    place: str | None = None
    relation: str | None = None
    anchor: Expression | None = None

    @property
    def kind(self) -> str:
        """One of :data:`xemap.structures.QUERY_KINDS`: the hardest step that is needed."""
        if self.relation:
            return 'multi-hop'
        if self.place or self.superlative in EXTREMES:
            return 'position'
        return 'attribute' if self.attributes or self.superlative else 'one-hop'

    @property
    def hops(self) -> int:
        """Number of object groups to be found: the referents and the anchor."""
        return 1 if self.anchor is None else 1 + self.anchor.hops

    def weaker(self) -> list[Expression]:
        """The expressions with one condition less."""
        fewer = [
            replace(self, attributes=self.attributes[:i] + self.attributes[i + 1 :])
            for i in range(len(self.attributes))
        ]
        if self.superlative:
            fewer.append(replace(self, superlative=None))
        if self.place:
            fewer.append(replace(self, place=None))
        if self.relation:
            fewer.append(replace(self, relation=None, anchor=None))
        return fewer


def _remembered(method: Callable) -> Callable:
    """Call once for each argument; kept in the object, so that both go at the same time."""

    @wraps(method)
    def recall(self: Scene, *args: Any) -> Any:
        key = (method.__name__, *args)
        if key not in self._known:
            self._known[key] = method(self, *args)
        return self._known[key]

    return recall


class Scene:
    """The objects of an image, measured.

    Args:
        instances: labels of the image.
        size: (height, width).
        words: of the categories; those to be skipped, and those without a noun of their own, are left out.
        pixels: gives (H, W, 3) uint8 RGB; called when the first colour is asked for. None = no colours.
    """

    def __init__(
        self,
        instances: Sequence[Instance],
        size: tuple[int, int],
        words: Words,
        pixels: Callable[[], np.ndarray] | None = None,
    ) -> None:
        self.size = size
        height, width = size
        self.side = math.sqrt(height * width)
        self.objects: list[Measured] = []
        self.members: dict[str, np.ndarray] = {}
        self.words: dict[str, CategoryWords] = {}
        self.names: dict[str, str] = {}
        by_key: dict[str, list[Instance]] = {}
        for instance in instances:
            by_key.setdefault(category_key(instance.category), []).append(instance)
        spoken = {key: words.category(group[0].category) for key, group in by_key.items()}
        for key in sorted(by_key):
            own = _distinct(key, spoken)
            objects = [] if own is None else measure(by_key[key], size)
            if own is not None and objects:
                self.members[key] = np.arange(len(self.objects), len(self.objects) + len(objects))
                self.words[key], self.names[key] = own, by_key[key][0].category
                self.objects += objects
        outlines = np.array([obj.outline for obj in self.objects], dtype=object)
        centroids = shapely.centroid(outlines)
        self.outlines = outlines
        self.center = np.stack([shapely.get_x(centroids), shapely.get_y(centroids)], -1) / (width, height)
        self.bounds = shapely.bounds(outlines).reshape(-1, 4) / (width, height, width, height)
        self.area = np.array([obj.area for obj in self.objects]) / (height * width)
        margin = np.array([BORDER / width, BORDER / height])
        self.cut = ((self.bounds[:, :2] < margin) | (self.bounds[:, 2:] > 1 - margin)).any(axis=1)
        self._pixels = pixels
        self.colored = pixels is not None
        self._known: dict[tuple, Any] = {}

    def category_of(self, i: int) -> str:
        """Key of an object's category."""
        return next(key for key, members in self.members.items() if members[0] <= i <= members[-1])

    def covered(self, referents: Sequence[int]) -> float:
        """Share of the image that objects cover, overlaps counted twice."""
        return float(self.area[list(referents)].sum())

    @_remembered
    def resolve(self, expression: Expression) -> tuple[int, ...]:
        """Indices of the referents, ascending; empty where there are none or where any object is doubtful."""
        members = self.members[expression.category]
        verdicts = [np.full(len(members), YES, np.int8)]
        verdicts += [self.attribute(expression.category, *attribute) for attribute in expression.attributes]
        if expression.place:
            verdicts.append(self.attribute(expression.category, 'place', expression.place))
        picks = expression.relation in ('closest to', 'farthest from')
        anchors: tuple[int, ...] = ()
        if expression.anchor:
            anchors = self.resolve(expression.anchor)
            if not anchors:
                return ()
            if not picks:
                verdicts.append(self.related(expression.category, str(expression.relation), anchors))
        found = members[selected(np.minimum.reduce(verdicts))]
        first: int | None = None
        if picks:
            first = leader(self._gaps(found, anchors), expression.relation == 'farthest from', CLOSEST_LEAD)
        elif expression.superlative:
            first = self._superlative(found, expression)
        else:
            return tuple(found.tolist())
        return () if first is None else (int(found[first]),)

    def _superlative(self, found: np.ndarray, expression: Expression) -> int | None:
        if expression.superlative in EXTREMES:
            values, largest = extreme_values(self.center[found], expression.superlative)
            first = leader(values, largest, EXTREME_LEAD)
            # The leftmost one must not reach less far to the left than another.
            edges = self.bounds[found][:, _EDGE[expression.superlative]]
            return first if first == leader(edges, largest, 0.0) else None
        ratio = BOX_SIZE_RATIO if self._rough(expression.category, found) else SIZE_RATIO
        first = leader(np.log(self.area[found]), expression.superlative == 'largest', math.log(ratio))
        hidden = first is not None and expression.superlative == 'smallest' and self.cut[found[first]]
        return None if hidden else first

    def _rough(self, category: str, found: Sequence[int] | np.ndarray) -> bool:
        """The area of an object is only that of an upright box around it."""
        return not self.words[category].fills_box and any(self.objects[i].upright for i in found)

    @_remembered
    def attribute(self, category: str, name: str, value: str) -> np.ndarray:
        """(n,) verdicts: colour, shape, size or place of every object of a category."""
        members = self.members[category]
        if name == 'color':
            return self._colors(category)[value]
        if name == 'place':
            center, bounds = self.center[members], self.bounds[members]
            verdicts = in_zone(center, bounds, value)
            if value == 'center':  # what reaches through most of the image is nowhere in it
                wide = (bounds[:, 2:] - bounds[:, :2]).max(axis=1) > SIDE_REACH
                verdicts = _unless(wide, verdicts)
            return verdicts
        if name == 'size' and value == 'large':
            return above(self.area[members], *LARGE_BAND)
        if name == 'size':
            return _unless(self.cut[members], below(self.area[members], *SMALL_BAND))
        return np.array([self._shape(i, self.words[category].fills_box, value) for i in members], np.int8)

    def _shape(self, i: int, fills_box: bool, shape: str) -> int:
        outline = self.outlines[i]
        points = shapely.get_coordinates(outline).astype(np.float32)
        sides = sorted(cv2.minAreaRect(points)[1])
        known = fills_box or not self.objects[i].boxed
        if self.cut[i]:
            return DOUBT
        if shape == 'long':
            # A long box holds something long; in any other upright one it may lie along the diagonal.
            verdict = int(above(np.array(sides[1] / max(sides[0], 1e-6)), *LONG_BAND))
            return verdict if verdict == YES or known or not self.objects[i].upright else DOUBT
        if not known:
            return DOUBT
        if shape == 'round':
            radius = max(cv2.minEnclosingCircle(points)[1], 1e-6)
            return int(above(np.array(outline.area / (math.pi * radius**2)), *ROUND_FILL))
        aspect = below(np.array(sides[1] / max(sides[0], 1e-6)), *SQUARE_ASPECT)
        return int(min(aspect, above(np.array(outline.area / max(sides[0] * sides[1], 1e-6)), *SQUARE_FILL)))

    @_remembered
    def _colors(self, category: str) -> dict[str, np.ndarray]:
        words = self.words[category]
        samples = [np.empty((0, 3), np.uint8)] * len(self.members[category])
        for k, i in enumerate(self.members[category]):
            own = words.color and (words.fills_box or not self.objects[i].boxed)
            if own and self.image is not None:
                samples[k] = inner_pixels(self.image, *self.objects[i].mask(self.size))
        return color_verdicts(samples)

    @cached_property
    def image(self) -> np.ndarray | None:
        """(H, W, 3) uint8 RGB; None where there are no colours."""
        if self._pixels is None:
            return None
        pixels = self._pixels()
        if pixels.shape != (*self.size, 3) or pixels.dtype != np.uint8:
            raise DataError(
                f'image of {pixels.dtype} {pixels.shape} for labels of an image of size {self.size} '
                '(height, width); they do not belong together'
            )
        return pixels

    @_remembered
    def related(self, category: str, relation: str, anchors: tuple[int, ...]) -> np.ndarray:
        """(n,) verdicts on every object of a category."""
        members = self.members[category]
        if relation == 'next to':
            return self._near(members, anchors)
        if relation == 'far from':
            return above(self._gaps(members, anchors), *FAR_BAND)
        if relation == 'surrounded by':
            return self._surrounded(members, anchors)
        if len(anchors) != 1:
            raise ValueError(f'{relation!r} needs one anchor, not {len(anchors)}')
        if relation in DIRECTIONS:
            verdicts = beside(self.center, self.bounds, anchors[0], members, relation)
            wide = (self.bounds[:, 2:] - self.bounds[:, :2]).max(axis=1) > WIDE
            return np.where(wide[members] | wide[anchors[0]], DOUBT, verdicts).astype(np.int8)
        ratio = self.area[members] / self.area[anchors[0]]
        yes, no = LARGER_BAND
        if self._rough(category, members) or self._rough(self.category_of(anchors[0]), anchors):
            yes, no = BOX_SIZE_RATIO, 1 / BOX_SIZE_RATIO
        if relation == 'larger than':
            return _unless(self.cut[anchors[0]], above(ratio, yes, no))
        return _unless(self.cut[members], above(1 / ratio, yes, no))

    def _gaps(self, found: np.ndarray, anchors: tuple[int, ...]) -> np.ndarray:
        """Distance of every object to the nearest anchor."""
        tree = shapely.STRtree(self.outlines[list(anchors)])
        _, gaps = tree.query_nearest(self.outlines[found], return_distance=True, all_matches=False)
        return gaps / self.side

    def _near(self, members: np.ndarray, anchors: tuple[int, ...]) -> np.ndarray:
        others = np.array(anchors)
        tree = shapely.STRtree(self.outlines[others])
        reach = NEAR_BAND[1] * NEAR_REACH * self.side
        of, near = tree.query(self.outlines[members], predicate='dwithin', distance=reach)
        i, j = members[of], others[near]
        smaller = np.minimum(self.area[i], self.area[j])
        gap = shapely.distance(self.outlines[i], self.outlines[j]) / self.side
        ratio = np.full(len(members), np.inf)
        np.minimum.at(ratio, of, gap / np.minimum(NEAR_REACH, np.sqrt(smaller)))
        verdicts = below(ratio, *NEAR_BAND)
        touching = gap == 0
        common = np.zeros(len(of))
        common[touching] = shapely.area(shapely.intersection(self.outlines[i[touching]], self.outlines[j[touching]]))
        verdicts[of[common > NEAR_OVERLAP * smaller * self.side**2]] = DOUBT
        return verdicts

    def _surrounded(self, members: np.ndarray, anchors: tuple[int, ...]) -> np.ndarray:
        height, width = self.size
        image = shapely.box(-0.5, -0.5, width - 0.5, height - 0.5)
        verdicts = np.full(len(members), NO, np.int8)
        for k in np.flatnonzero(self._gaps(members, anchors) < RING_WIDTH):
            outline = self.outlines[members[k]]
            ring = outline.buffer(RING_WIDTH * self.side, quad_segs=4).difference(outline)
            seen = ring.intersection(image)
            covered = shapely.union_all(shapely.intersection(seen, self.outlines[list(anchors)])).area / ring.area
            hidden = 1 - seen.area / ring.area  # nobody knows what lies beyond the border
            yes, no = RING_BAND
            verdicts[k] = YES if covered >= yes else NO if covered + hidden <= no else DOUBT
        return verdicts


def _unless(condition: np.ndarray, verdicts: np.ndarray) -> np.ndarray:
    """Verdicts, in which a yes is doubtful where the condition holds."""
    return np.where(condition & (verdicts == YES), DOUBT, verdicts).astype(np.int8)


def _distinct(key: str, spoken: dict[str, CategoryWords]) -> CategoryWords | None:
    """The words of a category without those that could mean another one in the image."""
    own = spoken[key]
    others = [noun for other, words in spoken.items() if other != key for noun in (*words.singular, *words.plural)]
    singular, plural, plain, mass = (usable(getattr(own, form), others) for form in NOUNS)
    if own.skip or not singular or not plural:
        return None
    return replace(own, singular=singular, plural=plural, plain=plain, mass=mass)
