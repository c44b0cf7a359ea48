"""SeLo v1 and v2: from similarities of slices to a correlation map."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xemap.errors import ConfigError
from xemap.models.localizers.selo.filters import gaussian_filter, median_filter, require_filter_size
from xemap.models.localizers.selo.stacking import CellMap
from xemap.models.localizers.selo.tiles import refining_boxes, sliding_tiles, unique_boxes
from xemap.registry import MODELS

Score = Callable[[np.ndarray], np.ndarray]
"""(N, 4) slices -> (N, Q) float64 similarities with the Q queries of an image."""

ScoredSlices = tuple[np.ndarray, np.ndarray]
"""(N, 4) slices and (N,) their similarities with one query."""


class SeLoGenerator(ABC):
    """The parts in which SeLo's versions differ; :class:`SeLoLocalizer` puts them together."""

    def phrasings(self, text: str) -> list[str]:
        """Texts whose mean similarity is the query's: that with their mean embedding, up to its length."""
        return [text]

    @abstractmethod
    def scored_slices(self, size: tuple[int, int], score: Score) -> list[ScoredSlices]:
        """The slices that make the map of each query.

        Args:
            size: (height, width) of the image.
            score: encodes slices, once for all queries.
        """

    @abstractmethod
    def smooth(self, map: CellMap) -> np.ndarray:
        """The filtered map, (H, W) uint8; ``map`` has uint8 values."""


@MODELS.register_module()
class SeLoV1Generator(SeLoGenerator):
    """SeLo (Yuan et al., "Learning to Evaluate Performance of Multi-modal Semantic Localization").

    Args:
        scales: sides of the tiles in pixels; the default is setting s5 of the paper's Table IV.
        passes: shift of each pass as a share of the tile, in [0, 1); one must be 0, so that the upper
            and left margins are covered.
        median: side of the median filter in pixels, odd, at most 255; 1 = none.

    Raises:
        ConfigError: an argument does not fit.
    """

    def __init__(
        self, scales: Sequence[int] = (256, 512, 768), passes: Sequence[float] = (0.0, 0.5), median: int = 251
    ) -> None:
        self.scales = _pixels(self, 'scales', scales)
        if 0 not in passes or not all(0 <= shift < 1 for shift in passes):
            raise ConfigError(f'SeLoV1Generator: passes={passes!r}; give shares in [0, 1), one of them 0')
        self.passes = tuple(passes)
        self.median = require_filter_size('SeLoV1Generator', 'median', median)

    def scored_slices(self, size: tuple[int, int], score: Score) -> list[ScoredSlices]:
        tiles = sliding_tiles(size, self.scales, self.passes)
        return [(tiles, column) for column in score(tiles).T]

    def smooth(self, map: CellMap) -> np.ndarray:
        return median_filter(map, self.median)


@MODELS.register_module()
class SeLoV2Generator(SeLoGenerator):
    """SeLo v2: coarse tiles first, then small boxes inside the best of them.

    Stage 1 scores tiles without overlap and keeps the best ``int(keep * N) + 1``. Stage 2 scores boxes at
    nine anchors of each kept tile. The map is the mean over both where they cover, and 0 elsewhere: a
    query that is less than 0 similar to what was kept gets a map that is dark there, as in the reference.

    Args:
        tile: side of the tiles in pixels.
        keep: share of the tiles to keep, in [0, 1].
        boxes: sides of the boxes in pixels.
        shuffles: how many random orders of a query's words are averaged with the query.
        seed: seed of the shuffles. A query's depend on the seed and its text only, not on the other queries.
        blur: side of the Gaussian filter in pixels, odd, at most 255; 1 = none.

    Raises:
        ConfigError: an argument does not fit.
    """

    def __init__(
        self,
        tile: int = 512,
        keep: float = 0.15,
        boxes: Sequence[int] = (128, 256),
        shuffles: int = 4,
        seed: int = 0,
        blur: int = 255,
    ) -> None:
        (self.tile,) = _pixels(self, 'tile', (tile,))
        self.boxes = _pixels(self, 'boxes', boxes, at_least=2)
        if not 0 <= keep <= 1:
            raise ConfigError(f'SeLoV2Generator: keep={keep!r}; give a share of the tiles in [0, 1]')
        if shuffles < 0:
            raise ConfigError(f'SeLoV2Generator: shuffles={shuffles!r}; give 0 or more')
        self.keep, self.shuffles, self.seed = keep, shuffles, seed
        self.blur = require_filter_size('SeLoV2Generator', 'blur', blur)

    def phrasings(self, text: str) -> list[str]:
        rng = random.Random(f'{self.seed} {text}')
        words = text.split()
        return [text, *(' '.join(rng.sample(words, len(words))) for _ in range(self.shuffles))]

    def scored_slices(self, size: tuple[int, int], score: Score) -> list[ScoredSlices]:
        tiles = sliding_tiles(size, (self.tile,), (0.0,))
        coarse = score(tiles)
        best = np.argsort(-coarse, axis=0, kind='stable')[: int(self.keep * len(tiles)) + 1]
        kept = [tiles[order] for order in best.T]
        refined = [self._refined(boxes, size) for boxes in kept]
        union = unique_boxes(box for boxes in refined for box in boxes)
        fine, place = score(union), {tuple(box): i for i, box in enumerate(union.tolist())}
        scored = []
        for query, (coarse_boxes, boxes) in enumerate(zip(kept, refined)):
            chosen = [place[tuple(box)] for box in boxes.tolist()]
            similarity = np.concatenate([coarse[best[:, query], query], fine[chosen, query]])
            scored.append((np.concatenate([coarse_boxes, boxes]), similarity))
        return scored

    def smooth(self, map: CellMap) -> np.ndarray:
        return gaussian_filter(map, self.blur)

    def _refined(self, tiles: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Boxes of stage 2 that are no kept tile themselves, as can be in small images."""
        boxes = unique_boxes([*tiles, *(box for tile in tiles for box in refining_boxes(tile, size, self.boxes))])
        return boxes[len(tiles) :]


def _pixels(owner: Any, name: str, sides: Sequence[int], at_least: int = 1) -> tuple[int, ...]:
    if not sides or not all(isinstance(side, int) and side >= at_least for side in sides):
        raise ConfigError(f'{type(owner).__name__}: {name}={sides!r}; give whole pixels, at least {at_least}')
    return tuple(sides)
