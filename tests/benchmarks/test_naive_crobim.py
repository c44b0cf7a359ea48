"""The naive composition of CroBIM computes the same, for each pair anew."""

from __future__ import annotations

import pytest
import torch
from benchmarks.model import make_batch
from benchmarks.naive import benchmark_naive
from benchmarks.naive_crobim import NaiveCroBIM
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope

from tests.models.localizers.crobim.test_crobim import build, tiny_crobim, with_random_weights
from xemap.models.build import quiet
from xemap.models.fusion import sampling

SIZE = (64, 96)


@pytest.mark.parametrize('options', [{}, dict(prompts=None), dict(compensation=None)])
def test_same_answers_and_gradients(options):
    ours = with_random_weights(build(**options))
    with DefaultScope.overwrite_default_scope('xemap'), quiet():
        naive = NaiveCroBIM(**{key: value for key, value in tiny_crobim(**options).items() if key != 'type'}).eval()
    naive.load_state_dict(ours.state_dict())
    batch = make_batch([3, 1], SIZE)
    batch['inputs'] = torch.stack(batch['inputs']).float() / 60
    results = []
    for model in (ours, naive):
        loss = sum(model(**batch, mode='loss').values())
        trained = [p for p in model.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(loss, trained, allow_unused=True)
        results.append((model(**batch, mode='tensor'), *(g for g in gradients if g is not None)))
    assert len(results[0]) == len(results[1]) > 50
    for first, second in zip(*results):
        torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-3)


def test_nothing_is_shared(monkeypatch):
    seen, backends = [], set()
    encode, sample = NaiveCroBIM.encode_images, sampling.sample_grid
    monkeypatch.setattr(NaiveCroBIM, 'encode_images', lambda self, x: seen.append(len(x)) or encode(self, x))
    monkeypatch.setitem(sampling.BACKENDS, 'grid_sample', lambda *a: backends.add('grid_sample') or sample(*a))
    optimizer = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3))
    config = Config(dict(model=ConfigDict(tiny_crobim()), optim_wrapper=optimizer))
    result = benchmark_naive(config, SIZE, 1, 'cpu', compared=['infer'])
    assert 'train' not in result
    assert set(seen) == {4} and backends == {'grid_sample'} and result['max_difference'] < 1e-5  # of scores of pixels
    assert result['infer']['gain'] > 0
