"""A kill at any moment leaves a checkpoint from which the run goes on."""

from __future__ import annotations

import errno
import json
import os
import signal
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.engine.toy import ToyModel, write_config
from xemap.compat.checkpoint_loading import load_checkpoint_file
from xemap.engine import CheckpointHook, build_runner, find_newest_checkpoint, load_config
from xemap.engine.checkpoint_hook import AtomicLocalBackend
from xemap.errors import CheckpointError, ConfigError
from xemap.models.checkpoint import load_weights
from xemap.registry import MODELS


def train_until_killed(config: Path, work_dir: Path, victim: str) -> None:
    """The process is killed when half of the victim's content is on the disk."""
    write = Path.write_bytes

    def half(path: Path, content: bytes) -> int:
        if not path.name.startswith(f'.{Path(victim).stem}.'):
            return write(path, content)
        write(path, content[: len(content) // 2])
        os.kill(os.getpid(), signal.SIGKILL)

    Path.write_bytes = half
    options = {'default_hooks.checkpoint.max_keep_ckpts': 1}
    build_runner(load_config(config, options), work_dir).train()


@pytest.mark.parametrize(
    'victim, newest',
    [('epoch_2.pth', 'epoch_1.pth'), ('best_rmi_epoch_2.pth', 'epoch_2.pth'), ('last_checkpoint', 'epoch_1.pth')],
)
def test_killed_while_writing(toy_runner, start_process, tmp_path, victim, newest):
    """Even when only one checkpoint is kept."""
    work_dir = tmp_path / 'run'
    process = start_process(train_until_killed, write_config(tmp_path), work_dir, victim)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    left = {path.name for path in work_dir.iterdir() if path.is_file()}
    assert any('.part' in name for name in left)
    if victim != 'last_checkpoint':
        assert 'best_rmi_epoch_1.pth' in left and 'best_rmi_epoch_2.pth' not in left
    assert find_newest_checkpoint(work_dir).name == newest

    resumed = toy_runner('run', resume='auto')
    resumed.train()
    assert resumed.epoch == 2
    assert not list(work_dir.glob('*.part*'))
    assert find_newest_checkpoint(work_dir).name == 'epoch_2.pth'


def test_keeps_the_newest_and_the_best(toy_runner, tmp_path):
    options = {'default_hooks.checkpoint.max_keep_ckpts': 2, 'train_cfg.max_epochs': 4}
    runner = toy_runner(options=options)
    runner.train()
    work_dir = tmp_path / 'run'
    assert {p.name for p in work_dir.glob('epoch_*.pth')} == {'epoch_3.pth', 'epoch_4.pth'}
    scalars = next(work_dir.glob('*/vis_data/scalars.json')).read_text().splitlines()
    scores = [row['rmi'] for row in map(json.loads, scalars) if 'rmi' in row]
    best = max(range(4), key=scores.__getitem__) + 1
    assert [p.name for p in work_dir.glob('best_*.pth')] == [f'best_rmi_epoch_{best}.pth']
    assert Path((work_dir / 'last_checkpoint').read_text()) == work_dir / 'epoch_4.pth'


class Writes:
    """The part of a runner that the hook calls to write a checkpoint; remembers what lay there."""

    def __init__(self, folder: Path, epoch: int, hub):
        self.work_dir, self.epoch, self.iter, self.message_hub = str(folder), epoch, 0, hub
        self.seen: list[set[str]] = []

    named_parts: dict[str, str] = {}
    model = nn.Linear(1, 1)

    class logger:
        info = staticmethod(lambda text: None)

    def save_checkpoint(self, out_dir, filename, **kwargs):
        self.seen.append({p.name for p in Path(out_dir).glob('*.pth')})
        Path(out_dir, filename).write_bytes(b'x')


def test_writes_before_it_deletes(tmp_path):
    from mmengine.logging import MessageHub

    hub = MessageHub.get_instance('writes_before_it_deletes')
    hook = CheckpointHook(interval=1, max_keep_ckpts=1, save_best='rmi', rule='greater', keep_optimizer='all')
    runner = Writes(tmp_path, 0, hub)
    hook.before_train(runner)
    for epoch in (1, 2):
        runner.epoch = epoch - 1
        hook.after_train_epoch(runner)
        runner.epoch = epoch
        hook.after_val_epoch(runner, {'rmi': epoch / 10})
    # epoch_1, best_1, epoch_1 again, epoch_2, best_2, epoch_2 again
    assert 'epoch_1.pth' in runner.seen[3]
    assert 'best_rmi_epoch_1.pth' in runner.seen[4]
    assert {p.name for p in tmp_path.glob('*.pth')} == {'epoch_2.pth', 'best_rmi_epoch_2.pth'}
    hook.after_val_epoch(runner, {'rmi': 0.0})  # not better: the best stays
    assert hook.best_ckpt_path.endswith('best_rmi_epoch_2.pth') and Path(hook.best_ckpt_path).is_file()


def test_unknown_metric_is_named(toy_runner):
    with pytest.raises(ConfigError, match='save_best: "mAP" is no metric.*ras, rda, rmi'):
        toy_runner(options={'default_hooks.checkpoint.save_best': 'mAP'}).train()


def test_backend_leaves_the_old_content_when_writing_fails(tmp_path):
    path = tmp_path / 'a.pth'
    backend = AtomicLocalBackend()
    backend.put(b'old', path)
    with pytest.raises(TypeError):
        backend.put('no bytes', path)
    assert path.read_bytes() == b'old' and list(tmp_path.iterdir()) == [path]


def content(path: Path) -> dict:
    return load_checkpoint_file(path)


def test_only_the_newest_checkpoint_holds_the_optimizer(toy_runner, tmp_path):
    toy_runner().train()
    assert 'optimizer' in content(tmp_path / 'run/epoch_2.pth') and 'optimizer' not in content(
        tmp_path / 'run/epoch_1.pth'
    )
    assert find_newest_checkpoint(tmp_path / 'run').name == 'epoch_2.pth'
    toy_runner('all', {'default_hooks.checkpoint.keep_optimizer': 'all'}).train()
    assert 'optimizer' in content(tmp_path / 'all/epoch_1.pth')


def test_a_full_disk_is_one_line_that_says_how_to_go_on(monkeypatch, tmp_path):
    def full(descriptor):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(
        CheckpointError, match=r'a.pth \(0.0 MB\) cannot be written: no space left.*MB are free; .*--resume'
    ):
        AtomicLocalBackend().put(b'new', tmp_path / 'a.pth')
    assert not list(tmp_path.iterdir())


@MODELS.register_module(force=True)
class WithEncoder(ToyModel):
    """The toy model with a frozen part whose weights follow from its name."""

    class Encoder(nn.Linear):
        def __init__(self, name: str):
            super().__init__(3, 3)
            self.name, self.pretrained = name, True

        def init_weights(self):
            nn.init.constant_(self.weight, len(self.name))
            nn.init.zeros_(self.bias)

    def __init__(self, name: str = 'hub-name', **kwargs):
        super().__init__(**kwargs)
        self.frozen = ('encoder',)
        self.encoder = self.Encoder(name)
        self.encoder.requires_grad_(False)

    def init_weights(self):
        super().init_weights()
        self.encoder.init_weights()


def test_frozen_parts_that_a_name_brings_are_left_out_and_put_back(toy_runner, tmp_path):
    model = {'model.type': 'WithEncoder'}
    toy_runner('whole', {**model, 'train_cfg.max_epochs': 2}).train()
    toy_runner('parts', {**model, 'train_cfg.max_epochs': 1}).train()
    resumed = toy_runner('parts', model, resume='auto')
    resumed.train()
    path = tmp_path / 'parts/epoch_2.pth'
    assert content(path)['state_dict'].keys() == content(tmp_path / 'whole/epoch_2.pth')['state_dict'].keys()
    assert not any(name.startswith('encoder.') for name in content(path)['state_dict'])
    for log in tmp_path.glob('*/*/*.log'):
        assert 'of 132 parameters train; checkpoints leave out encoder' in log.read_text()

    tested = toy_runner('test', model, checkpoint=path)
    tested.test()
    assert torch.equal(tested.model.encoder.weight, torch.full((3, 3), 8.0))
    built = WithEncoder()
    load_weights(built, path)
    assert torch.equal(built.encoder.weight, tested.model.encoder.weight)
    with pytest.raises(CheckpointError, match='leaves out the frozen encoder, and the config names other weights'):
        load_weights(WithEncoder('another-name'), path)


@pytest.mark.parametrize('option', ['switch', 'file', 'changed'])
def test_other_frozen_parts_are_kept(toy_runner, tmp_path, option):
    options = {'model.type': 'WithEncoder', 'train_cfg.max_epochs': 1}
    if option == 'switch':
        options['default_hooks.checkpoint.leave_out_frozen'] = False
    elif option == 'file':  # of this machine, which may be gone later
        (tmp_path / 'weights').touch()
        options['model.name'] = str(tmp_path / 'weights')
    else:
        start = WithEncoder()
        torch.save({'state_dict': start.state_dict()}, tmp_path / 'start.pth')  # trained before
        options['load_from'] = str(tmp_path / 'start.pth')
    toy_runner(options=options).train()
    assert 'encoder.weight' in content(tmp_path / 'run/epoch_1.pth')['state_dict']
