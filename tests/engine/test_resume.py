"""Training is exact: the same command twice, and with an interruption in between."""

from __future__ import annotations

import pytest
import torch

from tests.tools.small_run import write_run
from xemap.compat.checkpoint_loading import load_checkpoint_file
from xemap.engine import find_newest_checkpoint, load_config, train_model
from xemap.errors import CheckpointError, ConfigError

# mmengine's own timing of the run cannot be equal.
TIMED = ('time', 'data_time', 'eta')


def state(folder, name='epoch_2.pth') -> dict:
    return load_checkpoint_file(folder / name)


def assert_same(a, b, path='') -> None:
    """Bit-equal, through dictionaries and lists."""
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), path
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), path
        for key in a:
            assert_same(a[key], b[key], f'{path}.{key}')
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), path
        for i, (x, y) in enumerate(zip(a, b)):
            assert_same(x, y, f'{path}[{i}]')
    else:
        assert a == b, path


def assert_same_run(a, b, name='epoch_2.pth') -> None:
    one, two = state(a, name), state(b, name)
    for part in ('state_dict', 'optimizer', 'param_schedulers'):
        assert_same(one[part], two[part], part)
    logs_one, logs_two = one['message_hub']['log_scalars'], two['message_hub']['log_scalars']
    for key in logs_one:
        if not key.endswith(TIMED):
            assert logs_one[key].data[0].tolist() == logs_two[key].data[0].tolist(), key
    assert one['message_hub']['runtime_info']['best_score'] == two['message_hub']['runtime_info']['best_score']


def test_same_seed_same_result_and_another_seed_another(toy_runner, tmp_path):
    toy_runner('a').train()
    toy_runner('b').train()
    assert_same_run(tmp_path / 'a', tmp_path / 'b')
    toy_runner('c', seed=1).train()
    assert not torch.equal(state(tmp_path / 'a')['state_dict']['body.weight'],
                           state(tmp_path / 'c')['state_dict']['body.weight'])  # fmt: skip


@pytest.mark.parametrize('workers', [0, 2])
def test_interrupted_in_epoch_2_and_resumed_equals_uninterrupted(toy_runner, tmp_path, workers):
    options = {'train_dataloader.num_workers': workers, 'train_dataloader.persistent_workers': workers > 0}
    toy_runner('whole', options).train()
    with pytest.raises(KeyboardInterrupt):
        toy_runner('parts', {**options, 'model.crash_at': 5}).train()  # 3 steps an epoch
    assert find_newest_checkpoint(tmp_path / 'parts').name == 'epoch_1.pth'
    torch.rand(17)  # the state of the generators at the start must not matter
    resumed = toy_runner('parts', options, resume='auto')
    resumed.train()
    assert resumed.iter == 6
    assert_same_run(tmp_path / 'whole', tmp_path / 'parts')


def test_resumed_with_more_epochs_follows_the_new_config(toy_runner, tmp_path):
    toy_runner('whole').train()
    toy_runner('parts', {'train_cfg.max_epochs': 1}).train()
    toy_runner('parts', resume='auto').train()
    assert_same_run(tmp_path / 'whole', tmp_path / 'parts')


@pytest.mark.parametrize('workers', [0, 1])
def test_interrupted_in_the_middle_of_an_epoch(toy_runner, tmp_path, workers):
    """Checkpoints may be written every n steps; the rest of the epoch is then the rest of its batches."""
    options = {
        'train_dataloader.num_workers': workers,
        'default_hooks.checkpoint': dict(by_epoch=False, interval=2, max_keep_ckpts=-1),
    }
    toy_runner('whole', options).train()
    with pytest.raises(KeyboardInterrupt):
        toy_runner('parts', {**options, 'model.crash_at': 6}).train()
    assert find_newest_checkpoint(tmp_path / 'parts').name == 'iter_4.pth'
    resumed = toy_runner('parts', options, resume='auto')
    resumed.train()
    assert resumed.iter == 6 and resumed.epoch == 2
    assert_same_run(tmp_path / 'whole', tmp_path / 'parts', 'iter_6.pth')


@pytest.mark.slow
@pytest.mark.parametrize('form', ['mask', 'box'])
def test_a_real_network_resumed_equals_uninterrupted(tmp_path, form):
    """CroBIM and MLCM with augmentation."""
    config = write_run(tmp_path, form)
    train_model(load_config(config), tmp_path / 'whole')
    train_model(load_config(config, {'train_cfg.max_epochs': 1}), tmp_path / 'parts')
    before = state(tmp_path / 'parts', 'epoch_1.pth')['state_dict']
    train_model(load_config(config), tmp_path / 'parts', resume='auto')
    assert_same_run(tmp_path / 'whole', tmp_path / 'parts')
    after = state(tmp_path / 'parts')['state_dict']
    assert any(not torch.equal(after[name], before[name]) for name in before)


def test_resume_from_a_named_checkpoint(toy_runner, tmp_path):
    toy_runner('whole', {'default_hooks.checkpoint.keep_optimizer': 'all'}).train()
    toy_runner('other', resume=tmp_path / 'whole' / 'epoch_1.pth').train()
    assert_same_run(tmp_path / 'whole', tmp_path / 'other')


