"""The pair batch sampler: each image once, batches of about the wanted number of pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mmengine.dataset import DefaultSampler, InfiniteSampler

import xemap.datasets.samplers as module
from xemap.datasets.samplers import PairBatchSampler, split_evenly
from xemap.errors import ConfigError


class Counts:
    def __init__(self, counts) -> None:
        self.counts = np.asarray(counts)

    def __len__(self) -> int:
        return len(self.counts)

    def query_counts(self) -> np.ndarray:
        return self.counts


def ranks_of(counts, pairs: int, world: int, seed: int = 0, epoch: int = 0) -> list[PairBatchSampler]:
    samplers = []
    for rank in range(world):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, 'get_dist_info', lambda rank=rank: (rank, world))
            samplers.append(PairBatchSampler(DefaultSampler(Counts(counts), seed=seed), pairs, batch_size=1))
        samplers[-1].sampler.set_epoch(epoch)
    return samplers


@settings(max_examples=150, deadline=None)
@given(
    counts=st.lists(st.integers(1, 9), min_size=1, max_size=80),
    pairs=st.integers(1, 60),
    world=st.integers(1, 4),
    seed=st.integers(0, 99),
    epoch=st.integers(0, 30),
)
def test_properties(counts, pairs, world, seed, epoch) -> None:
    total, longest = sum(counts), max(counts)
    assume(pairs >= longest and total >= longest * world)
    ranks = ranks_of(counts, pairs, world, seed, epoch)
    batches = [list(sampler) for sampler in ranks]

    # The same number of batches on every rank and in every epoch, near the wanted size.
    assert {len(b) for b in batches} == {len(sampler) for sampler in ranks} == {len(ranks[0])}
    steps = max(1, round(total / (pairs * world)))
    assert len(ranks[0]) == min(steps, total // (longest * world))

    # Each image exactly once an epoch over all ranks, none of the batches empty.
    seen = [index for rank in batches for batch in rank for _, index in batch]
    assert sorted(seen) == list(range(len(counts)))
    assert all(batch for rank in batches for batch in rank)
    assert {e for rank in batches for batch in rank for e, _ in batch} == {epoch}

    # A batch misses the chunk length by at most half an image at either end.
    chunk = total / (len(ranks[0]) * world)
    for rank in batches:
        for batch in rank:
            assert abs(sum(counts[i] for _, i in batch) - chunk) <= longest

    # The same again; another epoch has the same number of batches.
    assert [list(sampler) for sampler in ranks] == batches
    for sampler in ranks:
        sampler.sampler.set_epoch(epoch + 1)
        assert len(list(sampler)) == len(sampler)


@settings(max_examples=100, deadline=None)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=60), parts=st.integers(1, 20))
def test_split_follows_its_definition(lengths, parts) -> None:
    slices = split_evenly(np.array(lengths), parts)
    total, start, expected = sum(lengths), 0, [[] for _ in range(parts)]
    for i, length in enumerate(lengths):
        # 2 * middle = 2 * start + length; exact comparison in integers
        owner = next(p for p in range(parts) if (2 * start + length) * parts < 2 * total * (p + 1))
        expected[owner].append(i)
        start += length
    assert [list(range(s.start, s.stop)) for s in slices] == expected


def test_epochs_and_seeds_shuffle_differently() -> None:
    counts = [3] * 50
    orders = [
        [i for batch in ranks_of(counts, 12, 1, seed, epoch)[0] for _, i in batch]
        for seed, epoch in [(0, 0), (0, 1), (1, 0), (1, 1)]
    ]
    assert len({tuple(order) for order in orders}) == 4


def test_refuses_what_cannot_work() -> None:
    with pytest.raises(ConfigError, match='pairs_per_batch=5 .* 7 queries'):
        ranks_of([1, 7, 2], 5, 1)
    with pytest.raises(ConfigError, match='10 pairs, up to 7 an image.* 2 ranks'):
        ranks_of([1, 7, 2], 8, 2)
    with pytest.raises(ConfigError, match='no image'):
        ranks_of([], 8, 1)
    with pytest.raises(ConfigError, match='query_counts'):
        PairBatchSampler(DefaultSampler(list(range(5)), seed=0), 8)
    with pytest.raises(ConfigError, match='InfiniteSampler'):
        PairBatchSampler(InfiniteSampler(Counts([1, 2]), seed=0), 8)


@settings(max_examples=50, deadline=None)
@given(length=st.integers(1, 40), world=st.integers(1, 6))
def test_evaluation_sees_each_image_exactly_once(length, world) -> None:
    """mmengine's own sampler, as the evaluation configs use it, pads nothing."""
    seen = []
    for rank in range(world):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr('mmengine.dataset.sampler.get_dist_info', lambda rank=rank: (rank, world))
            sampler = DefaultSampler(range(length), shuffle=False, round_up=False, seed=0)
        indices = list(sampler)
        assert len(indices) == len(sampler)
        seen += indices
    assert sorted(seen) == list(range(length))
