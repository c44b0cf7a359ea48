"""Batches of about the same number of (image, query) pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from mmengine.dataset import DefaultSampler
from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from xemap.datasets.epochs import query_counts
from xemap.errors import ConfigError
from xemap.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class PairBatchSampler(Sampler[list[tuple[int, int]]]):
    """Batch sampler that keeps the number of pairs per step near a set size.

    Memory and time of a step follow its pairs, not its images. Use it as mmengine's ``batch_sampler``::

        train_dataloader = dict(
            batch_size=1,  # required by mmengine, not used
            sampler=dict(type='DefaultSampler', shuffle=True),
            batch_sampler=dict(type='PairBatchSampler', pairs_per_batch=40), …)

    Every epoch the images are shuffled by (seed, epoch) and laid in a row, each as long as its number of
    queries. The row is cut into ``steps x ranks`` equal chunks, an image belongs to the chunk in which
    its middle lies, and rank r takes chunks r, r + ranks, …. Hence each image is seen exactly once per epoch
    over all ranks, a batch differs from the chunk length by at most one image's queries, and the number
    of batches is the same for every rank and epoch.

    With ``weights``, an epoch has as many images as before, but a given share from each part of a
    ConcatDataset. How often two images of one part are seen differs by one at most. Index ``i + k * n`` is
    the k-th repetition of image i of n, with an augmentation of its own.

    It yields lists of (epoch, index), with which :class:`XeMapDataset` draws its augmentation:
    independent of the number of workers, and the same after a resume.

    Args:
        sampler: gives ``dataset`` (with ``query_counts()``), ``seed`` and ``epoch``; mmengine's
            DefaultSampler, whose epoch is set by mmengine's DistSamplerSeedHook.
        pairs_per_batch: target number of pairs per batch and rank.
        weights: share of each part of a ConcatDataset in the images of an epoch, up to a factor; None sees
            every image once.
        batch_size: given by mmengine; not used.

    Raises:
        ConfigError: ``weights`` do not fit the data set, ``pairs_per_batch`` is less than the queries of one
            image, or there are too few pairs for the number of ranks.
    """

    def __init__(
        self,
        sampler: DefaultSampler,
        pairs_per_batch: int,
        weights: Sequence[float] | None = None,
        batch_size: int | None = None,
    ) -> None:
        for name in ('dataset', 'seed', 'epoch', 'set_epoch'):
            if not hasattr(sampler, name):
                raise ConfigError(
                    f'PairBatchSampler: sampler {type(sampler).__name__} has no "{name}"; use DefaultSampler'
                )
        self.sampler = sampler
        self.rank, self.world_size = get_dist_info()
        self._counts = query_counts(sampler.dataset)
        self._parts = _parts(sampler.dataset, weights)
        least = np.concatenate([part.fewest(self._counts) for part in self._parts])
        self._steps = _number_of_steps(self._counts, least, pairs_per_batch, self.world_size)

    def __len__(self) -> int:
        """Batches of this rank in every epoch."""
        return self._steps

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch = int(self.sampler.epoch)
        rng = np.random.default_rng([int(self.sampler.seed), epoch])
        order = rng.permutation(np.concatenate([part.draw(rng, len(self._counts)) for part in self._parts]))
        counts = self._counts[order % len(self._counts)]
        for chunk in split_evenly(counts, self._steps * self.world_size)[self.rank :: self.world_size]:
            yield [(epoch, int(index)) for index in order[chunk]]


@dataclass(frozen=True)
class _Part:
    """A range of images, of which ``size`` are drawn in an epoch."""

    images: range
    size: int

    def draw(self, rng: np.random.Generator, total: int) -> np.ndarray:
        """(size,) images, plus ``total`` for every repetition."""
        images = np.arange(self.images.start, self.images.stop)
        whole, rest = divmod(self.size, len(images))
        last = rng.permutation(images)[:rest] if rest else images[:0]
        return np.concatenate([*(images + k * total for k in range(whole)), last + whole * total])

    def fewest(self, counts: np.ndarray) -> np.ndarray:
        """Query counts of an epoch's images, were the rest drawn with as few as possible."""
        counts = np.sort(counts[self.images.start : self.images.stop])
        return np.resize(counts, self.size)


def _parts(dataset, weights: Sequence[float] | None) -> list[_Part]:
    if weights is None:
        return [_Part(range(len(dataset)), len(dataset))]
    ends = getattr(dataset, 'cumulative_sizes', None)
    if ends is None or len(ends) != len(weights) or min(weights) <= 0:
        has = 'no ConcatDataset' if ends is None else f'a ConcatDataset of {len(ends)} parts'
        raise ConfigError(f'PairBatchSampler: weights={list(weights)}, the data set is {has}; give one > 0 per part')
    sizes = [max(1, round(ends[-1] * weight / sum(weights))) for weight in weights]
    return [_Part(range(start, end), size) for start, end, size in zip([0, *ends[:-1]], ends, sizes)]


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


def _number_of_steps(counts: np.ndarray, least: np.ndarray, pairs_per_batch: int, world_size: int) -> int:
    """Steps of an epoch, from the counts of all images and the fewest that the images of an epoch may have."""
    if len(counts) == 0:
        raise ConfigError('PairBatchSampler: the data set has no image with a query; check ann_file and its filters')
    total, longest = int(least.sum()), int(counts.max())
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
