from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from mmengine.config import Config

from tests.engine.toy import write_config
from xemap.config import find_config, load_config
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
        ('=1', 'give key=value'),
        ('model.note=[1,(2]', 'Imbalanced brackets'),
        ('model=dict(type=open("x"))', 'only dict'),
        ('model=dict(type="A"', 'not a dictionary of plain values'),
        ('randomness.sed=1', 'randomness: unknown key "sed"; did you mean "seed"'),
        ('env_cfg.mp_cfg.opencv_num_thread=1', 'env_cfg.mp_cfg: unknown key .*"opencv_num_threads"'),
        ('env_cfg.cudn_benchmark=True', 'env_cfg: unknown key "cudn_benchmark"; did you mean "cudnn_benchmark"'),
        ('auto_scale_lr.base_batchsize=1', 'auto_scale_lr: unknown key .*did you mean "base_batch_size"'),
        (
            'default_hooks.chekpoint=dict(interval=2)',
            'default_hooks: there is no "chekpoint"; did you mean "checkpoint"',
        ),
        ('default_hooks.chekpoint=dict(type="CheckpointHook")', 'did you mean "checkpoint"'),
        ('resume=Ture', "resume is 'Ture'; give True or False"),
        ('randomness=3', 'randomness is 3; give a dictionary'),
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


CONFIGS = Path(__file__).parents[1] / 'configs'


def values_of(part, key: str) -> list:
    """All values of a key, at any depth of a config."""
    children = part.items() if isinstance(part, (dict, Config)) else enumerate(part)
    values = [value for name, value in children if name == key]
    nested = [v for _, v in (part.items() if isinstance(part, (dict, Config)) else enumerate(part))]
    return values + [v for n in nested if isinstance(n, (dict, list, tuple)) for v in values_of(n, key)]


@pytest.mark.parametrize('name', ['xemap/xemap_small_synthetic', 'xemap/xemap_small_real', 'retrieval/lw_mcr_rsitmd'])
def test_top_level_values_reach_all_that_copied_them(name):
    cfg = load_config(CONFIGS / f'{name}.py', ['data_root=elsewhere/', 'image_size=(64,96)'])
    assert set(values_of(cfg, 'data_root')) == {'elsewhere/'}
    assert set(values_of(cfg, 'size')) == {(64, 96)}
    assert not any('data/rsitmd' in str(value) for value in values_of(cfg, 'ann_file'))


def test_a_part_of_a_top_level_value_reaches_all_that_copied_it():
    cfg = load_config(
        CONFIGS / 'xemap/xemap_small_synthetic.py', ['train_pipeline.1.size=(40,40)', 'image_size=(64,64)']
    )
    assert cfg.train_dataloader.dataset.pipeline[1].size == (40, 40)
    assert cfg.test_dataloader.dataset.pipeline[1].size == (64, 64)


@pytest.mark.parametrize(
    'options, target',
    [
        ([], dict(type='GenerateMaps')),
        (['target.sigma=0.02'], dict(type='GenerateMaps', sigma=0.02)),
        (['target=dict(grids=[4])'], dict(type='GenerateMaps', grids=[4])),
        (['target.type=GenerateBoxes'], dict(type='GenerateBoxes')),
        (['train_pipeline.4.sigma=0.03'], dict(type='GenerateMaps', sigma=0.03)),
        (['train_dataloader.dataset.pipeline.4.size=(9,9)'], dict(type='GenerateMaps', size=(9, 9))),
        (['train_pipeline.4.type=GenerateMasks'], dict(type='GenerateMasks')),
    ],
)
def test_the_target_is_made_where_the_pipeline_says(options, target):
    steps = load_config('xemap_small_synthetic', options).to_dict()['train_dataloader']['dataset']['pipeline']
    assert steps[4] == target and [step['type'] for step in steps].count('GenerateTargets') == 0


def test_a_pipeline_without_its_target_names_the_remedy():
    with pytest.raises(ConfigError, match=r'train_pipeline\.2: GenerateTargets .* target is None; add a base'):
        load_config(CONFIGS / '_base_/datasets/xemap_set_512.py')


