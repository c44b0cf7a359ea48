"""The launch scripts, with two processes on the CPU, or on one GPU. What they compute is tested in tests/engine."""

from __future__ import annotations

import csv
import os
import socket
import subprocess
import sys

import pytest
import torch

from tests.engine.toy import write_config
from tests.tools.small_run import ROOT


def launch(script: str, *words, gpus: str = '') -> subprocess.CompletedProcess:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    env = {
        **os.environ,
        'XEMAP_ENV': sys.prefix,
        'PORT': str(port),
        'CUDA_VISIBLE_DEVICES': gpus,
        'OMP_NUM_THREADS': '1',
    }
    command = ['bash', str(ROOT / 'tools' / script), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT)


@pytest.mark.slow
@pytest.mark.parametrize('gpus', ['', pytest.param('0', marks=pytest.mark.gpu)])
def test_train_and_test_on_two_processes(tmp_path, gpus):
    """On the CPU, or sharing one GPU."""
    if gpus and not torch.cuda.is_available():
        pytest.skip('no GPU')
    config, work_dir = write_config(tmp_path, epochs=1), tmp_path / 'run'
    done = launch('dist_train.sh', config, 2, '--work-dir', work_dir, '--seed', '3', gpus=gpus)
    assert done.returncode == 0, done.stderr
    assert 'GPU number: 2' in done.stdout + done.stderr
    done = launch('dist_test.sh', config, work_dir / 'epoch_1.pth', 2, '--work-dir', work_dir, gpus=gpus)
    assert done.returncode == 0, done.stderr
    with open(work_dir / 'test.queries.csv', newline='') as file:
        rows = [(row['sample_idx'], row['query_id']) for row in csv.DictReader(file)]
    assert len(rows) == len(set(rows)) == 9


@pytest.mark.parametrize('script', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'slurm_test.sh'])
def test_without_arguments_the_usage_is_shown(script):
    done = launch(script)
    assert done.returncode == 2 and f'bash tools/{script} ' in done.stderr


@pytest.mark.parametrize('script, last', [('slurm_train.sh', 'WORK_DIR'), ('slurm_test.sh', 'CHECKPOINT')])
def test_slurm_command(tmp_path, monkeypatch, script, last):
    """``srun`` is replaced by a command that prints what it was called with."""
    fake = tmp_path / 'srun'
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    fake.chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path}:{os.environ["PATH"]}')
    monkeypatch.setenv('GPUS', '16')
    monkeypatch.setenv('SRUN_ARGS', '--quotatype=reserved --async')
    words = launch(script, 'gpu', 'job', 'CONFIG', last, '--seed', '3').stdout.split('\n')
    assert {'--ntasks=16', '--gres=gpu:8', '--ntasks-per-node=8', '--job-name=job', '--async'} <= set(words)
    tool = words.index(str(ROOT / 'tools' / script[len('slurm_') :].replace('.sh', '.py')))
    assert words[tool + 1] == 'CONFIG' and last in words and words[tool:][-3:-1] == ['--seed', '3']
    assert words[words.index('--launcher') + 1] == 'slurm'
