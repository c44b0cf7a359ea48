"""What the Runner and its set-up do differently from mmengine's."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from mmengine.config import Config

from tests.engine.toy import ToyModel, write_config
from xemap.config import check_keys
from xemap.engine import build_runner, evaluate_model, load_config
from xemap.engine.evaluate import set_test_options
from xemap.engine.randomness import seed_everything
from xemap.errors import CheckpointError, ConfigError
from xemap.registry import check_config


@pytest.fixture
def weights(tmp_path):
    """Saves the weights of a toy model of the given width."""

    def save(width: int):
        path = tmp_path / f'width_{width}.pth'
        torch.save({'state_dict': ToyModel(width).state_dict()}, path)
        return path

    return save


def test_test_needs_every_weight(tmp_path, weights):
    cfg = load_config(write_config(tmp_path))
    with pytest.raises(CheckpointError, match='2 of 5 weights of ToyModel match.*of another shape'):
        evaluate_model(cfg, weights(8), tmp_path / 'run')
    torch.save({'state_dict': {}}, tmp_path / 'empty.pth')
    with pytest.raises(CheckpointError, match='0 of 5 weights'):
        evaluate_model(load_config(write_config(tmp_path)), tmp_path / 'empty.pth', tmp_path / 'run')
    with pytest.raises(CheckpointError, match='no.pth does not exist'):
        evaluate_model(load_config(write_config(tmp_path)), tmp_path / 'no.pth', tmp_path / 'run')


def test_resume_needs_every_weight_and_a_start_only_some(tmp_path, weights, toy_runner):
    with pytest.raises(CheckpointError, match='another architecture'):
        toy_runner(resume=weights(8)).train()
    runner = toy_runner(checkpoint=weights(8))
    runner.load_or_resume()  # two biases fit
    assert runner.epoch == 0


def test_untrained_model_is_the_same_for_a_seed(tmp_path):
    scores = []
    for seed in (0, 0, 1):
        cfg = load_config(write_config(tmp_path))
        # A test must not start from what a training would start from.
        cfg.load_from = 'no such file'
        evaluate_model(cfg, None, tmp_path / 'run', seed=seed)
        scores.append((tmp_path / 'run' / 'test.queries.csv').read_text())
    assert scores[0] == scores[1] != scores[2]


def test_weights_are_initialized_only_without_a_checkpoint(tmp_path, weights, monkeypatch):
    called = []
    monkeypatch.setattr(ToyModel, 'init_weights', lambda self: called.append(1))
    evaluate_model(load_config(write_config(tmp_path)), weights(4), tmp_path / 'run')
    assert not called
    evaluate_model(load_config(write_config(tmp_path)), None, tmp_path / 'run')
    assert called


def test_learning_rate_scales_with_pairs(toy_runner):
    def rate(options=None, **kwargs) -> float:
        runner = toy_runner(options=options, **kwargs)
        wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        runner.scale_lr(wrapper, runner.auto_scale_lr)
        return wrapper.optimizer.param_groups[0]['lr']

    assert rate() == 0.05
    assert rate(auto_scale_lr=True) == pytest.approx(0.05 * 4 / 16)
    assert rate({'optim_wrapper.accumulative_counts': 2}, auto_scale_lr=True) == pytest.approx(0.05 * 8 / 16)
    by_images = {'train_dataloader.batch_sampler': None, 'train_dataloader.batch_size': 2}
    with pytest.raises(ConfigError, match='pairs per step are unknown'):
        rate(by_images, auto_scale_lr=True)


def test_auto_scale_lr_needs_a_base(tmp_path):
    cfg = load_config(write_config(tmp_path))
    cfg.auto_scale_lr = None
    with pytest.raises(ConfigError, match='base_batch_size'):
        build_runner(cfg, tmp_path / 'run', auto_scale_lr=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason='the GPU has mixed precision')
def test_amp_needs_a_gpu(toy_runner):
    with pytest.raises(ConfigError, match='--amp.*needs a GPU'):
        toy_runner(amp=True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')
def test_amp_trains(toy_runner):
    runner = toy_runner(amp=True)
    runner.train()
    assert runner.optim_wrapper.cast_dtype in (torch.bfloat16, torch.float16)
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in runner.model.parameters())


def test_seed_reaches_model_and_data(toy_runner):
    runner = toy_runner(seed=5)
    assert runner.seed == 5 and runner.cfg.train_dataloader.dataset.seed == 5
    assert toy_runner().seed == 0


def test_seeds_depend_on_all_parts_of_the_key():
    def draw(*key):
        seed_everything(*key)
        return torch.rand(1).item(), np.random.rand(), random.random()  # noqa: NPY002

    draws = [draw(0, 0, 1), draw(0, 1, 0), draw(1, 0, 0), draw(0, 0, 1, 1)]
    assert draw(0, 0, 1) == draws[0]
    for values in zip(*draws):
        assert len(set(values)) == len(draws)


def test_two_runs_in_one_second_share_nothing(toy_runner):
    one, two = toy_runner('a'), toy_runner('b')
    assert one.message_hub is not two.message_hub
    assert one.visualizer is not two.visualizer


@pytest.mark.parametrize(
    'options, message',
    [
        ({'model.type': 'ToyModle'}, 'model: type "ToyModle" is unknown; did you mean "ToyModel"'),
        ({'model.widht': 8}, 'model: .*unexpected keyword argument .widht.; correct the key'),
        ({'optim_wrapper.optimizer.type': 'AdamV'}, 'optim_wrapper.optimizer: type "AdamV" is unknown.*"Adam'),
        ({'optim_wrapper.optimizer.lrr': 1}, 'optim_wrapper: .*unexpected keyword argument .lrr'),
        ({'train_cfg.max_epoch': 1}, 'train_cfg .*unknown key "max_epoch".*"max_epochs"'),
        ({'val_evaluator.protocl': 'paper'}, r'val_evaluator \(SeLoMetric\): unknown key "protocl".*"protocol"'),
        ({'default_hooks.draw.number': 1}, r'default_hooks.draw \(DrawHook\): unknown key "number"'),
        ({'model': None}, 'has no "model"'),
        ({'default_hooks.timer': dict(interval=1, _delete_=True)}, 'default_hooks or custom_hooks: .*has no "type"'),
        ({'val_dataloader': dict(batch_size=1, dataset=dict(type='ToyDataset'), _delete_=True)}, 'no key "sampler"'),
        ({'param_scheduler': [dict(tyep='PolyLR')]}, 'param_scheduler: .*should contain the key type'),
        ({'log_processor.windw_size': 3}, 'log_processor: .*windw_size'),
        ({'visualizer.vis_backends': [dict(type='WandbVisBackend')]}, 'pip install wandb'),
        ({'default_scope': 'mmengine', 'visualizer.type': 'XeMapNetwork'}, 'XeMapNetwork'),
        ({'optim_wrapper.paramwise_cfg': dict(custom_key={})}, 'unknown key "custom_key"; did you mean "custom_keys"'),
        (
            {'optim_wrapper.paramwise_cfg': dict(custom_keys=dict(boddy=dict(lr_mult=0.1)))},
            '"boddy" is in no name .*"body"',
        ),
        ({'optim_wrapper.paramwise_cfg': dict(custom_keys=dict(body=dict(lr_mul=0.1)))}, 'body: unknown key "lr_mul"'),
        ({'train_dataloader': None}, 'train_dataloader, train_cfg, and optim_wrapper'),
    ],
)
def test_misspelt_configs(toy_runner, options, message):
    with pytest.raises(ConfigError, match=message):
        toy_runner(options=options).train()


def test_a_hook_can_be_taken_out(toy_runner):
    runner = toy_runner(options={'default_hooks.draw': None, 'default_hooks.timer': None})
    names = {type(hook).__name__ for hook in runner.hooks}
    assert not names & {'DrawHook', 'IterTimerHook'} and 'CheckpointHook' in names


def keys_of(part, path=()):
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, (list, tuple)) else ()
    for key, value in items:
        if isinstance(key, str):
            yield (*path, key)
        yield from keys_of(value, (*path, key))


@pytest.mark.slow
def test_every_misspelt_key_is_refused_in_one_line(tmp_path):
    original = load_config(write_config(tmp_path, epochs=1))
    original.train_dataloader.dataset.length = 2
    passed = []
    for number, path in enumerate(keys_of(original.to_dict())):
        content = original.to_dict()
        part = content
        for key in path[:-1]:
            part = part[key]
        swapped = path[-1][:-2] + path[-1][-1] + path[-1][-2]
        part[swapped if swapped != path[-1] else f'{path[-1]}x'] = part.pop(path[-1])
        try:
            cfg = Config(content)
            check_keys(cfg)
            check_config(cfg)
            runner = build_runner(cfg, tmp_path / str(number))
            runner.train()
            runner.test()
        except ConfigError:
            continue
        passed.append('.'.join(map(str, path)))
    # Only what others copied when the file was read, and imports that were made then.
    assert all(name.startswith(('vis_backends', 'custom_imports')) for name in passed), passed


def test_options_of_a_test(tmp_path):
    cfg = load_config(write_config(tmp_path))
    cfg.work_dir = str(tmp_path)
    set_test_options(cfg, 'paper', None, 'pictures')
    assert cfg.test_evaluator.protocol == 'paper' and cfg.test_evaluator.outfile_prefix == str(tmp_path / 'test')
    assert cfg.default_hooks.draw.show_dir == 'pictures'
    cfg.test_evaluator = dict(type='Other')
    with pytest.raises(ConfigError, match='has the protocol "paper"; known: none'):
        set_test_options(cfg, 'paper')
    del cfg.default_hooks['draw']
    with pytest.raises(ConfigError, match='--show-dir needs default_hooks.draw'):
        set_test_options(cfg, show_dir='pictures')
