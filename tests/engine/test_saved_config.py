from __future__ import annotations

import pytest
import torch
from mmengine.config import Config

from tests.tools.small_run import write_run
from xemap.engine.saved_config import config_of_checkpoint, model_differences, parse_config
from xemap.errors import CheckpointError, ConfigError


def save(folder, text):
    torch.save({'state_dict': {}, 'meta': {'cfg': text} if text is not None else {}}, folder / 'a.pth')
    return folder / 'a.pth'


def test_it_is_the_config_of_the_training(tmp_path):
    cfg = Config.fromfile(write_run(tmp_path))
    saved = config_of_checkpoint(save(tmp_path, cfg.pretty_text))
    assert saved.to_dict() == {key: value for key, value in cfg.to_dict().items() if key != 'custom_imports'}


def test_values():
    text = "a = dict(b=[1, -2.5, (None, True)], c={'x y': 'z'})\nd = float('inf')\ne = 'two '\\\n    'parts'\n"
    assert parse_config(text) == {
        'a': {'b': [1, -2.5, (None, True)], 'c': {'x y': 'z'}}, 'd': float('inf'), 'e': 'two parts',
    }  # fmt: skip


@pytest.mark.parametrize(
    'text',
    [
        "import os\nos.mkdir('started')",
        "a = __import__('os').mkdir('started')",
        "a = dict(**{'b': 1})",
        "a = open('started', 'w')",
        'a = [x for x in (1, 2)]',
        'a =',
        'a = ' + '[' * 5000,
    ],
)
def test_code_is_refused_and_not_executed(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match='no plain data'):
        config_of_checkpoint(save(tmp_path, text))
    assert not (tmp_path / 'started').exists()


def test_modules_that_a_file_names_are_not_imported(tmp_path):
    text = "custom_imports = dict(imports=['antigravity'])\nmodel = dict(type='A')"
    saved = config_of_checkpoint(save(tmp_path, text))
    assert saved.to_dict() == {'model': {'type': 'A'}}


def test_checkpoints_without_a_config(tmp_path):
    with pytest.raises(CheckpointError, match='holds no config; give --config'):
        config_of_checkpoint(save(tmp_path, None))


def test_models_differ_where_answers_would():
    head = {'type': 'HMSAHead', 'pooling': 'mean', 'loss_map': {'type': 'L1Loss'}}
    first = {'type': 'XeMapNetwork', 'head': head, 'sizes': [1, 2.0], 'init_cfg': {'checkpoint': 'a.pth'}, 'frozen': []}
    same = {'type': 'XeMapNetwork', 'head': {'type': 'HMSAHead', 'loss_map': {'type': 'MSELoss'}}, 'sizes': (1, 2)}
    assert list(model_differences(first, same)) == []  # mean is the default
    other = {**first, 'head': {**head, 'pooling': 'max'}, 'sizes': [1, 3], 'extra': True}
    assert list(model_differences(first, other)) == [
        ('model.head.pooling', "'mean'", "'max'"),
        ('model.sizes.1', '2.0', '3'),
        ('model.extra', 'not set', 'True'),
    ]