def test_resuming_runs_nothing_from_the_file(toy_runner, tmp_path):
    toy_runner('first', {'train_cfg.max_epochs': 1}).train()
    content = torch.load(tmp_path / 'first' / 'epoch_1.pth', weights_only=False)
    content['meta']['config'] = f"a = __import__('pathlib').Path('{tmp_path}/ran').touch()"
    torch.save(content, tmp_path / 'hostile.pth')
    toy_runner('second', resume=tmp_path / 'hostile.pth').train()
    assert not (tmp_path / 'ran').exists()


def test_another_seed_cannot_go_on(toy_runner, tmp_path):
    toy_runner('first', {'train_cfg.max_epochs': 1}, seed=3).train()
    with pytest.raises(ConfigError, match=r'written with seed 3, this run has 0; resume with --seed 3'):
        toy_runner('first', resume='auto').train()
    toy_runner('first', resume='auto', seed=3).train()


@pytest.mark.parametrize('lacking', ['optimizer', 'meta'])
def test_weights_alone_cannot_be_resumed(toy_runner, tmp_path, lacking):
    toy_runner('first', {'train_cfg.max_epochs': 1}).train()
    content = state(tmp_path / 'first', 'epoch_1.pth')
    del content[lacking]
    torch.save(content, tmp_path / 'weights.pth')
    with pytest.raises(CheckpointError, match=f'cannot be resumed: it has no {lacking}'):
        toy_runner('second', resume=tmp_path / 'weights.pth').train()


def test_resume_without_a_checkpoint_starts_anew_from_load_from(toy_runner, tmp_path):
    toy_runner('first').train()
    runner = toy_runner('second', checkpoint=tmp_path / 'first' / 'epoch_2.pth', resume='auto')
    runner.load_or_resume()
    assert runner.epoch == 0
    assert_same(dict(runner.model.state_dict()), dict(state(tmp_path / 'first')['state_dict']))


def test_schedule_goes_on_when_a_finished_run_gets_more_epochs(toy_runner, tmp_path):
    """By default a schedule ends with the run; the end of the first run must not freeze the rate."""
    cosine = dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True, T_max=5)
    toy_runner(options={'train_cfg.max_epochs': 1, 'param_scheduler': [cosine]}).train()
    toy_runner(options={'param_scheduler': [cosine]}, resume='auto').train()
    rates = state(tmp_path / 'run')['message_hub']['log_scalars']['train/lr'].data[0]
    assert len(rates) == 6 and (rates[4:] < rates[3:-1]).all()


def rates(folder, name) -> list[float]:
    return state(folder, name)['message_hub']['log_scalars']['train/lr'].data[0].tolist()


SHORT = {'train_dataloader.batch_sampler.pairs_per_batch': 7}  # 2 steps per epoch, by default 3


def test_resumed_with_fewer_steps_per_epoch_trains_every_epoch(toy_runner, tmp_path):
    toy_runner('parts', {'train_cfg.max_epochs': 2}).train()
    resumed = toy_runner('parts', {**SHORT, 'train_cfg.max_epochs': 4}, resume='auto')
    resumed.train()
    assert (resumed.epoch, resumed.iter) == (4, 8)  # 2 epochs of 2 steps were trained
    toy_runner('whole', {**SHORT, 'train_cfg.max_epochs': 4}).train()
    # From there the rates are those of a run that always had two steps per epoch.
    assert rates(tmp_path / 'parts', 'epoch_4.pth')[-4:] == rates(tmp_path / 'whole', 'epoch_4.pth')[-4:]
    (log,) = [p.read_text() for p in tmp_path.glob('parts/*/*.log') if 'has 2 steps now and had 3' in p.read_text()]
    assert 'training goes on at the start of epoch 3;' in log


def test_an_epoch_of_another_length_starts_again(toy_runner, tmp_path):
    by_step = {'default_hooks.checkpoint': dict(by_epoch=False, interval=1, max_keep_ckpts=-1)}
    with pytest.raises(KeyboardInterrupt):
        toy_runner('parts', {**by_step, 'model.crash_at': 6}).train()  # two of three steps of epoch 2 are done
    resumed = toy_runner('parts', {**by_step, **SHORT}, resume='auto')
    resumed.train()
    assert (resumed.epoch, resumed.iter) == (2, 4)
    log = ''.join(p.read_text() for p in tmp_path.glob('parts/*/*.log'))
    assert 'start of epoch 2; the 2 steps that were done of it are done again' in log


def test_a_linear_decay_goes_on_when_a_finished_run_gets_more_epochs(toy_runner, tmp_path):
    poly = dict(type='PolyLR', by_epoch=True, convert_to_iter_based=True, power=1.0)
    toy_runner('parts', {'train_cfg.max_epochs': 1, 'param_scheduler': [poly]}).train()
    toy_runner('parts', {'param_scheduler': [poly]}, resume='auto').train()
    toy_runner('whole', {'param_scheduler': [poly]}).train()
    assert rates(tmp_path / 'parts', 'epoch_2.pth')[3:] == rates(tmp_path / 'whole', 'epoch_2.pth')[3:]
