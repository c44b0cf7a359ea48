"""From a meaning to one of the many ways to say it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xemap.preparation.expressions.scene import Expression, Scene
from xemap.preparation.expressions.words import Words

FEWEST_ALONG = 3
"""Fewer objects next to a road do not lie "along" it."""

_NEAREST_TO_NOUN = ('color', 'shape', 'size')


def put_into_words(meaning: Expression, scene: Scene, words: Words, rng: np.random.Generator) -> str:
    """A text for an expression that has referents in the scene.

    Args:
        meaning: the expression.
        scene: where it is asked.
        words: templates.
        rng: picks among the wordings.
    """
    count = len(scene.resolve(meaning))
    form = 'singular' if count == 1 else 'plural'
    own = scene.words[meaning.category]
    nouns = own.singular if count == 1 else own.plural
    if count > 1 and not meaning.attributes:
        nouns += own.plain
    noun = _described(meaning, _pick(nouns, rng), words, rng)
    if meaning.place:
        where = _pick(words.templates['places'][meaning.place], rng)
    elif meaning.relation and meaning.anchor:
        where = _relation(meaning.relation, meaning.anchor, count, scene, words, rng)
    else:
        return _filled(_pick(words.templates['phrases'][form], rng), thing=noun)
    return _filled(_pick(words.templates['sentences'][form], rng), noun=noun, where=where)


def _relation(
    relation: str, anchor: Expression, count: int, scene: Scene, words: Words, rng: np.random.Generator
) -> str:
    own = scene.words[anchor.category]
    name = relation
    if relation == 'next to' and own.along and count >= FEWEST_ALONG and rng.random() < 0.5:
        name = 'along'
    several = len(scene.resolve(anchor)) > 1
    nouns = own.mass if own.mass and anchor.kind == 'one-hop' else own.plural if several else own.singular
    text = _described(anchor, _pick(nouns, rng), words, rng, before=True)
    return _filled(_pick(words.templates['relations'][name], rng), anchor=f'the {text}')


def _described(meaning: Expression, noun: str, words: Words, rng: np.random.Generator, before: bool = False) -> str:
    """The noun with attributes; with ``before`` none of them stands behind it, where it could be read as
    something else's."""
    attributes = sorted(meaning.attributes, key=lambda attribute: _NEAREST_TO_NOUN.index(attribute[0]))
    if meaning.superlative:
        attributes.append(('superlative', meaning.superlative))
    for name, value in attributes:
        wordings = words.templates['attributes'][name][value]
        leading = [wording for wording in wordings if wording.endswith('{noun}')]
        noun = _filled(_pick(leading if before and leading else wordings, rng), noun=noun)
    return noun


def _filled(template: str, **slots: str) -> str:
    # Not str.format: a text from a file is text and nothing more.
    for slot, text in slots.items():
        template = template.replace(f'{{{slot}}}', text)
    return template


def _pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]
