"""Training and scoring a retrieval model with the tools: tiles, checkpoints with their vocabulary, an exact resume."""

from __future__ import annotations

import json
import sys

import pytest
import torch

from tests.tools.command import load_tool
from tests.tools.small_run import ROOT
from xemap.cli import run
from xemap.compat.checkpoint_loading import load_checkpoint_file
from xemap.preparation.synthetic.captions import FILE_NAME, write_captioned_tiles

OPTIONS = [
    'model.backbone.base_channels=8', 'model.backbone.stem_channels=8', 'model.gru_width=16', 'model.image_size=32',
    'train_dataloader.batch_sampler.pairs_per_batch=16', 'train_dataloader.num_workers=0',
    'val_dataloader.num_workers=0', 'test_dataloader.num_workers=0', 'train_cfg.max_epochs=2',
    'train_cfg.val_interval=1', 'param_scheduler.1.end=2', 'model.vocabulary.min_count=1',
    'visualizer.vis_backends=[]',
]  # fmt: skip


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp('captions') / 'set'
    counts = {'train': 3, 'val': 1, 'test': 2}
    write_captioned_tiles(root, counts, 0, tiles=4, pixels=32, tile_sizes=(128, 256), sizes=(256,), workers=1)
    return root


def call(monkeypatch, tool: str, *words) -> int:
    module = load_tool(tool)
    monkeypatch.setattr(sys, 'argv', [f'{tool}.py', *map(str, words)])
    return run(module.main, module.parse_args())


def options(data, *more) -> list[str]:
    places = [f'{name}_dataloader.dataset.data_root={data}' for name in ('train', 'val', 'test')]
    return ['--cfg-options', *OPTIONS, *places, f'model.vocabulary.ann_file={data / FILE_NAME}', *more]


def test_trained_resumed_and_scored(tmp_path, data, monkeypatch, capsys):
    config = ROOT / 'configs/retrieval/amfmn_small_synthetic.py'
    whole, parts = tmp_path / 'whole', tmp_path / 'parts'
    assert call(monkeypatch, 'train', config, '--work-dir', whole, *options(data)) == 0
    assert call(monkeypatch, 'train', config, '--work-dir', parts, *options(data, 'train_cfg.max_epochs=1')) == 0
    assert call(monkeypatch, 'train', config, '--work-dir', parts, '--resume', *options(data)) == 0
    one, two = (load_checkpoint_file(folder / 'epoch_2.pth')['state_dict'] for folder in (whole, parts))
    assert one.keys() == two.keys() and 'text.words._extra_state' in one
    for name, weight in one.items():
        assert torch.equal(weight, two[name]), name
    assert list(whole.glob('best_mR_*.pth'))

    # Scored elsewhere, where the captions of the training are not: the checkpoint brings the vocabulary.
    without = options(data, 'model.vocabulary=None')
    assert call(monkeypatch, 'test', config, whole / 'epoch_2.pth', '--out', tmp_path / 'a', *options(data)) == 0
    assert call(monkeypatch, 'test', config, whole / 'epoch_2.pth', '--out', tmp_path / 'b', *without) == 0
    first, second = (json.loads((tmp_path / f'{name}.summary.json').read_text()) for name in 'ab')
    assert first['overall'] == second['overall'] and first['overall']['texts'] == 5 * first['overall']['images'] > 20

    capsys.readouterr()
    assert call(monkeypatch, 'test', config, whole / 'epoch_2.pth', '--protocol', 'paper', *options(data)) == 2
    assert 'no metric of test_evaluator has the protocol' in capsys.readouterr().err
    assert call(monkeypatch, 'test', config, whole / 'epoch_2.pth', '--show-dir', tmp_path / 'p', *options(data)) == 2
    assert '--show-dir draws answers, and a retrieval model makes none' in capsys.readouterr().err
    assert call(monkeypatch, 'train', config, '--work-dir', tmp_path / 'x', *without) == 2
    assert 'the vocabulary is empty: none is configured; load a checkpoint' in capsys.readouterr().err


def test_tiles_as_a_command(tmp_path, monkeypatch, capsys):
    words = ['--out', tmp_path / 'set', '--captions', 2, '--train', 1, '--tiles', 2, '--pixels', 16, '--sizes', 768]
    assert call(monkeypatch, 'make_synthetic', *words, '--workers', 1) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary['splits'] == {'train': {'scenes': 1, 'images': 2, 'captions': 4}}
    assert call(monkeypatch, 'make_synthetic', *words[:-1], 512, '--workers', 1) == 2
    assert 'no tile is larger than a scene' in capsys.readouterr().err
