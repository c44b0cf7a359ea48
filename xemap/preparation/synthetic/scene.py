"""A scene: image, objects, queries with their referents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xemap.errors import ConfigError
from xemap.language.wording import Choice
from xemap.preparation.synthetic.layout import Plan, SceneObject, make_plan
from xemap.preparation.synthetic.queries import choose_queries
from xemap.preparation.synthetic.render import render
from xemap.structures import QUERY_KINDS, ImageRecord, PolygonRegion, Query

GENERATOR_VERSION = 2
"""Changes whenever the same seed would give another scene."""

SOURCE = 'synthetic'
SIZES = (512, 768, 1024)
"""Sides a scene may have when none is given; the small ones are drawn more often."""
SIZE_LIMITS = (256, 4096)

_FEWEST_OBJECTS, _FEWEST_QUERIES = 4, 6


@dataclass(frozen=True)
class Layout:
    """A scene without its image.

    Args:
        plan: objects, scale and light.
        choices: meanings, referents and words of the queries.
        seed: seed of the drawing.
    """

    plan: Plan
    choices: list[Choice]
    seed: np.random.SeedSequence

    def queries(self) -> list[Query]:
        """The queries that were chosen with the scene."""
        return [self.query(choice) for choice in self.choices]

    def query(self, choice: Choice, pair: str | None = None) -> Query:
        """A query about the scene; the region is the union of the referents' polygons."""

        def region(indices: Sequence[int]) -> PolygonRegion:
            return PolygonRegion([ring for i in indices for ring in self.plan.objects[i].polygons])

        return choice.query(region, pair)

    def record(self, image: str, queries: list[Query] | None = None) -> ImageRecord:
        """The row of an annotation file.

        Args:
            image: path relative to the data set's root.
            queries: None = :meth:`queries`.
        """
        height, width = self.plan.size
        return ImageRecord(image, width, height, SOURCE, self.queries() if queries is None else queries)

    def draw(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        return render(self.plan, self.seed)


@dataclass(frozen=True)
class Scene:
    """A drawn scene.

    Args:
        image: (H, W, 3) uint8 RGB.
        objects: everything that queries can refer to.
        queries: with regions in pixels of the image.
        choices: the meaning of every query and indices of its referents, in the same order.
    """

    image: np.ndarray
    objects: list[SceneObject]
    queries: list[Query]
    choices: list[Choice]

    def record(self, image: str) -> ImageRecord:
        """The row of an annotation file; ``image`` is the path relative to the data set's root."""
        height, width = self.image.shape[:2]
        return ImageRecord(image, width, height, SOURCE, self.queries)


def lay_out_scene(
    seed: int | np.random.SeedSequence,
    size: int | tuple[int, int] | None = None,
    sizes: tuple[int, ...] = SIZES,
    needed_share: float = 0.0,
) -> Layout:
    """Objects and queries of a scene, without drawing it.

    Args:
        seed: the same seed and size give the same scene on every machine.
        size: side in pixels, or (height, width); None draws one of ``sizes``.
        sizes: sides to choose from; the probability of a side falls with its length.
        needed_share: see :func:`~xemap.preparation.synthetic.queries.choose_queries`.

    Raises:
        ConfigError: a side outside :data:`SIZE_LIMITS`.
    """
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    # Children by key, since SeedSequence.spawn counts its calls and would differ the second time.
    plan_seed, draw_seed = (
        np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, child)) for child in (0, 1)
    )
    rng = np.random.default_rng(plan_seed)
    if size is None:
        weight = 1 / np.asarray(sizes, dtype=np.float64)
        size = int(rng.choice(sizes, p=weight / weight.sum()))
    height, width = (size, size) if isinstance(size, int) else size
    if not SIZE_LIMITS[0] <= min(height, width) <= max(height, width) <= SIZE_LIMITS[1]:
        raise ConfigError(f'scene of {width} x {height} pixels; give sides from {SIZE_LIMITS[0]} to {SIZE_LIMITS[1]}')
    while True:
        plan = make_plan(rng, (height, width))
        if len(plan.objects) < _FEWEST_OBJECTS:
            continue
        choices = choose_queries(plan.objects, plan.size, rng, needed_share)
        if len(choices) >= _FEWEST_QUERIES and {choice.meaning.kind for choice in choices} == set(QUERY_KINDS):
            return Layout(plan, choices, draw_seed)


def generate_scene(seed: int | np.random.SeedSequence, size: int | tuple[int, int] | None = None) -> Scene:
    """Draw a scene; arguments and errors as :func:`lay_out_scene`."""
    layout = lay_out_scene(seed, size)
    return Scene(layout.draw(), layout.plan.objects, layout.queries(), layout.choices)
