from __future__ import annotations

import json

import pytest
from mmengine.hooks import Hook

from tests.engine.toy import write_config
from xemap.engine import cpu_time_hook, load_config, train_model
from xemap.registry import HOOKS

STEP_SECONDS = 2.0


class Clock:
    now = 100.0

    def process_time(self) -> float:
        return self.now


@HOOKS.register_module(force=True)
class TickHook(Hook):
    """A step takes ``STEP_SECONDS``, the first of a process one second more."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        first = not hasattr(self, 'ticked')
        self.ticked = True
        Clock.now += STEP_SECONDS + first


@pytest.fixture
def train(tmp_path, monkeypatch):
    """``train(crash_at)`` trains the toy for five steps, or crashes in a step, and gives what the hook wrote."""
    monkeypatch.setattr(cpu_time_hook, 'time', Clock())

    def call(crash_at: int | None = None) -> dict:
        cfg = load_config(write_config(tmp_path))
        cfg.update(val_cfg=None, val_dataloader=None, val_evaluator=None, param_scheduler=None)
        cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=5)
        cfg.model.crash_at = crash_at
        cfg.default_hooks.checkpoint = dict(type='CheckpointHook', by_epoch=False, interval=2)
        cfg.custom_hooks = [dict(type='TickHook'), dict(type='CPUTimeHook', warm_up=1)]
        train_model(cfg, tmp_path / 'run', resume='auto')
        return json.loads((tmp_path / 'run/training_time.json').read_text())

    return call


def test_time_memory_and_size_of_a_training(train):
    report = train()
    assert report['steps'] == 5
    assert report['cpu_seconds'] == 5 * STEP_SECONDS + 1
    assert report['step_seconds'] == STEP_SECONDS  # the first step is warm-up
    assert report['parameters'] == report['trained_parameters'] == (3 * 4 * 9 + 4) + (4 + 1) + 3
    assert report['peak_memory_bytes'] > 50 << 20


def test_time_before_an_interruption_counts(train, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(crash_at=4)
    assert not (tmp_path / 'run/training_time.json').exists()
    report = train()  # goes on after step 2; the third step is done twice and counts once
    assert report['steps'] == 5
    assert report['cpu_seconds'] == 5 * STEP_SECONDS + 2  # two processes had a first step
