"""Every way to draw samples and to combine data sets gives each epoch its own augmentation."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from operator import itemgetter

import numpy as np
import pytest
from mmengine.dataset import BaseDataset, DefaultSampler, InfiniteSampler, RepeatDataset
from torch.utils.data import DataLoader

from xemap.datasets.epochs import ConcatDataset, EpochBatchSampler, EpochDataset
from xemap.datasets.query_dataset import QueryDataset
from xemap.datasets.samplers import PairBatchSampler
from xemap.engine.runner import XeMapRunner
from xemap.errors import ConfigError
from xemap.registry import DATASETS


@DATASETS.register_module(force=True)
class Draws(QueryDataset):
    """A sample is its (name, index) and the first number that its generator draws."""

    def __init__(self, name: str = 'a', length: int = 4, seed: int = 0) -> None:
        self.name, self.length = name, length
        super().__init__([lambda results: (name, results['i'], int(results['rng'].integers(1 << 60)))], None, seed,
                         dict(metainfo=dict(name=name)))  # fmt: skip

    def load_data_list(self):
        return np.arange(self.length)

    def query_counts(self):
        return np.full(self.length, 2)

    def get_data_info(self, idx):
        return {'i': idx}


def loader(dataset, sampler=None, batch_size: int = 2, workers: int = 0, **batch_sampler) -> DataLoader:
    dataset = EpochDataset(dataset)
    sampler = (sampler or DefaultSampler)(dataset, seed=0)
    batches = EpochBatchSampler(sampler, batch_size, batch_sampler or None)
    return DataLoader(
        dataset, batch_sampler=batches, num_workers=workers, collate_fn=list, persistent_workers=workers > 0
    )


def epoch_of(data: DataLoader, epoch: int) -> list:
    data.batch_sampler.set_epoch(epoch)
    return [sample for batch in data for sample in batch]


@pytest.mark.parametrize('workers', [0, 1])
def test_the_pipeline_knows_the_epoch(workers):
    dataset = Draws()
    dataset.pipeline = itemgetter('epoch')
    data = loader(dataset, workers=workers)
    assert [epoch_of(data, epoch) for epoch in (0, 3)] == [[0] * 4, [3] * 4] and dataset[1] == 0


@pytest.mark.parametrize('workers', [0, 1])
def test_plain_batches_draw_anew_each_epoch_and_the_same_again(workers):
    data = loader(Draws(), workers=workers)
    first, second = epoch_of(data, 0), epoch_of(data, 1)
    assert {sample[1] for sample in first} == {sample[1] for sample in second} == set(range(4))
    assert not {sample[2] for sample in first} & {sample[2] for sample in second}
    assert epoch_of(data, 0) == first
    assert sorted(first) == sorted(Draws()[0, i] for i in range(4))  # the same as asking the data set itself


def test_an_infinite_sampler_moves_to_the_next_epoch():
    samples = [sample for batch in islice(loader(Draws(), InfiniteSampler, batch_size=3), 4) for sample in batch]
    assert sorted(samples[:4]) == sorted(Draws()[0, i] for i in range(4))
    assert sorted(samples[4:8]) == sorted(Draws()[1, i] for i in range(4))


def test_a_sampler_that_knows_no_epoch():
    class Plain:
        def __init__(self, dataset, seed):
            self.dataset = dataset

        def __iter__(self):
            return iter(range(4))

        def __len__(self):
            return 4

    data = loader(Draws(), Plain)
    passes = [[sample for batch in data for sample in batch] for _ in range(2)]
    assert passes[1] == [Draws()[1, i] for i in range(4)]
    assert epoch_of(data, 0) == passes[0]


def test_combined_data_sets_draw_anew_each_epoch_and_repetition():
    data = loader(ConcatDataset([RepeatDataset(Draws('a', 3), 2), Draws('b', 2)]))
    first, second = epoch_of(data, 0), epoch_of(data, 1)
    assert Counter(sample[:2] for sample in first) == {**{('a', i): 2 for i in range(3)}, ('b', 0): 1, ('b', 1): 1}
    assert len({sample[2] for sample in first + second}) == 16


def test_pairs_are_batched_over_combined_data_sets():
    data = loader(
        ConcatDataset([RepeatDataset(Draws('a', 3), 2), Draws('b', 2)]), type='PairBatchSampler', pairs_per_batch=4
    )
    assert len(data) == 4 and {len(batch) for batch in data} == {2}


def test_a_mixture_by_weights():
    dataset = ConcatDataset([Draws('a', 30), Draws('b', 10)])
    data = loader(dataset, type='PairBatchSampler', pairs_per_batch=8, weights=[1, 3])
    first, second = epoch_of(data, 0), epoch_of(data, 1)
    for epoch in (first, second):
        counts = Counter(sample[:2] for sample in epoch)
        assert sum(n for (name, _), n in counts.items() if name == 'a') == 10
        assert {n for (name, _), n in counts.items() if name == 'a'} == {1}
        assert [counts['b', i] for i in range(10)] == [3] * 10
    assert len({sample[2] for sample in first + second}) == 80
    assert {s[1] for s in first if s[0] == 'a'} != {s[1] for s in second if s[0] == 'a'}


@pytest.mark.parametrize('dataset, weights', [(Draws(), [1, 1]), (ConcatDataset([Draws(), Draws()]), [1]),
                                              (ConcatDataset([Draws(), Draws()]), [1, 0])])  # fmt: skip
def test_weights_that_do_not_fit(dataset, weights):
    with pytest.raises(ConfigError, match='give one > 0 per part'):
        PairBatchSampler(DefaultSampler(dataset, seed=0), 4, weights)


def test_a_data_set_of_others_is_left_alone():
    class Other(BaseDataset):
        def load_data_list(self):
            return [{'i': i} for i in range(3)]

    assert EpochDataset(Other())[5, 1]['i'] == 1
    with pytest.raises(ConfigError, match='Other has no query_counts'):
        EpochDataset(Other()).query_counts()


def test_the_runner_tells_every_training_data_set(tmp_path):
    from tests.engine.toy import write_config
    from xemap.engine import build_runner, load_config

    cfg = load_config(write_config(tmp_path), {'randomness.seed': 7})
    parts = [dict(type='ToyDataset'), dict(type='RepeatDataset', times=2, dataset=dict(type='ToyDataset'))]
    cfg.train_dataloader = dict(
        num_workers=0, batch_size=2, sampler=dict(type='DefaultSampler', shuffle=True),
        dataset=dict(type='ConcatDataset', datasets=parts))  # fmt: skip
    runner = build_runner(cfg, tmp_path / 'run')
    assert isinstance(runner, XeMapRunner)
    data = runner.train_dataloader
    assert len(data.dataset) == 21 and [part.seed for part in data.dataset.datasets[:1]] == [7]
    data.batch_sampler.set_epoch(1)
    one = {bytes(image.numpy()) for batch in data for image in batch['inputs']}
    data.batch_sampler.set_epoch(2)
    two = {bytes(image.numpy()) for batch in data for image in batch['inputs']}
    assert len(one) == 21 and not one & two
