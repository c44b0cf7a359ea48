"""From a meaning to one of the many ways to say it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from xemap.language.expression import Expression
from xemap.language.scene import Scene
from xemap.language.words import Words
from xemap.structures import PolygonRegion, Query, Region

FEWEST_ALONG = 3
"""Fewer objects next to a road do not lie "along" it."""

_NEAREST_TO_NOUN = ('color', 'shape', 'size')


@dataclass(frozen=True)
class Wording:
    """A text, and which of its words say what.

    Args:
        text: noun phrase or sentence.
        words: name of a condition (see :meth:`Scene.needed <xemap.language.scene.Scene.needed>`) to its words in
            the text, such as ``{'color': 'red', 'relation': 'next to the lake'}``.
    """

    text: str
    words: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """A query before it gets a region.

    Args:
        meaning: what it says.
        referents: indices of the objects it means.
        distractors: indices of the other objects of the category.
        anchors: indices of the objects of the anchors of its relation.
        wording: its text.
        needed: conditions that are needed, with their words, see :class:`~xemap.structures.Query`.
    """

    meaning: Expression
    referents: tuple[int, ...]
    distractors: tuple[int, ...]
    anchors: tuple[int, ...]
    wording: Wording
    needed: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, meaning: Expression, scene: Scene, wording: Wording) -> Choice:
        """With all that the scene knows of the meaning."""
        needed = tuple((name, wording.words[name]) for name in scene.needed(meaning))
        return cls(meaning, scene.resolve(meaning), scene.distractors(meaning), scene.anchors(meaning), wording, needed)

    def query(self, region: Callable[[Sequence[int]], Region], pair: str | None = None) -> Query:
        """The query.

        Args:
            region: gives the region of some objects; not called for none.
            pair: see :class:`~xemap.structures.Query`.
        """
        return Query(
            text=self.wording.text,
            region=region(self.referents),
            category=self.meaning.category,
            kind=self.meaning.kind,
            hops=self.meaning.hops,
            referents=len(self.referents),
            distractors=region(self.distractors) if self.distractors else PolygonRegion([]),
            anchors=region(self.anchors) if self.anchors else PolygonRegion([]),
            needed=self.needed,
            pair=pair,
        )


def put_into_words(meaning: Expression, scene: Scene, words: Words, rng: np.random.Generator) -> Wording:
    """A text for an expression that has referents in the scene.

    Args:
        meaning: the expression.
        scene: the objects.
        words: templates.
        rng: picks among the wordings.
    """
    count = len(scene.resolve(meaning))
    form = 'singular' if count == 1 else 'plural'
    names = scene.words[meaning.category]
    nouns = names.singular if count == 1 else names.plural
    if count > 1 and not meaning.attributes:
        nouns += names.plain
    described = _described(meaning, _pick(nouns, rng), words, rng)
    where = ''
    if meaning.place:
        place = _pick(words.templates['places'][meaning.place], rng)
        described.words['place'] = place.replace('{noun}', '').strip()
        if '{noun}' in place:
            described = Wording(_filled(place, noun=described.text), described.words)
        else:
            where = place
    elif meaning.relation:
        anchors = _related(meaning, count, scene, words, rng)
        where = anchors.text
        described.words.update(relation=where, **anchors.words)
    section = 'sentences' if meaning.place or meaning.relation else 'phrases'
    templates = words.sentences[section][form]
    if section == 'sentences' and not where:  # "the left lake" has no "that is"
        templates = tuple((text, share) for text, share in templates if '{noun} {where}' in text)
    text = _filled(_weighted(templates, rng), thing=described.text, noun=described.text, where=where).strip()
    return Wording(text if ' ' in text else f'the {text}', described.words)


def _related(meaning: Expression, count: int, scene: Scene, words: Words, rng: np.random.Generator) -> Wording:
    """The relation with its anchors, and the words that the anchors need."""
    name = str(meaning.relation)
    along = scene.words[meaning.anchors[0].category].along
    if name == 'next to' and along and count >= FEWEST_ALONG and rng.random() < 0.5:
        name = 'along'
    anchors = [_anchor(anchor, scene, words, rng) for anchor in meaning.anchors]
    slots = dict(zip(('anchor', 'other'), (f'the {anchor.text}' for anchor in anchors)))
    words_of_anchors = ', '.join(word for anchor in anchors for word in anchor.words.values())
    return Wording(
        _filled(_pick(words.templates['relations'][name], rng), **slots),
        {'anchor': words_of_anchors} if words_of_anchors else {},
    )


def _anchor(anchor: Expression, scene: Scene, words: Words, rng: np.random.Generator) -> Wording:
    names = scene.words[anchor.category]
    if names.mass and anchor.kind == 'one-hop':
        nouns = names.mass
    elif len(scene.resolve(anchor)) > 1:
        nouns = names.plural
    else:
        nouns = names.beside or names.singular
    described = _described(anchor, _pick(nouns, rng), words, rng, before=True)
    if anchor.place:
        place = _before(words.templates['places'][anchor.place])[0]
        described.words['place'] = place.replace('{noun}', '').strip()
        place = place if '{noun}' in place else f'{{noun}} {place}'
        return Wording(_filled(place, noun=described.text), described.words)
    return described


def _described(meaning: Expression, noun: str, words: Words, rng: np.random.Generator, before: bool = False) -> Wording:
    """The noun with attributes and superlative.

    Args:
        before: a superlative stands before the noun; behind it, it could be read as something else's.
    """
    attributes = sorted(meaning.attributes, key=lambda attribute: (*_NEAREST_TO_NOUN, attribute[0]).index(attribute[0]))
    parts = {}
    for name, value in attributes:
        template = _pick(words.templates['attributes'][name][value], rng)
        parts[name] = template.replace('{noun}', '').strip()
        noun = _filled(template, noun=noun)
    if meaning.superlative:
        wordings = words.templates['attributes']['superlative'][meaning.superlative]
        template = _pick(_before(wordings) if before else wordings, rng)
        parts['superlative'] = template.replace('{noun}', '').strip()
        noun = _filled(template, noun=noun)
    return Wording(noun, parts)


def _before(wordings: Sequence[str]) -> Sequence[str]:
    """Those that stand before the noun; all where there are none."""
    return [wording for wording in wordings if wording.endswith('{noun}')] or wordings


def _filled(template: str, **slots: str) -> str:
    # Not str.format: a text from a file is text and nothing more.
    for slot, text in slots.items():
        template = template.replace(f'{{{slot}}}', text)
    return template


def _pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]


def _weighted(options: Sequence[tuple[str, float]], rng: np.random.Generator) -> str:
    draw = rng.random() * sum(share for _, share in options)
    for text, share in options:
        draw -= share
        if draw < 0:
            return text
    return options[-1][0]
