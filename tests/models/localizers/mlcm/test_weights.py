"""Weights of the authors and of DETR land where they belong, and the message says what did not."""

from __future__ import annotations

import re

import pytest
import torch

from tests.models.localizers.mlcm.tiny import build, tiny_mlcm
from xemap.errors import CheckpointError
from xemap.models.localizers.mlcm import load_authors_weights, load_detr_weights

LAYERS = 2


def noise(*shape):
    return torch.randn(shape)


def layer(prefix: str, cross: bool) -> dict:
    """One transformer layer in torch's names, 32 wide."""
    entries = {}
    for name in ('self_attn', 'multihead_attn') if cross else ('self_attn',):
        entries |= {
            f'{name}.in_proj_weight': noise(96, 32),
            f'{name}.in_proj_bias': noise(96),
            f'{name}.out_proj.weight': noise(32, 32),
            f'{name}.out_proj.bias': noise(32),
        }
    entries |= {'linear1.weight': noise(64, 32), 'linear1.bias': noise(64)}
    entries |= {'linear2.weight': noise(32, 64), 'linear2.bias': noise(32)}
    for i in range(3 if cross else 2):
        entries |= {f'norm{i + 1}.weight': noise(32), f'norm{i + 1}.bias': noise(32)}
    return {f'{prefix}.{name}': value for name, value in entries.items()}


@pytest.fixture
def model():
    return build(tiny_mlcm())


@pytest.fixture
def detr(model):
    """A made-up DETR by the names of its authors."""
    torch.manual_seed(5)
    entries = {
        f'backbone.0.body.{name}': torch.randn_like(value)
        for name, value in model.backbone.state_dict().items()
        if value.is_floating_point()
    }
    entries |= {'input_proj.weight': noise(32, 32, 1, 1), 'input_proj.bias': noise(32)}
    for i in range(LAYERS):
        entries |= layer(f'transformer.encoder.layers.{i}', cross=False)
        entries |= layer(f'transformer.decoder.layers.{i}', cross=True)
    entries |= {'transformer.decoder.norm.weight': noise(32), 'transformer.decoder.norm.bias': noise(32)}
    return {**entries, 'class_embed.weight': noise(92, 32), 'query_embed.weight': noise(100, 32)}


def in_mmdets_names(detr: dict) -> dict:
    parts = [
        (r'^backbone\.0\.body', 'backbone'), (r'^input_proj', 'neck.convs.0.conv'), (r'^transformer\.', ''),
        (r'decoder\.norm', 'decoder.post_norm'), (r'self_attn\.', 'self_attn.attn.'),
        (r'multihead_attn\.', 'cross_attn.attn.'), (r'linear1', 'ffn.layers.0.0'), (r'linear2', 'ffn.layers.1'),
        (r'norm1\.', 'norms.0.'), (r'norm2\.', 'norms.1.'), (r'norm3\.', 'norms.2.'),
    ]  # fmt: skip
    renamed = {}
    for name, value in detr.items():
        for theirs, ours in parts if not name.startswith('backbone') else parts[:1]:
            name = re.sub(theirs, ours, name)
        renamed[name] = value
    return renamed


def check(model, detr):
    state = model.state_dict()
    for place in ('encoder', 'fusion'):
        for i in range(LAYERS):
            theirs, ours = f'transformer.encoder.layers.{i}', f'{place}.layers.{i}'
            assert torch.equal(
                state[f'{ours}.self_attn.attn.in_proj_weight'], detr[f'{theirs}.self_attn.in_proj_weight']
            )
            assert torch.equal(state[f'{ours}.ffn.layers.0.0.bias'], detr[f'{theirs}.linear1.bias'])
            assert torch.equal(state[f'{ours}.ffn.layers.1.weight'], detr[f'{theirs}.linear2.weight'])
            assert torch.equal(state[f'{ours}.norms.1.weight'], detr[f'{theirs}.norm2.weight'])
    assert torch.equal(state['levels.input_proj.weight'], detr['input_proj.weight'])
    assert torch.equal(state['backbone.layer2.0.bn1.running_var'], detr['backbone.0.body.layer2.0.bn1.running_var'])


