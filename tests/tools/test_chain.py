"""The quickstart's steps one after another, on a few small scenes."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.tools.command import run_tool, start_tool
from tests.tools.small_run import ROOT

CONFIG = ROOT / 'configs/xemap/xemap_small_synthetic.py'


def printed(name: str, *words: object, start: Callable = start_tool) -> str:
    """What a tool prints, in a process of its own as in the quickstart, or in this one."""
    done = start(name, *words)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_data_training_scoring_and_table(tmp_path):
    data, run = tmp_path / 'data', tmp_path / 'run'
    printed('make_synthetic', '--out', data, '--train', 4, '--val', 1, '--test', 2, '--sizes', 256)
    options = ['--work-dir', run, '--cfg-options', 'train_cfg.max_epochs=1']
    for loader in ('train', 'val', 'test'):
        options += [f'{loader}_dataloader.dataset.data_root={data}', f'{loader}_dataloader.num_workers=0']
        options += [f'{loader}_dataloader.dataset.pipeline.1.size=(64,64)']
    options += ['train_dataloader.persistent_workers=False']
    printed('train', CONFIG, *options, start=run_tool)  # as a process: test_distributed.py
    checkpoint = (run / 'last_checkpoint').read_text().strip()
    printed('test', CONFIG, checkpoint, '--out', run / 'test', '--show-dir', run / 'pictures', *options)
    printed('test', CONFIG, 'none', '--out', run / 'untrained', *options, start=run_tool)
    table = printed(
        'quickstart_table', run / 'test.summary.json', run / 'untrained.summary.json',
        '--out', run / 'results.json',
    )  # fmt: skip
    results = json.loads((run / 'results.json').read_text())
    assert set(results) == {'model', 'untrained', 'floor', 'ceiling', 'target', 'by_kind', 'scores'}
    for name in ('model', 'untrained', 'floor', 'ceiling'):
        assert set(results[name]) >= {'rmi', 'rsu', 'ras', 'rda', 'pointing', 'intervals', 'queries'}
        assert results[name]['queries'] == results['model']['queries'] > 0
    assert results['ceiling']['rmi'] > results['floor']['rmi']
    assert results['model']['rmi'] != results['untrained']['rmi']
    assert sum(row['queries'] for row in results['by_kind'].values()) == results['model']['queries']
    assert f'| true mask | {results["ceiling"]["rmi"]:.4f} ±' in table
    assert len(list((run / 'pictures').glob('*.png'))) == results['model']['queries']


def test_summaries_that_are_not_there_are_one_line(tmp_path):
    done = run_tool('quickstart_table', 'a.json', 'b.json', '--out', tmp_path / 'r.json')
    assert done.returncode == 2
    assert done.stderr.startswith('error: a.json does not exist') and len(done.stderr.splitlines()) == 1


def test_merging_from_the_command_line(tmp_path):
    data = tmp_path / 'data'
    printed('make_synthetic', '--out', data, '--train', 1, '--val', 1, '--sizes', 256)
    files = data / 'train.arrow', data / 'val.arrow'
    assert '2 images' in printed('merge_annotations', *files, '--out', data / 'all.arrow')
