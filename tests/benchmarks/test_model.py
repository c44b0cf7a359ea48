"""What is measured of a model, not how long it takes."""

from __future__ import annotations

import pytest
import torch
from benchmarks import model as model_part
from benchmarks import timing
from benchmarks.model import (
    GROUPS,
    benchmark_inference,
    benchmark_training,
    build_model,
    distinct_texts,
    make_batch,
    predict,
    queries_of_a_step,
    split_pairs,
    without_pretrained,
)
from benchmarks.timing import WARMUP

from tests.benchmarks.toy import SIZE, config, pairs_of
from xemap.errors import ConfigError


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return build_model(config(), 'cpu')


@pytest.mark.parametrize(
    'pairs, max_queries, expected',
    [(40, 10, [10] * 4), (7, 3, [3, 3, 1]), (6, None, [6]), (20, None, [9, 9, 2]), (None, 3, [3, 3])],
)
def test_pairs_of_a_step_are_the_config_s(pairs, max_queries, expected):
    cfg = config(pairs, max_queries)
    if pairs is None:
        cfg.train_dataloader.batch_sampler = None
    assert queries_of_a_step(cfg) == expected
    assert queries_of_a_step(cfg, 1) == [1]


def test_batch():
    batch = make_batch([3, 1], SIZE)
    assert [tuple(image.shape) for image in batch['inputs']] == [(3, *SIZE)] * 2
    assert [tuple(sample.gt_maps.shape) for sample in batch['data_samples']] == [(3, *SIZE), (1, *SIZE)]
    assert all(image.dtype == torch.uint8 for image in batch['inputs'])
    assert len({text for _, text in pairs_of(batch)}) == 4
    again, other = make_batch([3, 1], SIZE), make_batch([3, 1], SIZE, seed=1)
    assert pairs_of(again) == pairs_of(batch) != pairs_of(other)
    assert torch.equal(again['data_samples'][0].gt_maps, batch['data_samples'][0].gt_maps)


def test_texts_are_distinct_sentences():
    texts = distinct_texts(60)
    assert len(set(texts)) == 60 and texts[:7] == distinct_texts(7)
    assert max(len(text.split()) for text in texts) >= 6


def test_single_pairs_are_those_of_the_batch():
    batch = make_batch([3, 1], SIZE)
    single = split_pairs(batch)
    assert [len(pair['inputs']) for pair in single] == [1] * 4
    assert [pair for one in single for pair in pairs_of(one)] == pairs_of(batch)


def test_nothing_is_fetched():
    part = dict(
        grounding_dino='https://a/b.pth',
        backbone=dict(type='X', init_cfg=dict(type='Pretrained', checkpoint='https://c/d.pth')),
        neck=dict(init_cfg=dict(type='Xavier'), sizes=[1, 2]),
    )
    cleaned = without_pretrained(part)
    assert cleaned.grounding_dino is None and cleaned.backbone.init_cfg is None
    assert cleaned.neck == part['neck'] and part['grounding_dino']  # the original is left alone


def test_training_steps(monkeypatch):
    cfg = config(pairs=5, max_queries=3)
    network = build_model(cfg, 'cpu')
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    seen, updates = [], []
    step = network.train_step

    def spy(batch, optimizer):
        assert network.training
        seen.append(pairs_of(batch))
        weights = network.text_feat_map.weight.detach().clone()
        result = step(batch, optimizer)
        updates.append(not torch.equal(weights, network.text_feat_map.weight))
        return result

    monkeypatch.setattr(network, 'train_step', spy)
    result = benchmark_training(network, cfg, SIZE, 2, 'cpu')
    assert len(seen) == WARMUP + 2 + 1 and all(len(pairs) == 5 for pairs in seen)
    assert all(updates), 'a step without an update of the weights, though gradients are to be accumulated'
    assert result['pairs_per_step'] == 5 and result['images_per_step'] == 2
    assert result['pairs_per_s'] == pytest.approx(5 / result['step']['median_s'])
    assert 0 < result['step']['min_s'] <= result['step']['median_s'] <= result['step']['max_s']
    assert result['share_of_ceiling'] > 0 and result['ceiling_dtype'] == 'float32'
    assert result['peak_memory_of'] == 'process' and 2**26 < result['peak_memory_bytes'] < 2**38
    assert not network.training and all(p.grad is None for p in network.parameters())
    after = network.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_too_many_pairs_for_the_gpu(model, monkeypatch):
    def full(*_):
        raise torch.cuda.OutOfMemoryError('CUDA out of memory')

    monkeypatch.setattr(model, 'train_step', full)
    with pytest.raises(ConfigError, match='5 pairs per step at 32 x 48 do not fit .*pairs_per_batch'):
        benchmark_training(model, config(), SIZE, 1, 'cpu')
    assert not model.training


def test_grouped_and_single_predict_the_same_pairs(model, monkeypatch):
    seen, test_step = [], model.test_step

    def spy(batch):
        assert not torch.is_grad_enabled() and not model.training
        seen.append((len(batch['inputs']), pairs_of(batch)))
        return test_step(batch)

    monkeypatch.setattr(model, 'test_step', spy)
    rows = benchmark_inference(model, SIZE, 1, 'cpu', groups=(1, 4, 9))
    assert GROUPS == (1, 4, 9, 32)
    assert [row['queries_per_image'] for row in rows] == [1, 4, 9]
    for number in (1, 4, 9):
        for _ in range(WARMUP + 1 + 1):  # and once more for the difference
            (images, grouped), *single = seen[: 1 + number]
            del seen[: 1 + number]
            assert images == 1 and len(grouped) == number
            assert [(count, pairs) for count, pairs in single] == [(1, [pair]) for pair in grouped]
    assert not seen
    for row in rows:
        assert row['max_difference'] < 1e-5
        assert row['gain'] == pytest.approx(row['single']['median_s'] / row['grouped']['median_s'])
        for name in ('grouped', 'single'):
            rate = row['queries_per_image'] / row[name]['median_s']
            assert row[name]['queries_per_s'] == pytest.approx(rate) and rate > 0


def test_other_pairs_would_show_in_the_difference(model, monkeypatch):
    monkeypatch.setattr(timing, 'WARMUP', 0)
    monkeypatch.setattr(model_part, 'split_pairs', lambda batch: split_pairs(batch)[::-1])
    one, four, nine = (row['max_difference'] for row in benchmark_inference(model, SIZE, 1, 'cpu', groups=(1, 4, 9)))
    assert one < 1e-5 < 1e-3 < min(four, nine)


def test_maps_are_in_the_order_of_the_pairs(model):
    batch = make_batch([2, 1], SIZE)
    maps = predict(model, [batch])
    assert maps.shape == (3, *SIZE) and not maps.requires_grad
    torch.testing.assert_close(predict(model, split_pairs(batch)), maps, atol=1e-5, rtol=0)