@pytest.mark.parametrize('dialect', [lambda names: names, in_mmdets_names], ids=['authors', 'mmdet'])
def test_detr(model, detr, dialect, capsys):
    before = {name: value.clone() for name, value in model.decoder.state_dict().items()}
    report = load_detr_weights(model, dialect(detr))
    check(model, detr)
    assert all(torch.equal(value, before[name]) for name, value in model.decoder.state_dict().items())
    assert {name.partition('.')[0] for name in report['missing']} == {
        'levels', 'text_proj', 'text_pos', 'decoder', 'fusion', 'head',
    }  # fmt: skip
    assert {name for name in report['left'] if 'decoder' not in name} == {'class_embed.weight', 'query_embed.weight'}
    assert f'took {len(report["taken"])} of' in capsys.readouterr().out


@pytest.mark.parametrize('dialect', [lambda names: names, in_mmdets_names], ids=['authors', 'mmdet'])
def test_detrs_decoder_on_request(model, detr, dialect):
    given = {f'module.{name}': value for name, value in dialect(detr).items()}  # as DataParallel saves
    report = load_detr_weights(model, given, decoder=True)
    state, theirs = model.state_dict(), 'transformer.decoder.layers.0'
    assert torch.equal(
        state['decoder.layers.0.cross_attn.attn.out_proj.bias'], detr[f'{theirs}.multihead_attn.out_proj.bias']
    )
    assert torch.equal(state['decoder.layers.0.norms.2.bias'], detr[f'{theirs}.norm3.bias'])
    assert torch.equal(state['decoder.post_norm.weight'], detr['transformer.decoder.norm.weight'])
    assert not [name for name in report['missing'] if name.startswith('decoder')]
    assert all('decoder.layers.1' in name for name in report['left'] if 'decoder' in name)


@pytest.mark.parametrize('dialect', [lambda names: names, in_mmdets_names], ids=['authors', 'mmdet'])
def test_detr_without_the_fusion(detr, dialect, tmp_path):
    torch.save({'model': dialect(detr)}, tmp_path / 'detr.pth')
    plain = build(tiny_mlcm(num_decoder_layers=0))
    model = build(tiny_mlcm(num_decoder_layers=0, detr=str(tmp_path / 'detr.pth'), detr_fusion=False))
    theirs = detr['transformer.encoder.layers.1.linear2.weight']
    assert torch.equal(model.encoder.layers[1].ffn.layers[1].weight, theirs)
    for name, value in model.fusion.state_dict().items():
        if value.dim() > 1:  # ``build`` moves the others
            assert torch.equal(value, plain.fusion.state_dict()[name]), name


def test_the_config_names_a_detr_checkpoint(detr, tmp_path):
    torch.save({'model': detr}, tmp_path / 'detr.pth')
    model = build(tiny_mlcm(detr=str(tmp_path / 'detr.pth')), seed=1)
    assert torch.equal(model.encoder.layers[0].ffn.layers[1].weight, model.fusion.layers[0].ffn.layers[1].weight)
    assert torch.equal(
        model.encoder.layers[1].ffn.layers[1].weight, detr['transformer.encoder.layers.1.linear2.weight']
    )


def test_the_text_encoder_of_the_authors_checkpoint():
    model = build(tiny_mlcm(language_model=dict(type='WordSentenceEncoder', name='minilm'), text_width=None))
    state = model.language_model.model.state_dict()
    floats = {name: value for name, value in state.items() if value.is_floating_point()}
    bert = {f'module.textmodel.{name}': torch.randn_like(value) for name, value in floats.items()}
    report = load_authors_weights(model, bert)
    assert report['left'] == []
    for name, value in model.language_model.model.state_dict().items():
        if value.is_floating_point():
            assert torch.equal(value, bert[f'module.textmodel.{name}']), name
    assert {name.partition('.')[0] for name in report['missing']} >= {'decoder', 'head', 'backbone'}


def test_what_does_not_fit_is_refused(model, detr):
    with pytest.raises(CheckpointError, match=r'no DETR checkpoint: none of its 1 entries fits MLCM'):
        load_detr_weights(model, {'classifier.weight': torch.zeros(3)})
    with pytest.raises(
        CheckpointError, match=r'input_proj.weight has shape \(256, 2048, 1, 1\), the model \(32, 32, 1'
    ):
        load_detr_weights(model, {'input_proj.weight': torch.zeros(256, 2048, 1, 1)})
    with pytest.raises(CheckpointError, match='no MLCM checkpoint of the authors'):
        load_authors_weights(model, {'fc.weight': torch.zeros(3)})
