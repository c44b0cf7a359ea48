"""Choosing the queries about a scene; what their words mean is in :mod:`xemap.language`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import shapely

from xemap.language.attributes import SIZE_EXTREMES
from xemap.language.expression import Expression
from xemap.language.geometry import Entity
from xemap.language.places import CORNERS, EXTREMES, SIDES
from xemap.language.relations import DIRECTIONS, NEIGHBORS
from xemap.language.scene import Scene
from xemap.language.wording import Choice, put_into_words
from xemap.language.words import Words
from xemap.preparation.synthetic.layout import SceneObject
from xemap.structures import QUERY_KINDS

QUOTAS = {'one-hop': (2, 4), 'attribute': (2, 4), 'position': (2, 4), 'multi-hop': (3, 5)}
"""Least and (exclusive) greatest number of queries of a kind to look for."""

CONDITIONS: Mapping[str, Mapping[str, float]] = {
    'one-hop': {'': 1.0},
    'attribute': {'any': 0.6, 'size': 0.4},
    'position': {'side': 0.3, 'corner': 0.34, 'extreme': 0.2, 'center': 0.16},
    'multi-hop': {'next to': 0.36, 'closest to': 0.17, 'farthest from': 0.09, 'direction': 0.14, 'between': 0.24},
}
"""Kind to the conditions that are looked for, with their shares."""

PLACE_GROUPS: Mapping[str, tuple[str, ...]] = {
    'side': SIDES, 'corner': CORNERS, 'extreme': EXTREMES, 'center': ('center',),
}  # fmt: skip

TRIES = 160
"""Proposals for each query that is looked for; after half of them another condition may do."""

AREA = (0.004, 0.6)
"""Share of the image that the referents may cover."""

EASY = 0.3
"""Share that is kept of position and relation queries whose category alone would say it."""


@cache
def synthetic_words() -> Words:
    """The vocabulary with the nouns of drawn objects."""
    return Words(Path(__file__).with_name('words.json'))


def choose_queries(
    objects: Sequence[SceneObject], size: tuple[int, int], rng: np.random.Generator, needed_share: float = 0.0
) -> list[Choice]:
    """Unambiguous queries about a scene, all four kinds as far as the scene has them.

    Args:
        objects: the objects of the scene.
        size: (height, width) of its image.
        rng: source of randomness.
        needed_share: share of the queries of more than a category in which every condition is needed; others are
            as they come.

    Returns:
        Queries with different meanings and texts, grouped by kind.
    """
    words = synthetic_words()
    scene = Scene(objects, size, words)
    chosen: list[Choice] = []
    for kind in QUERY_KINDS:
        for _ in range(int(rng.integers(*QUOTAS[kind]))):
            # What is rare by chance (a place in the middle, lying between two things) is looked for longer.
            condition = str(rng.choice(list(CONDITIONS[kind]), p=list(CONDITIONS[kind].values())))
            all_needed = needed_share > 0 and kind != 'one-hop' and rng.random() < needed_share
            for attempt in range(TRIES):
                if attempt == TRIES // 2:
                    condition = str(rng.choice(list(CONDITIONS[kind])))
                meaning = _propose(kind, condition, scene, rng)
                if meaning is None or any(meaning == other.meaning for other in chosen):
                    continue
                referents = scene.resolve(meaning)
                if not referents or not _worth_asking(meaning, referents, scene, chosen, rng):
                    continue
                if all_needed and not set(meaning.without()) <= set(scene.needed(meaning)):
                    continue
                wording = put_into_words(meaning, scene, words, rng)
                if all(wording.text != other.wording.text for other in chosen):
                    chosen.append(Choice.of(meaning, scene, wording))
                    break
    return chosen


def _worth_asking(
    meaning: Expression, referents: tuple[int, ...], scene: Scene, chosen: list[Choice], rng: np.random.Generator
) -> bool:
    outlines = scene.geometry.outlines[list(referents)]
    covered = shapely.union_all(outlines).area / scene.geometry.side**2
    if not AREA[0] <= covered <= AREA[1]:
        return False
    if sum(other.referents == referents for other in chosen) >= 3:
        return False
    return meaning.kind == 'one-hop' or bool(scene.distractors(meaning)) or rng.random() < EASY


def _propose(kind: str, condition: str, scene: Scene, rng: np.random.Generator) -> Expression | None:
    """A random expression of a kind; it may have no referents."""
    objects = scene.entities
    target = objects[int(rng.integers(len(objects)))]  # so repeated categories have more queries
    category = target.category
    if kind == 'one-hop':
        return Expression(category)
    if kind == 'attribute' and condition == 'size':
        extreme = _size(category, scene, rng)
        return Expression(category, superlative=extreme) if extreme else None
    if kind == 'attribute':
        attributes = _attribute(target, rng)
        return Expression(category, attributes) if attributes else None
    attributes = _attribute(target, rng) if rng.random() < 0.3 else ()
    if kind == 'position':
        if not scene.words[category].place:
            return None
        return _placed(category, attributes, _pick(PLACE_GROUPS[condition], rng))
    relation = _pick(DIRECTIONS, rng) if condition == 'direction' else condition
    proposed = [_anchor(scene, category, rng) for _ in range(2 if relation == 'between' else 1)]
    anchors = tuple(anchor for anchor in proposed if anchor is not None)
    if len(anchors) < len(proposed):
        return None
    # What runs through the image has no place in it, and its center says nothing.
    if not scene.words[category].place and relation not in NEIGHBORS:
        return None
    if relation in DIRECTIONS and not scene.words[anchors[0].category].place:
        return None
    if len({anchor.category for anchor in anchors}) < len(anchors):
        return None
    return Expression(category, attributes, relation=relation, anchors=anchors)


def _placed(category: str, attributes: tuple[tuple[str, str], ...], place: str) -> Expression:
    if place in EXTREMES:
        return Expression(category, attributes, superlative=place)
    return Expression(category, attributes, place=place)


def _attribute(target: Entity, rng: np.random.Generator) -> tuple[tuple[str, str], ...]:
    """An attribute that the object has and that its category can differ in."""
    options = [*target.attributes.items()]
    return (options[int(rng.integers(len(options)))],) if options else ()


def _size(category: str, scene: Scene, rng: np.random.Generator) -> str | None:
    return _pick(SIZE_EXTREMES, rng) if scene.words[category].size else None


def _anchor(scene: Scene, target: str, rng: np.random.Generator) -> Expression | None:
    """Another category; identified by attribute or place where there are several objects of it."""
    obj = scene.entities[int(rng.integers(len(scene.entities)))]
    if obj.category == target:
        return None
    alike = len(scene.members[obj.category])
    choice = rng.random()
    if choice < (0.75 if alike == 1 else 0.35):
        return Expression(obj.category)
    if choice < 0.8:
        if attributes := _attribute(obj, rng):
            return Expression(obj.category, attributes)
        if extreme := _size(obj.category, scene, rng):
            return Expression(obj.category, superlative=extreme)
    if alike > 1 and scene.words[obj.category].place:
        return _placed(obj.category, (), str(rng.choice([*CORNERS, *EXTREMES])))
    return None


def _pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]
