"""Minimal pairs about synthetic scenes, also in words that no other split has."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from xemap.language.expression import Expression
from xemap.language.scene import Scene
from xemap.language.wording import Choice
from xemap.language.words import KNOWN_ATTRIBUTES, Words
from xemap.preparation import minimal_pairs
from xemap.preparation.synthetic.layout import SceneObject
from xemap.preparation.synthetic.queries import AREA, synthetic_words
from xemap.preparation.synthetic.scene import Layout
from xemap.structures import Query

UNSEEN = ' in unseen words'
"""Behind a change: the sentences use words or an order that no other split has."""


@cache
def unseen_words() -> Words:
    """The vocabulary with synonyms, and orders of words, that other splits do not have."""
    folder = Path(__file__).parent
    return Words(folder / 'words.json', folder / 'unseen_words.json')


def choose_pairs(
    objects: Sequence[SceneObject], size: tuple[int, int], rng: np.random.Generator, with_unseen: bool = True
) -> list[tuple[str, Choice, Choice]]:
    """Minimal pairs about a scene.

    Args:
        objects: the objects of the scene.
        size: (height, width) of its image.
        rng: source of randomness.
        with_unseen: also pairs in words that no other split has.

    Returns:
        See :func:`xemap.preparation.minimal_pairs.choose_pairs`; the change has :data:`UNSEEN` where it applies.
    """
    pairs: list[tuple[str, Choice, Choice]] = []
    vocabularies = [(synthetic_words(), ''), *([(unseen_words(), UNSEEN)] if with_unseen else [])]
    for vocabulary, suffix in vocabularies:
        scene = Scene(objects, size, vocabulary)

        def clear(*pair: Expression, scene: Scene = scene) -> bool:
            return all(AREA[0] <= scene.covered(scene.resolve(meaning)) <= AREA[1] for meaning in pair)

        chosen = minimal_pairs.choose_pairs(scene, vocabulary, rng, lambda category: KNOWN_ATTRIBUTES, clear)
        pairs += [(change + suffix, first, second) for change, first, second in chosen]
    return pairs


def pair_queries(layout: Layout, seed: np.random.SeedSequence, with_unseen: bool = True) -> list[Query]:
    """Queries of the minimal pairs about a scene, the two of a pair one after the other.

    Args:
        layout: the scene.
        seed: seed of the scene.
        with_unseen: see :func:`choose_pairs`.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, 3)))
    pairs = choose_pairs(layout.plan.objects, layout.plan.size, rng, with_unseen)
    return minimal_pairs.numbered_queries(pairs, layout.query)
