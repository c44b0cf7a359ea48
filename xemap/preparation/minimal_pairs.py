"""Minimal pairs: two queries about one image that differ in one word or phrase and mean different objects.

Whoever does not read that word can't have both right; see :mod:`xemap.evaluation.functional.minimal_pairs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, permutations
from typing import Literal

import numpy as np

from xemap.language.expression import Expression
from xemap.language.relations import DIRECTIONS
from xemap.language.scene import Scene
from xemap.language.wording import Choice, put_into_words
from xemap.language.words import SUPERLATIVES, Words
from xemap.structures import Query

MinimalPairs = Literal['none', 'too', 'only']
"""Whether an image has minimal pairs: behind its other queries, for training, or nothing else, for a test."""
Attributes = Callable[[str], Mapping[str, Sequence[str]]]
"""By name, the values of the attributes that a category may have."""

OPPOSITES = {
    'size': [('largest', 'smallest')],
    'place': [
        *[('leftmost', 'rightmost'), ('topmost', 'bottommost'), ('left', 'right'), ('top', 'bottom')],
        *[('top left', 'top right'), ('bottom left', 'bottom right')],
        *[('top left', 'bottom left'), ('top right', 'bottom right')],
    ],
    'direction': [*combinations(DIRECTIONS, 2)],
    'distance': [('next to', 'far from'), ('closest to', 'farthest from')],
}
CHANGES = ('attribute', *OPPOSITES, 'anchor', 'between')
"""What the sentences of a pair differ in."""
PAIRS_OF_A_CHANGE = 2
"""Most pairs of an image with one change and the same choice of words."""
LONGEST_DIFFERENCE = {'attribute': 2, 'size': 2, 'place': 2, 'direction': 3, 'distance': 3, 'anchor': 6, 'between': 6}
"""Words of each sentence that the other one lacks, at most."""
TRIES = 8


def choose_pairs(
    scene: Scene,
    words: Words,
    rng: np.random.Generator,
    attributes: Attributes,
    clear: Callable[[Expression, Expression], bool],
) -> list[tuple[str, Choice, Choice]]:
    """Minimal pairs about a scene.

    Args:
        scene: the objects of the image.
        words: templates.
        rng: source of randomness.
        attributes: gives the attributes that tell objects of a category apart.
        clear: whether people would see all that two expressions mean. It is called only where both have referents,
            none of them in common, and one each or several each.

    Returns:
        (change, one query, the other); the change is one of :data:`CHANGES`.
    """
    pairs: list[tuple[str, Choice, Choice]] = []
    for change in CHANGES:
        candidates = [
            pair for pair in _candidates(change, scene, attributes) if _tells_apart(*pair, scene) and clear(*pair)
        ]
        made = 0
        for k in rng.permutation(len(candidates)):
            chosen = _worded(candidates[k], change, scene, words, rng)
            if chosen is not None:
                pairs.append((change, *chosen))
                made += 1
            if made == PAIRS_OF_A_CHANGE:
                break
    return pairs


def numbered_queries(pairs: Iterable[tuple[str, Choice, Choice]], query: Callable[[Choice, str], Query]) -> list[Query]:
    """Queries of the minimal pairs of an image, the two of a pair one after the other.

    Args:
        pairs: change, one query and the other, see :func:`choose_pairs`.
        query: makes a query of a choice and the name of its pair (see :class:`~xemap.structures.Query`).
    """
    return [
        query(choice, f'{change}/{number}') for number, (change, *choices) in enumerate(pairs) for choice in choices
    ]


def _candidates(change: str, scene: Scene, attributes: Attributes) -> Iterator[tuple[Expression, Expression]]:
    """Expressions that differ in one condition; they may have no referents."""
    for category, members in scene.members.items():
        if len(members) < 2:
            continue
        start, words = Expression(category), scene.words[category]
        others = [Expression(name) for name in scene.members if name != category]
        if change == 'attribute':
            for name, values in attributes(category).items():
                for one, other in combinations(values, 2):
                    yield replace(start, attributes=((name, one),)), replace(start, attributes=((name, other),))
        elif change == 'size' and words.size or change == 'place' and words.place:
            for one, other in OPPOSITES[change]:
                if one in SUPERLATIVES:
                    yield replace(start, superlative=one), replace(start, superlative=other)
                else:
                    yield replace(start, place=one), replace(start, place=other)
        elif change in ('direction', 'distance'):
            for anchor in others:
                if change == 'distance' or words.place and scene.words[anchor.category].place:
                    for one, other in OPPOSITES[change]:
                        related = replace(start, relation=one, anchors=(anchor,))
                        yield related, replace(related, relation=other)
        elif change == 'anchor':
            for relation in ('next to', 'closest to'):
                for first, second in combinations(others, 2):
                    related = replace(start, relation=relation, anchors=(first,))
                    yield related, replace(related, anchors=(second,))
        elif change == 'between' and words.place:
            for common, first, second in permutations(others, 3):
                related = replace(start, relation='between', anchors=(common, first))
                yield related, replace(related, anchors=(common, second))


def _tells_apart(first: Expression, second: Expression, scene: Scene) -> bool:
    """Both mean something, of the same number, and nothing in common."""
    one, other = scene.resolve(first), scene.resolve(second)
    return bool(one and other) and not set(one) & set(other) and (len(one) > 1) == (len(other) > 1)


def _worded(
    pair: tuple[Expression, Expression], change: str, scene: Scene, words: Words, rng: np.random.Generator
) -> tuple[Choice, Choice] | None:
    """Both in the same words but for the difference; None where no such wording was found."""
    for seed in rng.integers(2**32, size=TRIES):
        wordings = [put_into_words(meaning, scene, words, np.random.default_rng(int(seed))) for meaning in pair]
        if max(difference(*(wording.text for wording in wordings))) <= LONGEST_DIFFERENCE[change]:
            first, second = (Choice.of(meaning, scene, wording) for meaning, wording in zip(pair, wordings))
            return first, second
    return None


def difference(first: str, second: str) -> tuple[int, int]:
    """Numbers of words between what two texts share at their beginning and at their end."""
    one, other = first.split(), second.split()
    shorter = min(len(one), len(other))
    start = next((i for i in range(shorter) if one[i] != other[i]), shorter)
    rest = shorter - start
    end = next((i for i in range(rest) if one[-1 - i] != other[-1 - i]), rest)
    return len(one) - start - end, len(other) - start - end
