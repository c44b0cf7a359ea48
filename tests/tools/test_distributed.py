"""The launch scripts, with two processes on the CPU, or on one GPU. What they compute is tested in tests/engine."""

from __future__ import annotations

import csv
import os
import subprocess
import sys

import pytest
import torch

from tests.engine.toy import ToyModel, write_config
from tests.tools.small_run import ROOT


def launch(script: str, *words, gpus: str = '', **environment: str) -> subprocess.CompletedProcess:
    env = {
        **os.environ,
        'XEMAP_ENV': sys.prefix,
        'CUDA_VISIBLE_DEVICES': gpus,
        'OMP_NUM_THREADS': '1',
        **environment,
    }
    command = ['bash', str(ROOT / 'tools' / script), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT)


@pytest.fixture
def fake(tmp_path):
    """``fake('srun', SCRIPT, …)``: the words with which the script calls ``srun``, which is replaced."""

    def call(name: str, script: str, *words, **environment: str) -> list[str]:
        (tmp_path / 'bin').mkdir()
        (tmp_path / 'bin' / name).write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        (tmp_path / 'bin' / name).chmod(0o755)
        folders = [tmp_path / 'bin', *os.environ['PATH'].split(':')]
        environment = {'PATH': ':'.join(map(str, folders)), 'XEMAP_ENV': str(tmp_path), **environment}
        return launch(script, *words, **environment).stdout.splitlines()

    return call


@pytest.mark.slow
@pytest.mark.parametrize('gpus', ['', pytest.param('0', marks=pytest.mark.gpu)])
def test_scores_on_two_processes(tmp_path, gpus):
    """On the CPU, or sharing one GPU. Training starts in the same way, and its steps are those of tests/engine."""
    if gpus and not torch.cuda.is_available():
        pytest.skip('no GPU')
    config, work_dir = write_config(tmp_path, epochs=1), tmp_path / 'run'
    torch.save({'state_dict': ToyModel().state_dict(), 'meta': {}}, tmp_path / 'weights.pth')
    done = launch('dist_test.sh', config, tmp_path / 'weights.pth', 2, '--work-dir', work_dir, gpus=gpus)
    assert done.returncode == 0, done.stderr
    assert 'GPU number: 2' in done.stdout + done.stderr
    with open(work_dir / 'test.queries.csv', newline='') as file:
        rows = [(row['sample_idx'], row['query_id']) for row in csv.DictReader(file)]
    assert len(rows) == len(set(rows)) == 9


@pytest.mark.parametrize('words', [('train', 'CONFIG'), ('test', 'CONFIG', 'CHECKPOINT')], ids=lambda words: words[0])
def test_torchrun_command(fake, words):
    """Both scripts start their tool in the same way; what follows the number of processes is the tool's."""
    tool, *given = words
    command = fake('torchrun', f'dist_{tool}.sh', *given, 3, '--seed', '7', NNODES='2', NODE_RANK='1')
    assert dict(zip(command[:10:2], command[1:10:2])) == {
        '--nnodes': '2', '--node_rank': '1', '--nproc_per_node': '3', '--master_addr': '127.0.0.1',
        '--master_port': '29500',
    }  # fmt: skip
    assert command[10:] == [str(ROOT / f'tools/{tool}.py'), *given, '--launcher', 'pytorch', '--seed', '7']


@pytest.mark.parametrize('words', [('train', 'CONFIG'), ('test', 'CONFIG', 'CHECKPOINT')], ids=lambda words: words[0])
def test_on_one_machine_torchrun_takes_a_free_port(fake, words):
    """Two trainings can run side by side."""
    tool, *given = words
    command = fake('torchrun', f'dist_{tool}.sh', *given, 2)
    tool_words = [str(ROOT / f'tools/{tool}.py'), *given, '--launcher', 'pytorch']
    assert command == ['--standalone', '--nproc_per_node', '2', *tool_words]


@pytest.mark.parametrize('script', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'slurm_test.sh'])
def test_without_arguments_the_usage_is_shown(script):
    done = launch(script)
    assert done.returncode == 2 and f'bash tools/{script} ' in done.stderr


@pytest.mark.parametrize('script, last', [('slurm_train.sh', 'WORK_DIR'), ('slurm_test.sh', 'CHECKPOINT')])
def test_slurm_command(fake, script, last):
    options = {'GPUS': '16', 'SRUN_ARGS': '--quotatype=reserved --async'}
    words = fake('srun', script, 'gpu', 'job', 'CONFIG', last, '--seed', '3', **options)
    assert {'--ntasks=16', '--gres=gpu:8', '--ntasks-per-node=8', '--job-name=job', '--async'} <= set(words)
    tool = words.index(str(ROOT / 'tools' / script[len('slurm_') :].replace('.sh', '.py')))
    assert words[tool + 1] == 'CONFIG' and last in words and words[tool:][-2:] == ['--seed', '3']
    assert words[words.index('--launcher') + 1] == 'slurm'
