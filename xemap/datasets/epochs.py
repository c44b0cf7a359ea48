"""The epoch reaches every data set, whatever sampler draws from it and whatever wraps it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from mmengine.dataset import ConcatDataset as MMConcatDataset
from mmengine.dataset import RepeatDataset
from torch.utils.data import BatchSampler, Dataset, Sampler

from xemap.errors import ConfigError
from xemap.registry import DATA_SAMPLERS, DATASETS


@DATASETS.register_module()
class ConcatDataset(MMConcatDataset):
    """Data sets one after another.

    mmengine's refuses parts whose ``metainfo`` differs (annotation files say where they come from) and
    parts that are wrapped themselves.

    Args:
        datasets: configs or data sets; ``metainfo`` is that of the first.
        lazy_init: read the annotation files on first use.
    """

    def __init__(self, datasets: list, lazy_init: bool = False) -> None:
        self.datasets = [DATASETS.build(part) if isinstance(part, dict) else part for part in datasets]
        self.ignore_keys: list[str] = []
        self._metainfo = self.datasets[0].metainfo
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()


@DATASETS.register_module()
class EpochDataset(Dataset):
    """A data set with indices ``(epoch, index)`` around one with plain indices.

    Before a sample is read, every data set inside that has a method ``seed_sample(epoch, index)`` is
    called with it. Other attributes are those of the data set inside. Training loaders are wrapped in it.

    Args:
        dataset: config or data set.
    """

    def __init__(self, dataset: dict | Any) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        self._seeded = [part for part in _nested(self.dataset) if hasattr(part, 'seed_sample')]

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int | tuple[int, int]) -> Any:
        epoch, position = index if isinstance(index, tuple) else (0, index)
        for part in self._seeded:
            part.seed_sample(epoch, position)
        return self.dataset[position % len(self)]  # beyond the end: one more draw of the same sample

    def query_counts(self) -> np.ndarray:
        """Number of queries of every sample; (len(self),) int64."""
        return query_counts(self.dataset)

    def __getattr__(self, name: str) -> Any:
        if name == 'dataset' or name.startswith('__'):  # while it is unpickled
            raise AttributeError(name)
        return getattr(self.dataset, name)


@DATA_SAMPLERS.register_module()
class EpochBatchSampler(Sampler[list[tuple[int, int]]]):
    """Batches of (epoch, index) from a sampler or batch sampler that yields plain indices.

    The epoch is the sampler's own where it has one. A sampler without an end (InfiniteSampler) is in
    the next epoch after as many draws as the data set has samples.

    Args:
        sampler: given by mmengine.
        batch_size: given by mmengine.
        batch_sampler: config of the batch sampler to draw from; None cuts the sampler's indices into batches.
        drop_last: leave a last batch that is not full out.
    """

    def __init__(
        self, sampler: Sampler, batch_size: int, batch_sampler: dict | None = None, drop_last: bool = False
    ) -> None:
        self.sampler, self.epoch = sampler, 0  # mmengine's hook sets the epoch of the attribute "sampler"
        self.batches: Sampler = BatchSampler(sampler, batch_size, drop_last)
        if batch_sampler is not None:
            self.batches = DATA_SAMPLERS.build(batch_sampler, default_args=dict(sampler=sampler, batch_size=batch_size))
        self._infinite = hasattr(sampler, '_infinite_indices')  # mmengine's and mmdet's

    def set_epoch(self, epoch: int) -> None:
        """Say the epoch that the next pass belongs to."""
        self.epoch = epoch
        if hasattr(self.sampler, 'set_epoch'):
            self.sampler.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.batches)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        size, ranks = len(self.sampler), getattr(self.sampler, 'world_size', 1)  # type: ignore[arg-type]
        drawn = 0  # by this rank
        for batch in self.batches:
            epoch = int(getattr(self.sampler, 'epoch', self.epoch))
            if isinstance(batch[0], tuple):
                yield batch
            elif self._infinite:
                yield [((drawn + k) * ranks // size, int(index)) for k, index in enumerate(batch)]
            else:
                yield [(epoch, int(index)) for index in batch]
            drawn += len(batch)
        self.epoch += 1


def with_epochs(dataloader: dict) -> dict:
    """Config of a loader whose data set learns the epoch of every sample.

    Args:
        dataloader: as for MMEngine; ``sampler`` and ``batch_size`` are there.
    """
    loader = dict(dataloader)
    loader['dataset'] = dict(type='EpochDataset', dataset=loader['dataset'], _scope_='xemap')
    loader['batch_sampler'] = dict(
        type='EpochBatchSampler',
        batch_sampler=loader.get('batch_sampler'),
        drop_last=loader.pop('drop_last', False),
        _scope_='xemap',
    )
    return loader


def query_counts(dataset: Any) -> np.ndarray:
    """Number of queries of every sample of a data set, through ConcatDataset and RepeatDataset; (n,) int64.

    Raises:
        ConfigError: the data set does not tell.
    """
    if isinstance(dataset, MMConcatDataset):
        return np.concatenate([query_counts(part) for part in dataset.datasets])
    if isinstance(dataset, RepeatDataset):
        return np.tile(query_counts(dataset.dataset), dataset.times)
    if not hasattr(dataset, 'query_counts'):
        raise ConfigError(f'PairBatchSampler: {type(dataset).__name__} has no query_counts(); use XeMapDataset')
    return np.asarray(dataset.query_counts(), dtype=np.int64)


def _nested(dataset: Any) -> Iterator[Any]:
    yield dataset
    for part in [*vars(dataset).get('datasets', []), vars(dataset).get('dataset'), vars(dataset).get('_dataset')]:
        if part is not None:
            yield from _nested(part)
