"""A query, and the image it is about."""

from __future__ import annotations

from dataclasses import dataclass, field

from xemap.structures.region import Region

QUERY_KINDS = ('one-hop', 'attribute', 'position', 'multi-hop')
"""What a reader must use to resolve a query: the category alone, an attribute of the object, its
place in the image, or another object."""


@dataclass(frozen=True)
class Query:
    """A sentence and the region it refers to.

    Args:
        text: the sentence.
        region: its referent(s), in pixels of the original image.
        category: class name where the query was made from a label.
        kind: one of :data:`QUERY_KINDS`, None where unknown.
        hops: number of object groups to be found on the way; 1 = only the referent itself.
        referents: number of separate objects or regions that match; 0 = the image has no referent, and the
            region is empty. None where unknown.
        distractors: the other objects of the category, which the sentence must tell from the referents; empty where
            there are none, None where unknown.
        anchors: the other objects that the sentence names to find the referents by, such as the lake in "the pier next
            to the lake"; empty where it names none, None where unknown.
        needed: those conditions without which the sentence would mean something else, each with its words in the
            text: ``(('color', 'red'), ('relation', 'next to the lake'))``. The category is always needed and not
            named; empty = it is enough, or several conditions tell the same. None where unknown.
        pair: what the two sentences of a minimal pair differ in, and the number of the pair, such as
            ``'attribute/3'``; both queries have the same.
    """

    text: str
    region: Region
    category: str | None = None
    kind: str | None = None
    hops: int | None = None
    referents: int | None = None
    distractors: Region | None = None
    anchors: Region | None = None
    needed: tuple[tuple[str, str], ...] | None = None
    pair: str | None = None

    @property
    def absent(self) -> bool:
        """The image is known to hold no referent of the sentence."""
        return self.referents == 0

    @property
    def multi_hop(self) -> bool | None:
        """The paper's attribute: other objects must be located first. None where unknown."""
        return None if self.hops is None else self.hops > 1

    @property
    def multi_ref(self) -> bool | None:
        """The paper's attribute: several regions match. None where unknown."""
        return None if self.referents is None else self.referents > 1


@dataclass(frozen=True)
class ImageRecord:
    """One image with all its queries: the unit of annotation files, data sets and evaluation.

    Args:
        image: path of the image, relative to the data set's root (``/`` as separator).
        width, height: size in pixels.
        source: name of the data set the image comes from.
        queries: at least one in any useful record; an empty list is allowed and never sampled.
    """

    image: str
    width: int
    height: int
    source: str
    queries: list[Query] = field(default_factory=list)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width
