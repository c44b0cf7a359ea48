"""The naive composition of MLCM computes the same, for each pair anew."""

from __future__ import annotations

import pytest
import torch
from benchmarks.model import make_batch, queries_of_a_step
from benchmarks.naive import benchmark_naive
from benchmarks.naive_mlcm import NaiveMLCM
from mmengine.config import Config

from tests.models.localizers.mlcm.tiny import build, tiny_mlcm
from xemap.engine import load_config
from xemap.models.localizers import MLCM

SIZE = (64, 64)
READER = dict(language_model=dict(type='WordSentenceEncoder', name='minilm'), text_width=None, num_added=1, grid=(4, 4))


@pytest.mark.parametrize(
    'options', [{}, dict(num_decoder_layers=2), dict(num_decoder_layers=0), dict(memory=('scales',))]
)
def test_same_answers_and_gradients(options):
    ours, naive = (build(tiny_mlcm(**READER, **options, type=kind)) for kind in (MLCM, NaiveMLCM))
    naive.load_state_dict(ours.state_dict())
    batch = make_batch([3, 1], SIZE)
    batch['inputs'] = torch.stack(batch['inputs']).float() / 60
    batch['data_samples'][1].set_metainfo({'content': (0, 16, 64, 48)})
    results = []
    for model in (ours, naive):
        loss = sum(model(**batch, mode='loss').values())
        gradients = torch.autograd.grad(loss, [p for p in model.parameters() if p.requires_grad])
        results.append((model(**batch, mode='tensor'), *gradients))
    for first, second in zip(*results):
        torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-3)


def test_the_report(monkeypatch):
    seen = []
    encode = NaiveMLCM.encode_images
    monkeypatch.setattr(
        NaiveMLCM, 'encode_images', lambda self, x, padding: seen.append(len(x)) or encode(self, x, padding)
    )
    optimizer = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3))
    result = benchmark_naive(Config(dict(model=tiny_mlcm(**READER), optim_wrapper=optimizer)), SIZE, 1, 'cpu')
    assert set(seen) == {4} and result['max_difference'] < 1e-3  # pixels
    assert result['infer']['gain'] > 0


def test_a_flat_step_has_an_image_for_each_pair():
    assert queries_of_a_step(load_config('mlcm_r50_bert_640_dior-rsvg')) == [1] * 8
