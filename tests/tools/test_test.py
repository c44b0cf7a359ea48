"""tools/test.py on the real network."""

from __future__ import annotations

import csv
import json
import sys

import pytest
import torch

from tests.models.tiny import tiny_network
from tests.tools.small_run import write_run
from tests.tools.test_train import load_tool
from xemap.cli import run
from xemap.registry import MODELS
from xemap.structures import MapAnswers

QUERIES = 1 + 2 + 3 + 1 + 2


@pytest.fixture
def score(monkeypatch):
    """``score('CONFIG', 'CHECKPOINT', …)`` as on a command line; returns the status."""
    tool = load_tool('test')

    def call(*words) -> int:
        monkeypatch.setattr(sys, 'argv', ['test.py', *map(str, words)])
        return run(tool.main, tool.parse_args())

    return call


@pytest.fixture
def checkpoint(tmp_path):
    """Random weights of the network that the config of ``write_run`` has."""
    path = tmp_path / 'weights.pth'
    torch.save({'state_dict': MODELS.build(tiny_network()).state_dict(), 'meta': {}}, path)
    return path


def test_table_rows_summary_and_pictures(tmp_path, score, checkpoint):
    config = write_run(tmp_path)
    words = ['--work-dir', tmp_path / 'run', '--out', tmp_path / 'results' / 'a', '--show-dir', tmp_path / 'pictures']
    assert score(config, checkpoint, *words) == 0
    with open(tmp_path / 'results' / 'a.queries.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == QUERIES and len({(row['sample_idx'], row['query_id']) for row in rows}) == QUERIES
    summary = json.loads((tmp_path / 'results' / 'a.summary.json').read_text())
    assert summary['protocol'] == 'reference' and summary['overall']['queries'] == QUERIES
    assert {'floor', 'ceiling'} <= summary.keys()
    assert len(list((tmp_path / 'pictures').glob('*.png'))) == QUERIES


def test_protocol_and_default_place_of_results(tmp_path, score, checkpoint):
    config = write_run(tmp_path)
    assert score(config, checkpoint, '--work-dir', tmp_path / 'run', '--protocol', 'paper') == 0
    assert json.loads((tmp_path / 'run' / 'test.summary.json').read_text())['protocol'] == 'paper'


def test_scoring_in_worker_processes_gives_the_same_files(tmp_path, score, checkpoint):
    config = write_run(tmp_path)
    for number in (0, 2):
        words = ['--work-dir', tmp_path / 'run', '--out', tmp_path / f'{number}']
        assert score(config, checkpoint, *words, '--cfg-options', f'test_evaluator.workers={number}') == 0
    for name in ('queries.csv', 'summary.json'):
        assert (tmp_path / f'2.{name}').read_bytes() == (tmp_path / f'0.{name}').read_bytes()


def test_a_map_that_a_worker_cannot_score_is_one_line(tmp_path, score, checkpoint, capsys, monkeypatch):
    config = write_run(tmp_path)
    made = MapAnswers.__init__

    def bright(self, *words, **options):
        made(self, *words, **options)
        self.data = self.data + 2

    monkeypatch.setattr(MapAnswers, '__init__', bright)
    words = ['--work-dir', tmp_path / 'run', '--cfg-options', 'test_evaluator.workers=1']
    assert score(config, checkpoint, *words) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error:')]
    assert '0.png, query "the field in the top left corner": map with the value' in line


def test_untrained_model(tmp_path, score):
    config = write_run(tmp_path)
    for name in ('a', 'b'):
        assert score(config, 'none', '--work-dir', tmp_path / 'run', '--out', tmp_path / name) == 0
    assert (tmp_path / 'a.queries.csv').read_bytes() == (tmp_path / 'b.queries.csv').read_bytes()


@pytest.mark.parametrize(
    'keep, message',
    [
        (None, 'another architecture: '),
        (0.5, 'truncated or no checkpoint'),
        (0.0, 'truncated or no checkpoint'),
    ],
)
def test_checkpoints_that_do_not_fit(tmp_path, score, checkpoint, capsys, keep, message):
    config, options = write_run(tmp_path), []
    if keep is None:
        options = ['--cfg-options', 'model.encoder.num_layers=3']
    else:
        content = checkpoint.read_bytes()
        checkpoint.write_bytes(content[: int(len(content) * keep)])
    assert score(config, checkpoint, '--work-dir', tmp_path / 'run', *options) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error:')]
    assert str(checkpoint) in line and message in line
