"""Exported networks for masks give their masks, whole and in two halves, for any number of images and queries."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from tests.export.onnx_files import onnx_runner
from tests.models.localizers.crobim.test_crobim import build as build_crobim
from tests.models.localizers.crobim.test_crobim import with_random_weights
from tests.models.localizers.lavt.test_lavt import build as build_lavt
from tests.models.localizers.lavt.test_lavt import tiny_lavt
from xemap.errors import ConfigError
from xemap.export import WholeNetwork, export_model, halves_of, tokenize

SIZE = (64, 96)

CONVNEXT = dict(backbone=dict(type='TimmBackbone', name='test_convnext'), in_channels=(24, 32, 48, 64))

NETWORKS = {
    'crobim': lambda: with_random_weights(build_crobim(**CONVNEXT)),
    'lavt': lambda: build_lavt(tiny_lavt()),  # on a Swin
}

QUERIES = {
    'one query': (['tanks'], [0]),
    'several images': (['the lake', 'all ships', 'the road next to the old harbor', 'the lake', 'a'], [3, 0, 3, 1, 2]),
}


@pytest.fixture(scope='module', params=NETWORKS)
def exported(request, tmp_path_factory):
    network = NETWORKS[request.param]()
    layers = network.language_model.model.encoder.layer
    del layers[1:]  # the others are recorded as the first is
    out = tmp_path_factory.mktemp('exported')
    return network, out, export_model(network, SIZE, out)


@pytest.fixture(scope='module')
def program(exported):
    return torch.export.load(exported[1] / 'model.pt2').module()


@pytest.fixture(scope='module')
def run_onnx(exported):
    return onnx_runner(exported[1])


def made_up(network, texts, image_idx):
    images = torch.randn(max(image_idx) + 1, 3, *SIZE, generator=torch.Generator().manual_seed(5))
    order = sorted(range(len(texts)), key=lambda i: image_idx[i])  # as the network takes them: image after image
    samples = [SimpleNamespace(texts=[texts[i] for i in order if image_idx[i] == n]) for n in range(len(images))]
    expected = torch.empty(len(texts), *SIZE)
    with torch.no_grad():
        expected[order] = network.tensor(images, samples).sigmoid()
    assert expected.std() > 1e-3
    return (images, *tokenize(network, texts), torch.tensor(image_idx)), expected


def close(given, expected) -> None:
    torch.testing.assert_close(torch.as_tensor(given), expected, atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize('queries', QUERIES.values(), ids=QUERIES)
def test_program_equals_the_network(exported, program, queries):
    inputs, expected = made_up(exported[0], *queries)
    close(program(*inputs), expected)


@pytest.mark.slow
@pytest.mark.parametrize('queries', QUERIES.values(), ids=QUERIES)
def test_onnx_equals_the_network_whole_and_in_halves(exported, run_onnx, queries):
    network, _, about = exported
    inputs, expected = made_up(network, *queries)
    arrays = dict(zip(about['reference']['inputs'], (value.numpy() for value in inputs)))
    close(run_onnx('model.onnx', arrays)['masks'], expected)
    encoded = run_onnx('image_encoder.onnx', {'image': arrays.pop('image')})
    close(run_onnx('query_decoder.onnx', {**encoded, **arrays})['masks'], expected)


@pytest.mark.slow
def test_export_says_how_texts_are_padded(exported):
    network, _, about = exported
    fixed = hasattr(network, 'prompts')  # CroBIM's texts are of one length
    assert about['text'] == {
        'tokenizer': 'tokenizer',
        'max_tokens': 12,
        'padding': 'max_length' if fixed else True,
        'keeps_end': True,
    }
    assert about['reference']['outputs'] == ('masks',)


@torch.no_grad()
def test_an_ablation_of_crobim_in_halves_is_the_network():
    network = build_crobim(prompts=None, compensation=None, attend='channels')
    inputs, expected = made_up(network, *QUERIES['several images'])
    close(WholeNetwork(halves_of(network, SIZE))(*inputs), expected)


@pytest.mark.parametrize(
    ('name', 'size', 'message'),
    [('crobim', (64, 80), 'multiples of 32'), ('crobim', (32, 32), 'single cell'), ('lavt', (32, 32), 'single cell')],
)
def test_sizes_that_a_network_does_not_take_are_refused(tmp_path, name, size, message):
    with pytest.raises(ConfigError, match=message):
        export_model(NETWORKS[name](), size, tmp_path, ['pt2'])
    assert not list(tmp_path.iterdir())
