"""Targets of training, made from the queries' regions at the size and place that the image has now.

They come last before packing. A query without a referent has an all-zero target of each form.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from xemap.datasets.mcmg import GRIDS, SIGMA, correlation_maps
from xemap.errors import ConfigError
from xemap.registry import TRANSFORMS
from xemap.structures import Region

PREFIX = 'gt_'
"""What the names of targets begin with; each is an array with one entry for each query."""


def targets_in(results: dict) -> list[str]:
    """Names of the targets that a pipeline has made so far."""
    return [key for key in results if key.startswith(PREFIX)]


def target_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """``grids`` and ``sigma`` of the target maps that a config trains with, as far as it gives them.

    Args:
        config: the first :class:`GenerateMaps` of its training data set counts, else that of its other data.
    """
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        for step in _entries(config.get(name)):
            if step.get('type') in (GenerateMaps, GenerateMaps.__name__, f'xemap.{GenerateMaps.__name__}'):
                return {key: step[key] for key in ('grids', 'sigma') if key in step}
    return {}


def _entries(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every dictionary in nested ones and lists."""
    if isinstance(value, Mapping):
        yield value
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _entries(item)


def refuse_after_targets(step: BaseTransform, results: dict) -> None:
    """Keep a step that moves pixels from leaving targets where they were.

    Raises:
        ConfigError: the pipeline has made targets already.
    """
    if made := targets_in(results):
        raise ConfigError(
            f'{type(step).__name__} stands after the step that makes {", ".join(made)}; move it before, or targets '
            'and image no longer fit'
        )


@TRANSFORMS.register_module()
class GenerateMaps(BaseTransform):
    """MCMG target of every query (paper, section IV.B).

    Reads ``queries``, ``ori_shape``, ``img_shape`` and, of a padded image, ``content``; adds ``gt_maps`` (Q, H, W)
    float32 in [0, 1].

    Args:
        grids, sigma: see :func:`~xemap.datasets.mcmg.correlation_map`.
        size: (height, width) of the maps; default ``img_shape``.
    """

    def __init__(self, grids: Sequence[int] = GRIDS, sigma: float = SIGMA, size: tuple[int, int] | None = None) -> None:
        self.grids, self.sigma, self.size = tuple(grids), sigma, size
        correlation_maps(np.zeros((0, 1, 1)), self.grids, sigma)  # rejects bad values now, not in a worker

    def transform(self, results: dict) -> dict:
        covered = coverage(results, self.size)
        results['gt_maps'] = correlation_maps(covered, self.grids, self.sigma, out=covered)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(grids={self.grids}, sigma={self.sigma}, size={self.size})'


@TRANSFORMS.register_module()
class GenerateMasks(BaseTransform):
    """Mask of every query: the pixels of which the region covers at least half.

    Where it covers half of none, those that it covers most, so that small objects keep a target. Reads what
    :class:`GenerateMaps` reads; adds ``gt_masks`` (Q, H, W) bool.

    Args:
        size: (height, width) of the masks; default ``img_shape``.
    """

    def __init__(self, size: tuple[int, int] | None = None) -> None:
        self.size = size

    def transform(self, results: dict) -> dict:
        covered = coverage(results, self.size)
        most = covered.max((1, 2), keepdims=True, initial=0)
        results['gt_masks'] = (covered >= np.minimum(most, 0.5)) & (covered > 0)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(size={self.size})'


@TRANSFORMS.register_module()
class GenerateBoxes(BaseTransform):
    """Box around the region of every query, see :meth:`xemap.structures.Region.box`.

    Reads what :class:`GenerateMaps` reads; adds ``gt_boxes`` (Q, 4) float32 x0, y0, x1, y1 in pixels of the network's
    input, zeros for a query without a referent.
    """

    def transform(self, results: dict) -> dict:
        height, width = results['ori_shape']
        x0, y0, x1, y1 = content_of(results, results['img_shape'])
        boxes = np.array([query.region.box((height, width)) for query in results['queries']]).reshape(-1, 4)
        placed = boxes * np.array([(x1 - x0) / width, (y1 - y0) / height] * 2) + np.array([x0, y0] * 2)
        placed[~boxes.any(1)] = 0
        results['gt_boxes'] = placed.astype(np.float32)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


@TRANSFORMS.register_module()
class GeneratePhrases(BaseTransform):
    """What the phrases of every query name: the objects of its category, referents or not, and its anchors.

    Reads what :class:`GenerateMaps` reads, and what queries record about distractors and anchors; adds ``gt_phrases``
    (Q, 2, H, W) float32 in [0, 1], the share of each pixel that is covered. Where a query does not record one of
    them, or has none, that one is 0 everywhere.

    Args:
        size: (height, width); default ``img_shape``.
    """

    def __init__(self, size: tuple[int, int] | None = None) -> None:
        self.size = size

    def transform(self, results: dict) -> dict:
        queries = results['queries']
        referents = coverage(results, self.size)
        distractors, anchors = (
            _cover(results, [getattr(query, name) for query in queries], self.size)
            for name in ('distractors', 'anchors')
        )
        known = np.array([query.distractors is not None for query in queries], np.float32)[:, None, None]
        category = known * np.maximum(referents, distractors)
        results['gt_phrases'] = np.stack([category, anchors], 1)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(size={self.size})'


def content_of(results: dict, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Which part x0, y0, x1, y1 of a frame of ``size`` (height, width) shows the image; the rest is padding."""
    height, width = results['img_shape']
    content = np.array(results.get('content', (0, 0, width, height)))
    x0, y0, x1, y1 = np.rint(content * (size[::-1] * 2) / ((width, height) * 2)).astype(int).tolist()
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)


def coverage(results: dict, size: tuple[int, int] | None = None) -> np.ndarray:
    """Share of every pixel that the region of each query covers; nothing of the padding.

    Args:
        results: the dictionary of a pipeline.
        size: (height, width); default ``img_shape``.

    Returns:
        (Q, height, width) float32 in [0, 1].
    """
    return _cover(results, [query.region for query in results['queries']], size)


def _cover(results: dict, regions: Sequence[Region | None], size: tuple[int, int] | None) -> np.ndarray:
    """(len(regions), height, width): see :func:`coverage`; 0 for None."""
    height, width = size or results['img_shape']
    x0, y0, x1, y1 = content_of(results, (height, width))
    covered = np.zeros((len(regions), height, width), np.float32)
    for region, out in zip(regions, covered):
        if region is not None and not region.is_empty:
            out[y0:y1, x0:x1] = region.coverage(results['ori_shape'], (y1 - y0, x1 - x0))
    return covered
