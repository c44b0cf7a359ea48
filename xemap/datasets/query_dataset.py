"""What the data sets of images with queries share."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset

from xemap.datasets.selection import draw_queries
from xemap.registry import TRANSFORMS


class QueryDataset(BaseDataset):
    """Images with queries, whose randomness follows the epoch.

    ``dataset[i]`` is sample i in epoch 0, ``dataset[epoch, i]`` the same sample with the augmentation of
    that epoch: everything random in a sample comes from a generator seeded by (seed, epoch, i). Inside
    another data set, which knows plain numbers only, :meth:`seed_sample` says the epoch.

    Args:
        pipeline: steps, as configs or callables.
        max_queries: queries per sample at most, a random subset where there are more; None = all.
        seed: seed of everything random.
        options: see :class:`mmengine.dataset.BaseDataset`.
    """

    ann_file: str

    def __init__(
        self, pipeline: Sequence[dict | Callable], max_queries: int | None, seed: int, options: dict[str, Any]
    ) -> None:
        self.max_queries, self.seed = max_queries, seed
        self._next_draw: tuple[int, int] | None = None
        # Built here and not by the parent's Compose, so that our registry checks the keys.
        steps = [TRANSFORMS.build(step) if isinstance(step, dict) else step for step in pipeline]
        super().__init__(pipeline=steps, serialize_data=False, **options)  # data_list holds numbers only

    def _join_prefix(self) -> None:
        if not os.path.isfile(self.ann_file) and self.data_root:
            self.ann_file = os.path.join(self.data_root, self.ann_file)

    @abstractmethod
    def query_counts(self) -> np.ndarray:
        """Number of queries of every sample, at most ``max_queries``; (len(self),) int64."""

    def seed_sample(self, epoch: int, position: int) -> None:
        """Seed the sample that is read next by (seed, epoch, position) in place of its own index.

        Args:
            epoch: epoch of the training.
            position: the sample's place in the outermost data set.
        """
        self._next_draw = epoch, position

    def __getitem__(self, idx: int | tuple[int, int]) -> Any:
        """The sample ``idx``, or ``(epoch, idx)``, after the pipeline."""
        epoch, index = idx if isinstance(idx, tuple) else (0, idx)
        index = range(len(self))[index]
        draw, self._next_draw = self._next_draw or (epoch, index), None
        results = self.get_data_info(index)
        results['epoch'], results['rng'] = draw[0], np.random.default_rng([self.seed, *draw])
        if self.max_queries is not None:
            draw_queries(results, self.max_queries)
        return self.pipeline(results)
