"""Targets from regions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from xemap.datasets.mcmg import GRIDS, SIGMA, correlation_maps
from xemap.registry import TRANSFORMS


@TRANSFORMS.register_module()
class GenerateCorrelationMaps(BaseTransform):
    """MCMG target of every query (paper, section IV.B), at the size the image has now.

    Reads ``queries`` and ``ori_shape``; adds ``gt_maps`` (Q, H, W) float32 in [0, 1]. Place it after
    resize and flip.

    Args:
        grids, sigma: see :func:`~xemap.datasets.mcmg.correlation_map`.
        size: (height, width) of the maps; default ``img_shape``.
    """

    def __init__(self, grids: Sequence[int] = GRIDS, sigma: float = SIGMA, size: tuple[int, int] | None = None) -> None:
        self.grids, self.sigma, self.size = tuple(grids), sigma, size
        correlation_maps(np.zeros((0, 1, 1)), self.grids, sigma)  # rejects bad values now, not in a worker

    def transform(self, results: dict) -> dict:
        height, width = self.size or results['img_shape']
        coverage = np.empty((len(results['queries']), height, width), np.float32)
        for query, out in zip(results['queries'], coverage):
            out[...] = query.region.coverage(results['ori_shape'], (height, width))
        results['gt_maps'] = correlation_maps(coverage, self.grids, self.sigma, out=coverage)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(grids={self.grids}, sigma={self.sigma}, size={self.size})'
