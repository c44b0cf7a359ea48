"""Labels to referring expressions: which ones to make of an image."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np

from xemap.errors import ConfigError
from xemap.language.attributes import SIZE_EXTREMES, SIZES
from xemap.language.colors import COLORS
from xemap.language.expression import Expression
from xemap.language.places import EXTREMES, ZONES
from xemap.language.relations import COMPARISONS, DIRECTIONS, NEIGHBORS, RANKINGS, RELATIONS
from xemap.language.scene import Scene
from xemap.language.verdicts import YES
from xemap.language.wording import Choice, put_into_words
from xemap.language.words import Words
from xemap.preparation.expressions.objects import Measured, disjoint, joined, measured_scene
from xemap.preparation.instance import Instance
from xemap.preparation.minimal_pairs import MinimalPairs, choose_pairs, numbered_queries
from xemap.structures import QUERY_KINDS, Query, Region

KINDS = ('attribute', 'position', 'multi-hop')
"""Made by default; the fourth, one-hop, is what converters make of labels anyway."""

TRIES = 40
"""Proposals for each expression of a kind that is looked for."""
AREA = (2e-4, 0.7)
"""Share of the image that the referents may cover."""
SLIVER = 2e-3
"""An object cut by the border of which less is left is no lone referent and no anchor: people overlook it."""
SAME_REFERENTS = 2
"""Expressions of an image that may mean the same objects."""
SEVERAL = 0.4
"""Probability of staying with an expression that means several objects, rather than adding conditions."""


class ExpressionGenerator:
    """Referring expressions from labels, after RSVGD (Zhan et al. 2023, section III.A).

    Conditions are added to a category only until the expression means one object, or exactly the
    objects it claims; every condition that is left makes a difference. What is not clear, by a margin,
    is not said. ``docs/expressions.md`` states what the words mean.

    Args:
        words: file with word lists and templates, see :class:`~xemap.language.words.Words`.
        seed: another seed, other expressions; the image's name does the rest.
        max_per_image: most expressions of an image.
        kinds: some of :data:`~xemap.structures.QUERY_KINDS`, equally many each as far as the image has them.
        minimal_pairs: ``'too'``: minimal pairs (:mod:`~xemap.preparation.minimal_pairs`) follow the other queries of an
            image, for training; ``'only'``: they are its only queries, for a test. Neither changes the expressions.

    Raises:
        ConfigError: an unknown kind, no expressions at all, or another value of ``minimal_pairs``.
        DataError: the words file is missing or of another make.
    """

    def __init__(
        self,
        words: str | Path | None = None,
        seed: int = 0,
        max_per_image: int = 8,
        kinds: Sequence[str] = KINDS,
        minimal_pairs: MinimalPairs = 'none',
    ) -> None:
        unknown = [kind for kind in kinds if kind not in QUERY_KINDS]
        if unknown or not kinds:
            raise ConfigError(f'expression kinds {list(kinds)}; give some of {", ".join(QUERY_KINDS)}')
        if max_per_image < 1:
            raise ConfigError(f'max_per_image {max_per_image}; give at least 1')
        if minimal_pairs not in get_args(MinimalPairs):
            raise ConfigError(f'minimal_pairs {minimal_pairs!r}; give one of {", ".join(get_args(MinimalPairs))}')
        self.words = Words(words)
        self.seed = seed
        self.max_per_image = max_per_image
        self.kinds = tuple(kinds)
        self.minimal_pairs = minimal_pairs

    def queries(
        self,
        instances: Sequence[Instance],
        size: tuple[int, int],
        name: str,
        pixels: Callable[[], np.ndarray] | None = None,
    ) -> list[Query]:
        """Expressions of an image; the same arguments and seed give the same ones.

        Args:
            instances: all labeled objects and class masks of the image. A category with an object that is
                not labeled would make expressions untrue.
            size: (height, width) of the image.
            name: name of the image.
            pixels: gives the image, (H, W, 3) uint8 RGB; called only when a color is needed. None where
                colors are not true: no color is named.

        Raises:
            DataError: the image is of another size.
        """
        scene = measured_scene(instances, size, self.words, pixels)

        def region(indices: Sequence[int]) -> Region:
            return joined([scene.entities[i] for i in indices], size)  # type: ignore[misc]

        queries = []
        if self.minimal_pairs != 'only':
            queries += [choice.query(region) for choice in self.choose(scene, name)]
        if self.minimal_pairs != 'none':
            pairs = self.choose_pairs(scene, name)
            queries += numbered_queries(pairs, lambda choice, pair: choice.query(region, pair))
        return queries

    def info(self) -> dict:
        """What lets a person repeat the expressions, for the annotation file."""
        return {
            'seed': self.seed,
            'max_per_image': self.max_per_image,
            'kinds': list(self.kinds),
            **({} if self.minimal_pairs == 'none' else {'minimal_pairs': self.minimal_pairs}),
            'words': self.words.path.name if self.words.path else None,
        }

    def choose(self, scene: Scene, name: str) -> list[Choice]:
        """Queries about a scene: different meanings and texts, kinds taking turns."""
        rng = _generator(self.seed, name)
        left = [str(kind) for kind in rng.permutation(self.kinds)]
        chosen: list[Choice] = []
        while left and len(chosen) < self.max_per_image:
            kind = left.pop(0)
            choice = self._choose_one(kind, scene, chosen, rng)
            if choice is not None:
                chosen.append(choice)
                left.append(kind)
        return chosen

    def choose_pairs(self, scene: Scene, name: str) -> list[tuple[str, Choice, Choice]]:
        """Minimal pairs about a scene of :class:`~xemap.preparation.expressions.objects.Measured` objects.

        Returns:
            See :func:`xemap.preparation.minimal_pairs.choose_pairs`; the regions of a pair have no pixel in common.
        """

        def clear(*pair: Expression) -> bool:
            groups = [scene.resolve(meaning) for meaning in pair]
            anchors = [scene.resolve(anchor) for meaning in pair for anchor in meaning.anchors]
            objects: list = [[scene.entities[i] for i in group] for group in groups]
            return (
                all(AREA[0] <= scene.covered(group) <= AREA[1] for group in groups)
                and not any(_sliver(scene, group) or _remnant(scene, group) for group in (*groups, *anchors))
                and disjoint(objects[0], objects[1], scene.geometry.size)
            )

        rng = _generator(self.seed, name, 'minimal pairs')
        return choose_pairs(scene, self.words, rng, lambda category: _measured_attributes(category, scene), clear)

    def _choose_one(self, kind: str, scene: Scene, chosen: list[Choice], rng: np.random.Generator) -> Choice | None:
        for _ in range(TRIES):
            meaning = _propose(kind, scene, rng)
            if meaning is None or meaning.kind != kind or any(meaning == other.meaning for other in chosen):
                continue
            referents = scene.resolve(meaning)
            if sum(other.referents == referents for other in chosen) >= SAME_REFERENTS:
                continue
            if not AREA[0] <= scene.covered(referents) <= AREA[1] or _sliver(scene, referents):
                continue
            wording = put_into_words(meaning, scene, self.words, rng)
            if all(wording.text != other.wording.text for other in chosen):
                return Choice.of(meaning, scene, wording)
        return None


def _generator(*key: object) -> np.random.Generator:
    digest = hashlib.sha256('\n'.join(map(str, key)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], 'big'))


def _propose(kind: str, scene: Scene, rng: np.random.Generator) -> Expression | None:
    """A random expression that has referents and no idle condition; perhaps of another kind."""
    # A category of one object needs no more than its name.
    categories = [key for key, members in scene.members.items() if kind == 'one-hop' or len(members) > 1]
    if not categories:
        return None
    category = categories[int(rng.integers(len(categories)))]
    start = Expression(category)
    if kind == 'one-hop':
        return start
    if kind == 'multi-hop':
        related = _relate(start, scene, rng)
        if related is None:
            return None
        start, target = related
        if rng.random() < SEVERAL and scene.resolve(start):
            return _necessary(start, scene)
        return _necessary(_grown(start, target, _attributes(start, target, scene, rng), scene, rng), scene)
    members = scene.members[category]
    target = int(members[rng.integers(len(members))])
    options = _attributes(start, target, scene, rng, superlatives=kind == 'attribute')
    if kind == 'position':
        places = [*_places(start, target, scene)]
        if not places:
            return None
        start = places[int(rng.integers(len(places)))]
        options = iter(()) if start.superlative else options
    return _necessary(_grown(start, target, options, scene, rng), scene)


def _grown(
    start: Expression,
    target: int,
    conditions: Iterable[tuple[str, str]],
    scene: Scene,
    rng: np.random.Generator,
) -> Expression | None:
    """The expression with conditions added until it means the target alone, or few enough."""
    best = start
    everything = len(scene.members[start.category])
    for name, value in conditions:
        targets = scene.resolve(best)
        if targets == (target,) or 1 < len(targets) < everything and rng.random() < SEVERAL:
            break
        if name == 'superlative':
            more = replace(best, superlative=value)
        elif any(name == present for present, _ in best.attributes):
            continue
        else:
            more = replace(best, attributes=tuple(sorted((*best.attributes, (name, value)))))
        fewer = scene.resolve(more)
        if target in fewer and (not targets or len(fewer) < len(targets)):
            best = more
    return best if target in scene.resolve(best) else None


def _necessary(meaning: Expression | None, scene: Scene) -> Expression | None:
    """The expression without conditions that make no difference; None where nothing is left."""
    if meaning is None:
        return None
    referents = scene.resolve(meaning)
    idle = next((weaker for weaker in meaning.without().values() if scene.resolve(weaker) == referents), None)
    if idle is not None:
        return _necessary(idle, scene)
    return meaning if referents and meaning.kind != 'one-hop' else None


def _attributes(
    start: Expression, target: int, scene: Scene, rng: np.random.Generator, superlatives: bool = False
) -> Iterator[tuple[str, str]]:
    """Conditions that hold for the target, in random order; a superlative may not."""
    category = start.category
    words = scene.words[category]
    values = _measured_attributes(category, scene)
    if words.size and superlatives:
        values['superlative'] = SIZE_EXTREMES
    place = int(np.flatnonzero(scene.members[category] == target)[0])
    for name in rng.permutation(sorted(values)).tolist():
        for value in values[name]:
            if name == 'superlative' or scene.attribute(category, name, value)[place] == YES:
                yield name, value


def _measured_attributes(category: str, scene: Scene) -> dict[str, Sequence[str]]:
    """By name, the values that are measured of the objects of a category and may be named."""
    words = scene.words[category]
    values: dict[str, Sequence[str]] = {'shape': words.shapes}
    if words.color and scene.colors is not None:
        values['color'] = tuple(COLORS)
    if words.size:
        values['size'] = SIZES
    return values


def _places(start: Expression, target: int, scene: Scene) -> Iterator[Expression]:
    """The expression with each place that the target has."""
    category = start.category
    if not scene.words[category].place:
        return
    place = int(np.flatnonzero(scene.members[category] == target)[0])
    for zone in ZONES:
        if scene.place(category, zone)[place] == YES:
            yield replace(start, place=zone)
    for extreme in EXTREMES:
        extremal = replace(start, superlative=extreme)
        if scene.resolve(extremal) == (target,):
            yield extremal


def _relate(start: Expression, scene: Scene, rng: np.random.Generator) -> tuple[Expression, int] | None:
    """The expression with a relation to another category, and an object for which it holds."""
    others = [key for key in scene.members if key != start.category]
    relation = RELATIONS[int(rng.integers(len(RELATIONS)))]
    needed = 2 if relation == 'between' else 1
    if len(others) < needed:
        return None
    picked = [others[i] for i in rng.permutation(len(others))[:needed]]
    words = [scene.words[key] for key in (start.category, *picked)]
    if relation in (*DIRECTIONS, 'between') and not words[0].place:
        return None
    if relation in DIRECTIONS and not words[1].place:
        return None
    if relation in COMPARISONS and not all(entry.place and entry.size and not entry.mass for entry in words):
        return None  # nobody compares farmland with water
    proposed = [_anchor(key, relation in NEIGHBORS, scene, rng) for key in picked]
    anchors = tuple(anchor for anchor in proposed if anchor is not None)
    groups = tuple(scene.resolve(anchor) for anchor in anchors)
    if len(anchors) < needed or any(_sliver(scene, group) for group in groups):
        return None
    if relation == 'surrounded by' and any(scene.entities[i].boxed for i in groups[0]):
        return None  # most of a box may be something else
    related = replace(start, relation=relation, anchors=anchors)
    members = scene.members[start.category]
    if relation in RANKINGS:
        targets = scene.resolve(related)
    else:
        verdicts = scene.related(start.category, relation, groups)
        targets = () if verdicts is None else tuple(members[verdicts == YES].tolist())
    return (related, targets[int(rng.integers(len(targets)))]) if targets else None


def _anchor(category: str, all_of_it: bool, scene: Scene, rng: np.random.Generator) -> Expression | None:
    """A whole category, where the relation allows it, or one object that the expression identifies."""
    members = scene.members[category]
    anchor = Expression(category)
    if len(members) == 1 or all_of_it and rng.random() < 0.7:
        return anchor
    target = int(members[rng.integers(len(members))])
    extremes = [] if not scene.words[category].place else EXTREMES
    conditions = [
        *_attributes(anchor, target, scene, rng, superlatives=True),
        *(('superlative', extreme) for extreme in extremes),
    ]
    for name, value in (conditions[k] for k in rng.permutation(len(conditions))):
        if name == 'superlative':
            distinct = replace(anchor, superlative=value)
        else:
            distinct = replace(anchor, attributes=((name, value),))
        if name != 'shape' and len(scene.resolve(distinct)) == 1:
            return distinct
    return None


def _sliver(scene: Scene, targets: tuple[int, ...]) -> bool:
    return len(targets) == 1 and bool(scene.geometry.cut[targets[0]]) and scene.covered(targets) < SLIVER


def _remnant(scene: Scene, targets: tuple[int, ...]) -> bool:
    """One part of a class mask that is as small as a sliver, most often a gap between labels."""
    entity = scene.entities[targets[0]]
    part = isinstance(entity, Measured) and entity.region is None
    return len(targets) == 1 and part and scene.covered(targets) < SLIVER
