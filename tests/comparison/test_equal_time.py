from __future__ import annotations

import json
import os
import sys

import pytest
import torch
from mmengine.runner import loops

from tests.engine.toy import write_config
from xemap.comparison import equal_time
from xemap.comparison.equal_time import MEASURED_STEPS, WARM_UP_STEPS, in_own_process, of_steps, train_for
from xemap.engine import load_config
from xemap.engine.runner_setup import build_runner
from xemap.errors import ConfigError


@pytest.fixture(autouse=True)
def no_pause_between_epochs(monkeypatch):
    monkeypatch.setattr(loops.time, 'sleep', lambda seconds: None)


@pytest.fixture
def here(monkeypatch):
    """Trains in this process; the list of the numbers of steps that were trained."""
    trained = []

    def call(function, config, folder) -> int:
        trained.append(load_config(config).train_cfg.max_iters)
        function(config, folder)
        return 0

    monkeypatch.setattr(equal_time, 'in_own_process', call)
    return trained


def test_measured_steps_give_the_length_and_a_second_call_trains_nothing(tmp_path, here):
    config = write_config(tmp_path)
    done = train_for(config, 0.5, tmp_path / 'run')
    plan = json.loads((tmp_path / 'run/plan.json').read_text())
    assert here == [WARM_UP_STEPS + MEASURED_STEPS, plan['steps']]
    assert plan['steps'] == round(0.5 / plan['step_seconds']) == done['steps']
    assert done['checkpoint'] == str(tmp_path / f'run/iter_{done["steps"]}.pth')
    assert load_config(done['config']).model == load_config(config).model
    assert train_for(config, 0.5, tmp_path / 'run') == done and len(here) == 2
    with pytest.raises(ConfigError, match='give another folder'):
        train_for(config, 0.6, tmp_path / 'run')
    with pytest.raises(ConfigError, match='give more time'):
        train_for(config, 1e-4, tmp_path / 'short')


def test_the_learning_rate_rises_and_falls_to_0_in_the_last_step(tmp_path):
    cfg = load_config(write_config(tmp_path))
    runner = build_runner(of_steps(cfg, 20), tmp_path / 'run')
    runner.train()
    rates = [float(rate) for rate, _ in zip(runner.message_hub.get_scalar('train/lr').data[0], range(20))]
    assert rates[0] == pytest.approx(0.05 / 100) and rates[2] == pytest.approx(0.05) == max(rates)
    assert rates[2:] == sorted(rates[2:], reverse=True) and rates[-2] > 0 == rates[-1]
    assert cfg.train_cfg.type == 'EpochBasedTrainLoop'  # the config itself stays as it is


def test_all_steps_see_images_of_one_size():
    """The quickstart's small images would make the measured steps cheaper than the rest."""
    cfg = load_config('xemap_small_synthetic')
    before, after = (part.train_dataloader.dataset.pipeline[1] for part in (cfg, of_steps(cfg, 20)))
    assert before.pop('first_size') == (64, 64) and before.pop('first_epochs') == 2 and after == before


def test_a_training_starts_from_a_checkpoint(tmp_path, here):
    config = write_config(tmp_path)
    first = train_for(config, 0.1, tmp_path / 'first')['checkpoint']
    second = train_for(config, 0.1, tmp_path / 'second', ['optim_wrapper.optimizer.lr=0.0'], first)['checkpoint']
    weights = [torch.load(path, weights_only=False)['state_dict'] for path in (first, second)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    with pytest.raises(ConfigError, match='give another folder'):
        train_for(config, 0.1, tmp_path / 'second', ['optim_wrapper.optimizer.lr=0.0'])


def test_a_localizer_that_does_not_train(tmp_path):
    with pytest.raises(ConfigError, match='give that of its retrieval model'):
        train_for('selo_v2_amfmn_small', 60, tmp_path)


def test_a_training_that_fails(tmp_path, monkeypatch):
    path = write_config(tmp_path)
    path.write_text(path.read_text().replace("dict(type='ToyDataset'))", "dict(type='ToyDataset', broken=True))", 1))
    said = []

    def call(function, *arguments) -> int:
        with pytest.raises(SystemExit) as end:
            function(*arguments)
        said.append(end.value.code)
        return 1

    monkeypatch.setattr(equal_time, 'in_own_process', call)
    with pytest.raises(ConfigError, match='ended with exit code 1'):
        train_for(path, 1, tmp_path / 'run')
    assert said[0].startswith('error: image img_')


def test_a_process_of_its_own(capfd, monkeypatch):
    """Its status, what it prints at its end, and that it has one thread and no GPU."""
    monkeypatch.setenv('OMP_NUM_THREADS', '2')
    assert in_own_process(sys.exit, 'error: it broke') == 1
    assert 'error: it broke\n' in capfd.readouterr().err
    one_thread = "import os; assert (os.environ['OMP_NUM_THREADS'], os.environ['CUDA_VISIBLE_DEVICES']) == ('1', '')"
    assert in_own_process(exec, one_thread) == 0
    assert os.environ['OMP_NUM_THREADS'] == '2'
