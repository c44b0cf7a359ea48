"""Batches of about the same number of (image, query) pairs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from mmengine.dataset import DefaultSampler
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from xemap.errors import ConfigError
from xemap.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class PairBatchSampler(Sampler[list[tuple[int, int]]]):
    """Batch sampler that keeps the number of pairs a step near a set size.

    Memory and time of a step follow its pairs, not its images. Use it as mmengine's ``batch_sampler``::

        train_dataloader = dict(
            batch_size=1,  # required by mmengine, not used
            sampler=dict(type='DefaultSampler', shuffle=True),
            batch_sampler=dict(type='PairBatchSampler', pairs_per_batch=40), …)

    Every epoch the images are shuffled by (seed, epoch) and laid in a row, each as long as its number of
    queries. The row is cut into ``steps x ranks`` equal chunks, an image belongs to the chunk in which
    its middle lies, and rank r takes chunks r, r + ranks, …. Hence each image is seen exactly once an epoch
    over all ranks, a batch differs from the chunk length by at most one image's queries, and the number
    of batches is the same for every rank and epoch.

    It yields lists of (epoch, index), with which :class:`XeMapDataset` draws its augmentation:
    independent of the number of workers, and the same after a resume.

    Args:
        sampler: gives ``dataset`` (with ``query_counts()``), ``seed`` and ``epoch``; mmengine's
            DefaultSampler, whose epoch is set by mmengine's DistSamplerSeedHook.
        pairs_per_batch: wanted number of pairs a batch and rank.
        batch_size: given by mmengine; not used.

    Raises:
        ConfigError: ``pairs_per_batch`` is less than the queries of one image, or there are too few pairs
            for the number of ranks.
    """

    def __init__(self, sampler: DefaultSampler, pairs_per_batch: int, batch_size: int | None = None) -> None:
        for name in ('dataset', 'seed', 'epoch', 'set_epoch'):
            if not hasattr(sampler, name):
                raise ConfigError(
                    f'PairBatchSampler: sampler {type(sampler).__name__} has no "{name}"; use DefaultSampler'
                )
        dataset = sampler.dataset
        if not hasattr(dataset, 'query_counts'):
            raise ConfigError(f'PairBatchSampler: {type(dataset).__name__} has no query_counts(); use XeMapDataset')
        self.sampler = sampler
        self.rank, self.world_size = get_dist_info()
        self._counts = np.asarray(dataset.query_counts(), dtype=np.int64)
        self._steps = _number_of_steps(self._counts, pairs_per_batch, self.world_size)

    def __len__(self) -> int:
        """Batches of this rank in every epoch."""
        return self._steps

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch = int(self.sampler.epoch)
        order = np.random.default_rng([int(self.sampler.seed), epoch]).permutation(len(self._counts))
        for chunk in split_evenly(self._counts[order], self._steps * self.world_size)[self.rank :: self.world_size]:
            yield [(epoch, int(index)) for index in order[chunk]]


def split_evenly(lengths: np.ndarray, parts: int) -> list[slice]:
    """Cut a row of items into parts of about the same length.

    Args:
        lengths: (n,) positive integers.
        parts: number of parts; none is empty if no item is longer than ``sum(lengths) / parts``.

    Returns:
        one slice of the items a part: those whose middle lies in it.
    """
    ends = np.cumsum(lengths)
    twice_middle = 2 * ends - lengths
    # floor(middle / (total / parts)) in integers
    owner = twice_middle * parts // (2 * int(ends[-1]))
    borders = np.searchsorted(owner, np.arange(parts + 1))
    return [slice(int(a), int(b)) for a, b in zip(borders[:-1], borders[1:])]


def _number_of_steps(counts: np.ndarray, pairs_per_batch: int, world_size: int) -> int:
    if len(counts) == 0:
        raise ConfigError('PairBatchSampler: the data set has no image with a query; check ann_file and its filters')
    total, longest = int(counts.sum()), int(counts.max())
    if pairs_per_batch < longest:
        raise ConfigError(
            f'PairBatchSampler: pairs_per_batch={pairs_per_batch} is less than the {longest} queries of one image; '
            f'raise it, or set max_queries of the data set to {pairs_per_batch} or less'
        )
    if total < longest * world_size:
        raise ConfigError(
            f'PairBatchSampler: {total} pairs, up to {longest} an image, cannot be shared by {world_size} ranks; '
            'use fewer ranks, more images, or a smaller max_queries'
        )
    # Rounding up may make a chunk shorter than the longest image; one step less does not.
    return max(1, min(round(total / (pairs_per_batch * world_size)), total // (longest * world_size)))
