"""The meaning of a referring expression as data."""

from __future__ import annotations

from dataclasses import dataclass, replace

from xemap.language.places import EXTREMES


@dataclass(frozen=True)
class Expression:
    """All objects of a category that meet every given condition.

    Args:
        category: category of the referents.
        attributes: (name, value) pairs, sorted: color, shape and size are measured, others known of the objects.
        superlative: one of :data:`~xemap.language.words.SUPERLATIVES`, among those that have the attributes; it
            goes with no place and no relation.
        place: one of :data:`~xemap.language.places.ZONES`; it goes with no relation.
        relation: one of :data:`~xemap.language.relations.RELATIONS`; ``closest to`` and ``farthest from`` pick one
            among those that have the attributes.
        anchors: what the relation refers to, two for ``between``; a mere category is all of it.
    """

    category: str
    attributes: tuple[tuple[str, str], ...] = ()
    superlative: str | None = None
    place: str | None = None
    relation: str | None = None
    anchors: tuple[Expression, ...] = ()

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
        """Number of object groups to be found: the referents and all anchors."""
        return 1 + sum(anchor.hops for anchor in self.anchors)

    def without(self) -> dict[str, Expression]:
        """Every condition's name, and the expression without it.

        Names are those of attributes, ``'superlative'``, ``'place'`` and ``'relation'``.
        """
        fewer = {}
        for attribute in self.attributes:
            rest = tuple(other for other in self.attributes if other != attribute)
            fewer[attribute[0]] = replace(self, attributes=rest)
        if self.superlative:
            fewer['superlative'] = replace(self, superlative=None)
        if self.place:
            fewer['place'] = replace(self, place=None)
        if self.relation:
            fewer['relation'] = replace(self, relation=None, anchors=())
        return fewer
