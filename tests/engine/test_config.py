from __future__ import annotations

import pytest

from tests.engine.toy import write_config
from xemap.engine import load_config
from xemap.errors import ConfigError


def test_options_override(tmp_path):
    options = ['model.dropout=0.25', 'param_scheduler.0.end=7', 'vis_backends=[]', 'load_from=a.pth', 'model.width=8']
    cfg = load_config(write_config(tmp_path), options)
    assert cfg.model.dropout == 0.25 and cfg.model.width == 8
    assert cfg.param_scheduler[0].end == 7 and cfg.param_scheduler[1].type == 'CosineAnnealingLR'
    assert cfg.vis_backends == [] and cfg.load_from == 'a.pth'


@pytest.mark.parametrize(
    'option, message',
    [
        ('model.dropout', 'give key=value'),
        ('trian_cfg.max_epochs=1', 'there is no "trian_cfg"; did you mean "train_cfg"'),
        ('lr=1', 'there is no "lr"'),
        ('train_dataloader.datset.length=1', 'there is no "datset"; did you mean "dataset"'),
        ('model.type.x.y=1', "model.type is 'ToyModel' and has no keys"),
        ('param_scheduler.2.end=1', '"2" is no index of a list of 2'),
        ('param_scheduler.first.end=1', '"first" is no index'),
        ('test_evaluator.protocl=paper', r'test_evaluator \(SeLoMetric\): unknown key "protocl" \(value .paper.\)'),
        ('default_hooks.checkpoint.intervall=2', 'CheckpointHook.*did you mean "interval"'),
    ],
)
def test_options_that_do_not_fit(tmp_path, option, message):
    config = write_config(tmp_path)
    with pytest.raises(ConfigError, match=message):
        load_config(config, [option])


def test_broken_and_missing_files(tmp_path):
    with pytest.raises(ConfigError, match='no.py does not exist'):
        load_config(tmp_path / 'no.py')
    path = tmp_path / 'broken.py'
    path.write_text('a = (1,\n')
    with pytest.raises(ConfigError, match='broken.py cannot be read: SyntaxError'):
        load_config(path)
    path.write_text("_base_ = './gone.py'\n")
    with pytest.raises(ConfigError, match='broken.py cannot be read: FileNotFoundError.*gone.py'):
        load_config(path)


def test_misspelt_top_level_key(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text(f"_base_ = '{write_config(tmp_path)}'\nload_form = 'a.pth'\nmy_own_note = 1\n")
    with pytest.raises(ConfigError, match='key "load_form" has no effect; did you mean "load_from"'):
        load_config(path)
    path.write_text(f"_base_ = '{write_config(tmp_path)}'\nmy_own_note = 1\ntrain_pipeline = []\n")
    assert load_config(path).my_own_note == 1
