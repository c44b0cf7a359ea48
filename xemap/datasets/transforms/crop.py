"""Random parts of an image, where its queries mean the same there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from mmcv.transforms import BaseTransform

from xemap.datasets.transforms.targets import refuse_after_targets
from xemap.errors import ConfigError
from xemap.language.cropping import survives_crop
from xemap.registry import TRANSFORMS
from xemap.structures import Query, Region

GRID = 256
"""Most cells per side of the grid on which shares of regions are measured."""


@TRANSFORMS.register_module()
class RandomScaleCrop(BaseTransform):
    """Take a part of the image of random size; the resize that follows enlarges what it shows.

    The whole image is kept where a query could mean something else in the part (see
    :func:`~xemap.language.cropping.survives_crop`), and where no tried part holds enough of every region. Place it
    between :class:`LoadImage` and the step that brings images to one size. Sets ``crop``: x0, y0, x1, y1 in pixels of
    the file, or None.

    Args:
        prob: probability of trying to crop.
        scale: smallest and largest side of the part, as a share of the image's; both sides have the same.
        min_kept: share of each region's area that the part must hold at least.
        tries: parts that are tried.

    Raises:
        ConfigError: an argument does not fit, or the step stands behind one that resizes or makes targets.
    """

    def __init__(
        self, prob: float = 0.5, scale: tuple[float, float] = (0.5, 1.0), min_kept: float = 0.9, tries: int = 10
    ) -> None:
        if not 0 <= prob <= 1:
            raise ConfigError(f'RandomScaleCrop: prob={prob!r}; give a probability in [0, 1]')
        if len(scale) != 2 or not 0 < scale[0] <= scale[1] <= 1:
            raise ConfigError(f'RandomScaleCrop: scale={scale!r}; give two rising shares of the sides in (0, 1]')
        if not 0 < min_kept <= 1:
            raise ConfigError(f'RandomScaleCrop: min_kept={min_kept!r}; give a share of the regions in (0, 1]')
        if tries < 1:
            raise ConfigError(f'RandomScaleCrop: tries={tries!r}; give at least 1')
        self.prob, self.scale, self.min_kept, self.tries = prob, tuple(scale), min_kept, tries

    def transform(self, results: dict) -> dict:
        refuse_after_targets(self, results)
        height, width = results['ori_shape']
        # A file that was decoded at 1/2, 1/4 or 1/8 is cut between its pixels.
        extent = results.get('extent', (height, width))
        step = round(height / extent[0])
        if 'content' in results or not all(0 <= n - e < 1 for n, e in zip(results['img'].shape, extent)):
            raise ConfigError('RandomScaleCrop stands behind a step that resizes; move it right behind LoadImage')
        # All numbers are drawn always, so that what follows does not depend on the queries.
        crops, places = results['rng'].random() < self.prob, results['rng'].random((self.tries, 3))
        results['crop'] = None
        queries: Sequence[Query] = results['queries']
        if not crops or not all(survives_crop(query.text, query.hops) for query in queries):
            return results
        regions = [_Shares(query.region, (height, width)) for query in queries if not query.region.is_empty]
        for place in places:
            box = self._box(place, (int(extent[0]), int(extent[1])), step)
            if all(region.within(box) >= self.min_kept for region in regions):
                return _cropped(results, box, step)
        return results

    def _box(self, place: np.ndarray, size: tuple[int, int], step: int) -> tuple[int, int, int, int]:
        share = self.scale[0] + place[0] * (self.scale[1] - self.scale[0])
        sides = [max(1, round(side * share)) for side in size]
        y0, x0 = (int(drawn * (full - side + 1)) for drawn, full, side in zip(place[1:], size, sides))
        return x0 * step, y0 * step, (x0 + sides[1]) * step, (y0 + sides[0]) * step

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(prob={self.prob}, scale={self.scale}, min_kept={self.min_kept}, tries={self.tries})'
        )


class _Shares:
    """How much of a region lies in parts of the image.

    Args:
        size: (height, width) of the image.
    """

    def __init__(self, region: Region, size: tuple[int, int]) -> None:
        self._size, self._grid = size, (min(size[0], GRID), min(size[1], GRID))
        covered = region.coverage(size, self._grid).astype(np.float64)
        self._sums = np.pad(covered.cumsum(0).cumsum(1), ((1, 0), (1, 0)))

    def within(self, box: tuple[int, int, int, int]) -> float:
        """Share of the region in a part x0, y0, x1, y1; cells that the part cuts do not count."""
        (height, width), (rows, columns) = self._size, self._grid
        x0, y0 = -(-box[0] * columns // width), -(-box[1] * rows // height)
        x1, y1 = max(box[2] * columns // width, x0), max(box[3] * rows // height, y0)
        inside = self._sums[y1, x1] - self._sums[y0, x1] - self._sums[y1, x0] + self._sums[y0, x0]
        whole = self._sums[-1, -1]
        return float(inside / whole) if whole > 0 else 0.0


def _cropped(results: dict, box: tuple[int, int, int, int], step: int) -> dict:
    size = tuple(results['ori_shape'])
    x0, y0, x1, y1 = (edge // step for edge in box)
    results['img'] = np.ascontiguousarray(results['img'][y0:y1, x0:x1])
    results['queries'] = [
        replace(
            query,
            region=query.region.cropped(size, box),
            distractors=query.distractors and query.distractors.cropped(size, box),
            anchors=query.anchors and query.anchors.cropped(size, box),
            referents=query.referents if query.referents in (0, 1) else None,  # some of several may be gone
            needed=None,  # a distractor may be gone, and with it the need for a condition
        )
        for query in results['queries']
    ]
    results['ori_shape'] = (box[3] - box[1], box[2] - box[0])
    results['img_shape'], results['crop'] = results['img'].shape[:2], box
    if 'extent' in results:
        results['extent'] = results['img_shape']
    return results
