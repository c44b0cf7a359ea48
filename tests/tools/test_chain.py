"""The quickstart's steps one after another, on a few small scenes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIG = 'configs/xemap/xemap_small_synthetic.py'


def run_tool(*words) -> str:
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_data_training_scoring_and_table(tmp_path):
    data, run = tmp_path / 'data', tmp_path / 'run'
    run_tool('tools/data/make_synthetic.py', '--out', data, '--train', 4, '--val', 1, '--test', 2, '--sizes', 256)
    options = ['--work-dir', run, '--cfg-options', 'train_cfg.max_epochs=1']
    for loader in ('train', 'val', 'test'):
        options += [f'{loader}_dataloader.dataset.data_root={data}', f'{loader}_dataloader.num_workers=0']
        options += [f'{loader}_dataloader.dataset.pipeline.1.size=(64,64)']
    options += ['train_dataloader.persistent_workers=False']
    run_tool('tools/train.py', CONFIG, *options)
    checkpoint = (run / 'last_checkpoint').read_text().strip()
    run_tool('tools/test.py', CONFIG, checkpoint, '--out', run / 'test', '--show-dir', run / 'pictures', *options)
    run_tool('tools/test.py', CONFIG, 'none', '--out', run / 'untrained', *options)
    table = run_tool(
        'tools/analysis/quickstart_table.py', run / 'test.summary.json', run / 'untrained.summary.json',
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
    words = [sys.executable, 'tools/analysis/quickstart_table.py', 'a.json', 'b.json', '--out', tmp_path / 'r.json']
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith('error: a.json does not exist') and len(done.stderr.splitlines()) == 1


def test_merging_from_the_command_line(tmp_path):
    data = tmp_path / 'data'
    run_tool('tools/data/make_synthetic.py', '--out', data, '--train', 1, '--val', 1, '--sizes', 256)
    printed = run_tool(
        'tools/data/merge_annotations.py', data / 'train.arrow', data / 'val.arrow', '--out', data / 'all.arrow'
    )
    assert '2 images' in printed
