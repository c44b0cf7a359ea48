"""Resizing and flipping; a flip also rewrites the direction words of the queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from scipy.sparse import csr_array

from xemap.datasets.mcmg import overlap_lengths
from xemap.datasets.transforms.targets import refuse_after_targets
from xemap.errors import ConfigError
from xemap.language.directions import mirror_directions
from xemap.raster.resize import resize
from xemap.registry import TRANSFORMS
from xemap.structures import Query, Region
from xemap.structures.region import FLIP_AXES


@TRANSFORMS.register_module()
class ResizeImage(BaseTransform):
    """Resize ``img`` to a fixed size; the aspect ratio is not kept (as in the paper).

    Averages areas along a side that shrinks, interpolates linearly along one that grows. Regions stay in original
    pixels: targets are made from them at the new size.

    Args:
        size: (height, width) in pixels.
        first_size: (height, width) during the first ``first_epochs`` epochs of a training: words are learned from
            small images in less time, outlines from larger ones afterwards. None = ``size`` from the start.
        first_epochs: how many epochs see ``first_size``.

    Raises:
        ConfigError: ``first_size`` and ``first_epochs`` are not given together; :class:`LoadImage` has left fewer
            pixels of a large image than the size asks for, or targets were made before.
    """

    def __init__(
        self, size: tuple[int, int] = (512, 512), first_size: tuple[int, int] | None = None, first_epochs: int = 0
    ) -> None:
        if (first_size is None) != (first_epochs == 0) or first_epochs < 0:
            raise ConfigError(
                f'ResizeImage: first_size={first_size!r} and first_epochs={first_epochs} belong together; give both, '
                'or neither'
            )
        self.size = _checked_size('size', size)
        self.first_size = None if first_size is None else _checked_size('first_size', first_size)
        self.first_epochs = first_epochs

    def transform(self, results: dict) -> dict:
        refuse_after_targets(self, results)
        size = self.size
        if self.first_size is not None and results['epoch'] < self.first_epochs:
            size = self.first_size
        img = results['img']
        extent = results.pop('extent', None)  # of a file that was decoded at a fraction
        if img.shape[:2] != size:
            grows = size[0] > img.shape[0] or size[1] > img.shape[1]
            if extent is not None and grows:
                raise ConfigError(
                    f'ResizeImage: {results["img_path"]} was decoded at {img.shape[1]} x {img.shape[0]} pixels, less '
                    f'than size={size} needs; set at_least of LoadImage to {2 * max(size)}, or to None'
                )
            if extent is not None and extent != img.shape[:2]:
                results['img'] = average_areas(img, extent, size)
            else:
                results['img'] = resize(img, size)
        results['img_shape'] = size
        return results

    def __repr__(self) -> str:
        early = f', first_size={self.first_size}, first_epochs={self.first_epochs}' if self.first_size else ''
        return f'{type(self).__name__}(size={self.size}{early})'


def _checked_size(name: str, size: tuple[int, int]) -> tuple[int, int]:
    height, width = size
    if height < 1 or width < 1:
        raise ConfigError(f'ResizeImage: {name}={size!r}; give a positive (height, width)')
    return int(height), int(width)


def average_areas(img: np.ndarray, extent: tuple[float, float], size: tuple[int, int]) -> np.ndarray:
    """Shrink the upper left part of an image, which may end within a pixel, by averaging areas.

    Args:
        img: (h, w, C) uint8.
        extent: (height, width) of the part in pixels, at least ``size``.
        size: (height, width) of the result.

    Returns:
        ``size`` and C, uint8.
    """
    (h, w, channels), (height, width) = img.shape, size
    rows, columns = _shares(h, extent[0], height), _shares(w, extent[1], width)
    lines = (rows @ img.reshape(h, -1).astype(np.float32)).reshape(height, w, channels)
    made = (columns @ lines.swapaxes(0, 1).reshape(w, -1)).reshape(width, height, channels)
    return np.ascontiguousarray(np.rint(made.swapaxes(0, 1)).clip(0, 255).astype(np.uint8))


@lru_cache(maxsize=32)
def _shares(length: int, extent: float, parts: int) -> csr_array:
    """(parts, length): how much each pixel counts in the mean over each of equal parts of [0, extent]."""
    edges = np.arange(parts + 1) * extent / parts
    return csr_array(overlap_lengths(length, edges) * (parts / extent), dtype=np.float32)


@TRANSFORMS.register_module()
class RandomFlip(BaseTransform):
    """Mirror the image, the regions and the direction words of its queries.

    "left" becomes "right" (see :func:`~xemap.language.directions.mirror_directions`). An image with a
    query that cannot be rewritten safely is left as it is. Place it after :class:`ResizeImage`, where it
    costs least, and before the targets are made. Sets ``flip`` and ``flip_direction``
    ('horizontal', 'vertical' or None).

    Args:
        prob: probability of trying to flip.
        direction: 'horizontal', 'vertical', or a list of them, from which one is drawn.
    """

    def __init__(self, prob: float = 0.5, direction: str | list[str] = 'horizontal') -> None:
        self.directions = [direction] if isinstance(direction, str) else list(direction)
        if not 0 <= prob <= 1:
            raise ConfigError(f'RandomFlip: prob={prob!r}; give a probability in [0, 1]')
        if not self.directions or not set(self.directions) <= set(FLIP_AXES):
            raise ConfigError(f'RandomFlip: direction={direction!r}; give "horizontal", "vertical" or both in a list')
        self.prob = prob

    def transform(self, results: dict) -> dict:
        refuse_after_targets(self, results)
        rng = results['rng']
        # Both numbers are drawn always, so that what follows does not depend on the texts.
        flips, direction = rng.random() < self.prob, self.directions[rng.integers(len(self.directions))]
        results['flip'], results['flip_direction'] = False, None
        if not flips:
            return results
        texts = [mirror_directions(query.text, direction) for query in results['queries']]
        if any(text is None for text in texts):
            return results
        size = results['ori_shape']
        results['queries'] = [
            moved_query(
                query,
                text,
                lambda words: mirror_directions(words, direction),
                lambda region: region.flipped(size, direction),
            )
            for query, text in zip(results['queries'], texts)
            if text is not None
        ]
        results['img'] = cv2.flip(results['img'], FLIP_AXES[direction])
        if 'content' in results:
            results['content'] = _mirrored(results['content'], results['img'].shape[:2], FLIP_AXES[direction])
        results['flip'], results['flip_direction'] = True, direction
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob}, direction={self.directions})'


def _mirrored(box: Sequence[int], size: tuple[int, int], axis: int) -> tuple[int, ...]:
    """x0, y0, x1, y1 in an image of ``size`` (height, width) mirrored along an array axis."""
    edges = list(box)
    low, high = 1 - axis, 3 - axis
    edges[low], edges[high] = size[axis] - box[high], size[axis] - box[low]
    return tuple(edges)


def moved_query(
    query: Query, text: str, rewrite: Callable[[str], str | None], move: Callable[[Region], Region]
) -> Query:
    """A query of an image whose pixels moved: its regions and needed words follow.

    Args:
        query: in the image before.
        text: in the image after.
        rewrite: direction words of a phrase; None where they cannot be rewritten.
        move: a region of the image before -> the same in the image after.
    """
    needed = query.needed
    if needed is not None:
        needed = tuple((name, rewrite(words) or words) for name, words in needed)
    distractors, anchors = (region and move(region) for region in (query.distractors, query.anchors))
    return replace(query, text=text, region=move(query.region), distractors=distractors, anchors=anchors, needed=needed)
