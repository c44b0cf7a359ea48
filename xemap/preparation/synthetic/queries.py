"""Choosing what to ask about a scene, and putting it into words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from xemap.language.verdicts import CORNERS, DIRECTIONS, EXTREMES, SIDES
from xemap.preparation.synthetic.expressions import NEIGHBOURS, Expression, World
from xemap.preparation.synthetic.layout import SceneObject
from xemap.preparation.synthetic.lexicon import ATTRIBUTES, NOUNS, PLACES, RELATIONS, SHORES
from xemap.structures import QUERY_KINDS

LINES = ('river', 'road', 'crossroads', 'runway', 'sea')
"""Categories that run through the image: they have no place in it, and their centre says nothing."""

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


@dataclass(frozen=True)
class Asked:
    """A query before it gets a region: its meaning, indices of its referents, and its words."""

    meaning: Expression
    referents: tuple[int, ...]
    text: str


def choose_queries(objects: Sequence[SceneObject], size: tuple[int, int], rng: np.random.Generator) -> list[Asked]:
    """Unambiguous queries about a scene, all four kinds as far as the scene has them.

    Args:
        objects: of the scene.
        size: (height, width) of its image.
        rng: source of randomness.

    Returns:
        Queries with different meanings and texts, grouped by kind.
    """
    world = World(objects, size)
    asked: list[Asked] = []
    for kind in QUERY_KINDS:
        for _ in range(int(rng.integers(*QUOTAS[kind]))):
            # What is rare by chance (a place in the middle, lying between two things) is looked for longer.
            condition = str(rng.choice(list(CONDITIONS[kind]), p=list(CONDITIONS[kind].values())))
            for attempt in range(TRIES):
                if attempt == TRIES // 2:
                    condition = str(rng.choice(list(CONDITIONS[kind])))
                meaning = _propose(kind, condition, world, rng)
                if meaning is None or any(meaning == other.meaning for other in asked):
                    continue
                referents = world.resolve(meaning)
                if not referents or not _worth_asking(meaning, referents, world, asked, rng):
                    continue
                text = put_into_words(meaning, world, rng)
                if all(text != other.text for other in asked):
                    asked.append(Asked(meaning, referents, text))
                    break
    return asked


def _worth_asking(
    meaning: Expression, referents: tuple[int, ...], world: World, asked: list[Asked], rng: np.random.Generator
) -> bool:
    covered = shapely.union_all([world.outlines[i] for i in referents]).area / world.side**2
    if not AREA[0] <= covered <= AREA[1]:
        return False
    if sum(other.referents == referents for other in asked) >= 3:
        return False
    alike = sum(obj.category == meaning.category for obj in world.objects)
    return meaning.kind == 'one-hop' or len(referents) < alike or rng.random() < EASY


def _propose(kind: str, condition: str, world: World, rng: np.random.Generator) -> Expression | None:
    """A random expression of a kind; it may have no referents."""
    objects = world.objects
    target = objects[int(rng.integers(len(objects)))]  # so repeated categories are asked about more often
    category = target.category
    if kind == 'one-hop':
        return Expression(category)
    if kind == 'attribute':
        attribute = _size(category, rng) if condition == 'size' else _attribute(target, rng)
        return Expression(category, attribute) if attribute else None
    attribute = _attribute(target, rng) if rng.random() < 0.3 else None
    if kind == 'position':
        if category in LINES:
            return None
        return Expression(category, attribute, _pick(PLACE_GROUPS[condition], rng))
    relation = _pick(DIRECTIONS, rng) if condition == 'direction' else condition
    proposed = [_anchor(world, category, rng) for _ in range(2 if relation == 'between' else 1)]
    anchors = [anchor for anchor in proposed if anchor is not None]
    if len(anchors) < len(proposed):
        return None
    if category in LINES and relation not in NEIGHBOURS or relation in DIRECTIONS and anchors[0].category in LINES:
        return None
    if len({anchor.category for anchor in anchors}) < len(anchors):
        return None
    return Expression(category, attribute, None, relation, tuple(anchors))


def _attribute(target: SceneObject, rng: np.random.Generator) -> tuple[str, str] | None:
    """An attribute that the object has and that its category can differ in."""
    options = [*target.attributes.items()]
    return options[int(rng.integers(len(options)))] if options else None


def _size(category: str, rng: np.random.Generator) -> tuple[str, str] | None:
    return None if category in (*LINES, 'ship') else ('size', _pick(('large', 'small'), rng))


def _anchor(world: World, target: str, rng: np.random.Generator) -> Expression | None:
    """Another category; told apart by attribute or place where there are several objects of it."""
    obj = world.objects[int(rng.integers(len(world.objects)))]
    if obj.category == target:
        return None
    alike = sum(other.category == obj.category for other in world.objects)
    choice = rng.random()
    if choice < (0.75 if alike == 1 else 0.35):
        return Expression(obj.category)
    if choice < 0.8 and (attribute := _attribute(obj, rng) or _size(obj.category, rng)):
        return Expression(obj.category, attribute)
    if alike > 1 and obj.category not in LINES:
        return Expression(obj.category, None, str(rng.choice([*CORNERS, *EXTREMES])))
    return None


# Words


def put_into_words(meaning: Expression, world: World, rng: np.random.Generator) -> str:
    """One of the many ways to say it, 2 to about 15 words."""
    if not meaning.relation:
        phrase = _phrase(meaning, world, rng)
    else:
        inner = Expression(meaning.category, meaning.attribute)
        count = len(world.resolve(meaning))
        target = _phrase(inner, world, rng, count)
        anchors = [f'the {_phrase(anchor, world, rng, anchor=True)}' for anchor in meaning.anchors]
        template = _pick(RELATIONS[meaning.relation], rng)
        phrase = template.format(t=target, **dict(zip('ab', anchors)))
    several = len(world.resolve(meaning)) > 1
    choice = rng.random()
    if several and choice < 0.2 and meaning.kind in ('one-hop', 'attribute'):
        return f'all {phrase}' if choice < 0.1 else f'all the {phrase}'
    if choice < 0.72 or ' ' not in phrase or not several and choice < 0.8:
        return f'the {phrase}'
    return phrase


def _phrase(
    meaning: Expression, world: World, rng: np.random.Generator, count: int | None = None, anchor: bool = False
) -> str:
    """Noun with attribute and place, without an article."""
    count = len(world.resolve(meaning)) if count is None else count
    names = SHORES.get(meaning.category) if anchor and count == 1 else None
    phrase = _pick(names or NOUNS[meaning.category][count > 1], rng)
    if meaning.attribute:
        phrase = _pick(ATTRIBUTES[meaning.attribute], rng).format(n=phrase)
    if meaning.position:
        wordings = PLACES[meaning.position]
        if anchor:  # behind the noun it could be read as the place of the target
            wordings = wordings[:1] if meaning.position in EXTREMES else wordings[-1:]
        phrase = _pick(wordings, rng).format(n=phrase)
    return phrase


def _pick(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]
