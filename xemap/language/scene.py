"""Resolving an expression against the objects of an image: the one definition of what satisfies it.

Conditions are three-valued (see :mod:`xemap.language.verdicts`); an expression with any doubtful object
has no referents at all, so that no query is ambiguous.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any

import numpy as np

from xemap.language import relations
from xemap.language.attributes import BOX_SIZE_RATIO, has_shape, has_size, size_extreme
from xemap.language.expression import Expression
from xemap.language.geometry import Entity, Geometry
from xemap.language.places import EXTREMES, in_zone, most_extreme
from xemap.language.relations import COMPARISONS, DIRECTIONS, RANKINGS
from xemap.language.verdicts import DOUBT, NO, YES, leader, selected
from xemap.language.words import CategoryWords, Words

Colors = Callable[[str], dict[str, np.ndarray]]
"""By color, (n,) verdicts on the objects of a category."""


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
    """The objects of an image, and what expressions mean among them.

    Attributes:
        members: category to the indices of its objects, in order of first appearance.
        words: category to its words; a category that no expression names, or that has no noun of its own in this
            image, is in neither.

    Args:
        entities: the objects.
        size: (height, width) of the image.
        words: vocabulary of the categories.
        colors: judges measured colors; None = no colors are named.
    """

    def __init__(
        self, entities: Sequence[Entity], size: tuple[int, int], words: Words, colors: Colors | None = None
    ) -> None:
        self.entities = entities
        self.geometry = Geometry(entities, size)
        self.members: dict[str, np.ndarray] = {}
        self.words: dict[str, CategoryWords] = words.distinct(dict.fromkeys(entity.category for entity in entities))
        for category in self.words:
            same = [i for i, entity in enumerate(entities) if entity.category == category]
            self.members[category] = np.array(same, np.intp)
        self.colors = colors
        self._known: dict[tuple, Any] = {}

    @_remembered
    def resolve(self, expression: Expression) -> tuple[int, ...]:
        """Indices of the referents, ascending; empty where there are none or where any object is doubtful."""
        category = expression.category
        if category not in self.members:
            return ()
        anchors = tuple(self.resolve(anchor) for anchor in expression.anchors)
        if not all(anchors):
            return ()
        members = self.members[category]
        verdicts = [np.full(len(members), YES, np.int8)]
        verdicts += [self.attribute(category, *attribute) for attribute in expression.attributes]
        if expression.place:
            verdicts.append(self.place(category, expression.place))
        if expression.relation and expression.relation not in RANKINGS:
            related = self.related(category, expression.relation, anchors)
            # What is ruled out by its attributes is no anchor of itself.
            itself = np.isin(members, np.concatenate(anchors)) & (np.minimum.reduce(verdicts) != NO)
            if related is None or itself.any():
                return ()
            verdicts.append(related)
        chosen = members[selected(np.minimum.reduce(verdicts))]
        first: int | None = None
        if expression.relation in RANKINGS:
            (group,) = anchors
            if len(chosen) and not set(group) & set(chosen.tolist()):
                gaps = self.geometry.gaps(chosen, group)
                first = leader(gaps, expression.relation == 'farthest from', relations.CLOSEST_LEAD)
        elif expression.superlative in EXTREMES:
            first = most_extreme(self.geometry, chosen, str(expression.superlative))
        elif expression.superlative:
            rough = self._rough(category, chosen)
            first = size_extreme(self.geometry, chosen, expression.superlative, rough)
        else:
            return tuple(chosen.tolist())
        return () if first is None else (int(chosen[first]),)

    def distractors(self, expression: Expression) -> tuple[int, ...]:
        """Indices of the other objects of the category."""
        referents = set(self.resolve(expression))
        return tuple(i for i in self.members[expression.category].tolist() if i not in referents)

    def anchors(self, expression: Expression) -> tuple[int, ...]:
        """Indices of the objects that the relation goes out from, ascending; those of both anchors of "between"."""
        return tuple(sorted({i for anchor in expression.anchors for i in self.resolve(anchor)}))

    def needed(self, expression: Expression) -> tuple[str, ...]:
        """Names of the conditions that the expression can't do without: it would mean something else, or nothing clear.

        Of two conditions that tell the same, neither is needed.
        Names are those of :meth:`Expression.without <xemap.language.expression.Expression.without>`, and
        ``'anchor'`` for a condition of an anchor.
        """
        referents = self.resolve(expression)
        names = [name for name, weaker in expression.without().items() if self.resolve(weaker) != referents]
        anchors = expression.anchors
        others = (
            replace(expression, anchors=(*anchors[:i], weaker, *anchors[i + 1 :]))
            for i, anchor in enumerate(anchors)
            for weaker in anchor.without().values()
        )
        if 'relation' in names and any(self.resolve(other) != referents for other in others):
            names.append('anchor')
        return tuple(names)

    def covered(self, referents: Sequence[int]) -> float:
        """Share of the image that objects cover, overlaps counted twice."""
        return float(self.geometry.area[list(referents)].sum())

    @_remembered
    def attribute(self, category: str, name: str, value: str) -> np.ndarray:
        """(n,) verdicts: does each object of a category have an attribute?"""
        members, words = self.members[category], self.words[category]
        if name == 'color':
            if self.colors is None:
                return np.full(len(members), DOUBT, np.int8)
            return self.colors(category)[value]
        if name == 'size':
            return has_size(self.geometry, members, value)
        if name == 'shape':
            verdicts = np.full(len(members), DOUBT, np.int8)
            for k, i in enumerate(members):
                entity = self.entities[i]
                if not self.geometry.cut[i]:
                    known = words.fills_box or not entity.boxed
                    verdicts[k] = has_shape(entity.outline, value, known, entity.upright)
            return verdicts
        return np.array([YES if self.entities[i].attributes.get(name) == value else NO for i in members], np.int8)

    @_remembered
    def place(self, category: str, zone: str) -> np.ndarray:
        """(n,) verdicts: does each object of a category lie in a zone of the image?"""
        return in_zone(self.geometry, self.members[category], zone)

    @_remembered
    def related(self, category: str, relation: str, anchors: tuple[tuple[int, ...], ...]) -> np.ndarray | None:
        """(n,) verdicts on every object of a category; None where the relation can't have these anchors.

        Args:
            relation: no ranking.
            anchors: indices of the objects of each anchor.
        """
        geometry, members = self.geometry, self.members[category]
        several = {
            'next to': relations.next_to,
            'far from': relations.far_from,
            'surrounded by': relations.surrounded_by,
        }
        if relation in several:
            return several[relation](geometry, members, anchors[0])
        if any(len(group) > 1 for group in anchors) or len(set(anchors)) < len(anchors):
            return None
        if relation == 'between':
            return relations.between(geometry, members, anchors[0][0], anchors[1][0])
        ((anchor,),) = anchors
        if relation in DIRECTIONS:
            return relations.in_direction(geometry, members, anchor, relation)
        assert relation in COMPARISONS, relation
        rough = self._rough(category, members) or self._rough(self.entities[anchor].category, [anchor])
        band = (BOX_SIZE_RATIO, 1 / BOX_SIZE_RATIO) if rough else relations.LARGER_BAND
        return relations.compared(geometry, members, anchor, relation, band)

    def _rough(self, category: str, chosen: Sequence[int] | np.ndarray) -> bool:
        """The area of an object is only that of an upright box around it."""
        return not self.words[category].fills_box and any(self.entities[i].upright for i in chosen)