def test_a_task_validates_nothing_in_a_config_for_testing():
    cfg = load_config('selo_v2_amfmn')
    assert 'val_evaluator' not in cfg and cfg.test_evaluator.type == 'SeLoMetric'


@pytest.mark.parametrize(
    'config, options, message',
    [
        ('selo_v2_amfmn', ['target.sigma=0.02'], 'target: nothing in config .* is made from it; give the part'),
        ('xemap_small_synthetic', ['train_pipeline.4.sigma=1', 'target.sigma=2'], 'target: nothing in'),
        ('written.py', ['data_root=x'], 'data_root: nothing .*; give test_dataloader.dataset.data_root or'),
        ('written.py', ['train_pipeline.1.size=(9,9)'], 'train_pipeline: nothing in config written.py'),
        ('written.py', ['target.type=GenerateMasks'], 'target: nothing in config written.py'),
    ],
)
def test_overrides_that_nothing_is_made_from_are_refused(tmp_path, monkeypatch, config, options, message):
    monkeypatch.chdir(tmp_path)
    load_config('xemap_small_synthetic').dump('written.py')
    with pytest.raises(ConfigError, match=message):
        load_config(config, options)


def test_an_override_with_the_value_that_is_there_is_kept():
    assert load_config('xemap_small_synthetic', ['data_root=data/synthetic/']).data_root == 'data/synthetic/'


def test_a_value_that_stands_elsewhere_is_named():
    with pytest.raises(ConfigError, match='no "data_root"; give test_dataloader.dataset.data_root$'):
        load_config(CONFIGS / 'selo/selo_v2_amfmn.py', ['data_root=x'])
    with pytest.raises(ConfigError, match='no "max_epochs"; give train_cfg.max_epochs$'):
        load_config(CONFIGS / 'xemap/xemap_small_synthetic.py', ['max_epochs=8'])
    with pytest.raises(ConfigError, match=r'cannot be read with image_size=64: TypeError'):
        load_config(CONFIGS / 'xemap/xemap_swin-t_bert_512_25e.py', ['image_size=64'])


def test_dictionaries_as_values(tmp_path):
    options = ['model.note=dict(a=1, b=["x", dict(c=None)])', "optim_wrapper.clip_grad={'max_norm': 0.5}"]
    cfg = load_config(write_config(tmp_path), options)
    assert cfg.model.note == dict(a=1, b=['x', dict(c=None)]) and cfg.optim_wrapper.clip_grad.max_norm == 0.5


def test_without_a_scope_it_is_ours(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text("model = dict(type='XeMapNetwork')\n")
    assert load_config(path).default_scope == 'xemap'


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


def test_a_name_of_the_project_is_enough():
    assert find_config('xemap_small_synthetic') == CONFIGS / 'xemap/xemap_small_synthetic.py'
    assert load_config('xemap_small_synthetic').model.type == 'XeMapNetwork'
    with pytest.raises(ConfigError, match='xemap_smal_synthetic does not exist; did you mean "xemap_small_synthetic"'):
        find_config('xemap_smal_synthetic')


@pytest.mark.slow
def test_an_installed_wheel_has_the_configs(tmp_path):
    """In a folder that is no checkout, as pip installs it."""
    root = CONFIGS.parent
    source = tmp_path / 'source'
    shutil.copytree(root, source, ignore=shutil.ignore_patterns('.git', 'work_dirs', 'data', 'tests', '__pycache__'))
    build = [sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation', '-w', str(tmp_path), '.']
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    (wheel,) = tmp_path.glob('*.whl')
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / 'installed')
    code = (
        'import xemap.config as c; p = c.find_config("xemap_swin-t_bert_512_25e_pool-max"); print(p); '
        'print(c.load_config("xemap_swin-t_bert_512_25e_pool-max").model.head.pooling)'
    )
    environment = {**os.environ, 'PYTHONPATH': str(tmp_path / 'installed')}
    done = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    path, pooling = done.stdout.split()
    assert path.startswith(str(tmp_path / 'installed/xemap/configs/')) and pooling == 'max'
    packaged = {file.name for file in (tmp_path / 'installed/xemap/configs').rglob('*.py')}
    assert packaged == {file.name for file in CONFIGS.rglob('*.py')}
