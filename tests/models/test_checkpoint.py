from __future__ import annotations

import os
import pickle

import pytest
import torch
from mmdet.models.layers.transformer.grounding_dino_layers import GroundingDinoTransformerEncoder
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from safetensors.torch import save_file
from torch import nn

from tests.models.tiny import tiny_network
from xemap.errors import CheckpointError, ConfigError
from xemap.models import build_localizer
from xemap.models.checkpoint import check_weights, load_grounding_dino, load_weights, read_state_dict
from xemap.registry import MODELS


def tiny() -> nn.Module:
    with DefaultScope.overwrite_default_scope('xemap'):
        return MODELS.build(tiny_network())


class Malicious:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f'touch {self.marker}',)


def test_a_checkpoint_with_code_is_refused_and_not_run(tmp_path):
    for save in (torch.save, lambda o, p: p.write_bytes(pickle.dumps(o))):
        path = tmp_path / 'evil.pth'
        save({'state_dict': {'a': torch.zeros(1)}, 'extra': Malicious(tmp_path / 'ran')}, path)
        with pytest.raises(CheckpointError, match='not loaded|no checkpoint'):
            read_state_dict(path)
        assert not (tmp_path / 'ran').exists()


def test_an_address_is_fetched():
    with pytest.raises(CheckpointError, match='cannot be downloaded.*give its path'):
        read_state_dict('http://127.0.0.1:9/weights.pth')  # nobody listens there


def test_missing_truncated_and_empty_files(tmp_path):
    with pytest.raises(CheckpointError, match='does not exist'):
        read_state_dict(tmp_path / 'none.pth')
    torch.save({'state_dict': tiny().state_dict()}, tmp_path / 'whole.pth')
    (tmp_path / 'half.pth').write_bytes((tmp_path / 'whole.pth').read_bytes()[:5000])
    with pytest.raises(CheckpointError, match='truncated or no checkpoint'):
        read_state_dict(tmp_path / 'half.pth')
    torch.save({'epoch': 3}, tmp_path / 'no_weights.pth')
    with pytest.raises(CheckpointError, match='holds no weights'):
        read_state_dict(tmp_path / 'no_weights.pth')


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
def test_weights_that_are_no_numbers_are_refused_in_one_line(tmp_path, value):
    state = {'a': torch.ones(3), 'layer.b': torch.ones(5), 'steps': torch.tensor(3)}
    state['layer.b'][2] = value
    torch.save({'state_dict': state}, tmp_path / 'w.pth')
    message = r'w\.pth has NaN or infinite values in 1 of 3 weights \(layer\.b\): .*; take an earlier checkpoint$'
    with pytest.raises(CheckpointError, match=message):
        read_state_dict(tmp_path / 'w.pth')
    model = nn.Linear(3, 2)
    model.weight.data[0, 0] = value
    with pytest.raises(CheckpointError, match=r'NaN or infinite values in 1 of 2 weights \(weight\)'):
        check_weights(model, {'state_dict': model.state_dict()}, 'w.pth', exact=True)


def test_names_that_are_no_strings_are_refused_in_one_line(tmp_path):
    torch.save({'state_dict': {0: torch.zeros(1), 1: torch.zeros(1)}}, tmp_path / 'w.pth')
    with pytest.raises(CheckpointError, match=r'w\.pth has an entry named 0, a int; weights have names'):
        read_state_dict(tmp_path / 'w.pth')


@pytest.mark.parametrize('form', ['plain', 'state_dict', 'model', 'module', 'safetensors'])
def test_every_form_of_checkpoint_loads(tmp_path, form):
    torch.manual_seed(1)
    source, target = nn.Linear(3, 2), nn.Linear(3, 2)
    state = source.state_dict()
    path = tmp_path / ('w.safetensors' if form == 'safetensors' else 'w.pth')
    if form == 'safetensors':
        save_file(state, path)
    elif form == 'module':
        torch.save({f'module.{k}': v for k, v in state.items()}, path)
    else:
        torch.save(state if form == 'plain' else {form: state}, path)
    load_weights(target, path)
    assert torch.equal(source.weight, target.weight)


def test_another_architecture_is_refused_with_numbers(tmp_path):
    torch.save(nn.Linear(3, 2).state_dict(), tmp_path / 'w.pth')
    with pytest.raises(
        CheckpointError, match='another architecture: 1 of 2 weights of Linear match; 1 of another shape'
    ):
        load_weights(nn.Linear(4, 2), tmp_path / 'w.pth')
    with pytest.raises(CheckpointError, match='0 of .* weights of XeMapNetwork match'):
        load_weights(tiny(), tmp_path / 'w.pth')


def test_grounding_dino_weights_initialize_the_fusion_side(tmp_path):
    """A checkpoint with MMDetection's own encoder and names, plus a decoder that is left out."""
    config = tiny_network().encoder
    config.pop('type')
    torch.manual_seed(2)
    theirs = GroundingDinoTransformerEncoder(
        **{k: ConfigDict(v) if isinstance(v, dict) else v for k, v in config.items()}
    )
    model = tiny()
    prefix = 'language_model.language_backbone.body.model.'
    bert = {prefix + k: v + 1 for k, v in model.language_model.model.state_dict().items()}
    state = {f'encoder.{k}': v for k, v in theirs.state_dict().items()}
    state |= bert | {'level_embed': torch.full((2, 32), 5.0), 'decoder.layers.0.weight': torch.zeros(3)}
    torch.save({'state_dict': state}, tmp_path / 'gdino.pth')
    load_grounding_dino(model, tmp_path / 'gdino.pth')
    for name, value in theirs.state_dict().items():
        assert torch.equal(model.encoder.state_dict()[name], value)
    assert (model.level_embed == 5).all()
    name = 'embeddings.word_embeddings.weight'
    assert torch.equal(model.language_model.model.state_dict()[name], bert[prefix + name])


def test_a_checkpoint_of_something_else_cannot_initialize(tmp_path):
    torch.save({'state_dict': {'roi_head.weight': torch.zeros(2)}}, tmp_path / 'rcnn.pth')
    with pytest.raises(CheckpointError, match='no Grounding DINO checkpoint'):
        load_grounding_dino(tiny(), tmp_path / 'rcnn.pth')
    torch.save({'level_embed': torch.zeros(4, 256)}, tmp_path / 'large.pth')
    with pytest.raises(CheckpointError, match=r'\(4, 256\), the model \(2, 32\)'):
        load_grounding_dino(tiny(), tmp_path / 'large.pth')


def test_build_localizer_gives_an_eval_mode_module(tmp_path):
    assert not build_localizer(Config(dict(model=tiny_network()))).training
    with pytest.raises(ConfigError, match='does not exist'):
        build_localizer(tmp_path / 'none.py')
    with pytest.raises(ConfigError, match='has no "model"'):
        build_localizer(Config(dict(a=1)))
