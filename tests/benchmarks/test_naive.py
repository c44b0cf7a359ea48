"""The naive composition of XeMap-Network computes the same, for each pair anew."""

from __future__ import annotations

import pytest
import torch
from benchmarks.model import build_model, make_batch
from benchmarks.naive import NaiveNetwork, benchmark_naive

from tests.benchmarks.toy import SIZE, config
from xemap.errors import ConfigError


def test_both_sides_have_the_same_maps_and_gradients():
    """Otherwise the speeds would be of different things."""
    cfg = config()
    weights, results = None, []
    for kind in ('XeMapNetwork', NaiveNetwork):
        cfg.model.type = kind
        network = build_model(cfg, 'cpu')  # eval mode: batch statistics would count an image once a query
        if weights is None:  # as initialized, samples lie where bilinear weights have two gradients
            for layer in network.encoder.layers:
                torch.nn.init.normal_(layer.self_attn.sampling_offsets.bias)
            weights = network.state_dict()
        network.load_state_dict(weights)
        batch = network.data_preprocessor(make_batch([3, 1], SIZE))
        loss = network(**batch, mode='loss')['loss_map']
        gradients = torch.autograd.grad(loss, [p for p in network.parameters() if p.requires_grad])
        results.append((network(**batch, mode='tensor'), *gradients))
    for ours, naive in zip(*results):
        torch.testing.assert_close(ours, naive, atol=1e-5, rtol=1e-3)
    torch.testing.assert_close(results[0][0], results[1][0], atol=1e-5, rtol=0)


def test_the_naive_side_encodes_an_image_for_each_query(monkeypatch):
    seen = []
    encode = NaiveNetwork.encode_images
    monkeypatch.setattr(NaiveNetwork, 'encode_images', lambda self, x: seen.append(len(x)) or encode(self, x))
    result = benchmark_naive(config(), SIZE, 1, 'cpu')
    assert set(seen) == {4} and result['max_difference'] < 1e-5
    for part, unit in (('infer', 'queries_per_s'), ('train', 'pairs_per_s')):
        sides = result[part]
        assert sides['xemap'][unit] == pytest.approx(4 / sides['xemap']['median_s'])
        assert sides['gain'] == pytest.approx(sides['naive']['median_s'] / sides['xemap']['median_s'])


def test_another_model_is_refused():
    cfg = config()
    cfg.model.type = 'SeLoLocalizer'
    with pytest.raises(ConfigError, match='compares one of XeMapNetwork, CroBIM, MLCM; the config has a SeLoLocalizer'):
        benchmark_naive(cfg, SIZE, 1, 'cpu')
