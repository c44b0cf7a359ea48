"""tools/test.py on the real network."""

from __future__ import annotations

import csv
import json
import sys

import pytest
import torch

from tests.models.tiny import tiny_network
from tests.tools.command import load_tool
from tests.tools.small_run import write_run
from xemap.cli import run
from xemap.engine import load_config
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


def test_a_model_that_was_trained_with_other_settings_is_told_of(tmp_path, score, capsys):
    config, path = write_run(tmp_path), tmp_path / 'trained.pth'
    weights = MODELS.build(tiny_network()).state_dict()
    torch.save({'state_dict': weights, 'meta': {'cfg': load_config(config).pretty_text}}, path)
    assert score(config, path, '--work-dir', tmp_path / 'run') == 0
    assert 'was trained' not in ''.join(capsys.readouterr())
    assert score(config, path, '--work-dir', tmp_path / 'run', '--cfg-options', 'model.head.pooling=max') == 0
    assert "model.head.pooling is 'max' here and was 'mean' when" in ''.join(capsys.readouterr())


def test_dumped_answers_score_the_same_without_the_model(tmp_path, score, checkpoint, capsys):
    config, out = write_run(tmp_path), tmp_path / 'out'
    metrics = ', '.join(f'{{"type": "{name}"}}' for name in ('SeLoMetric', 'MaskMetric', 'BoxMetric'))
    work = ['--work-dir', tmp_path / 'run', '--cfg-options', f'test_evaluator=[{metrics}]']
    assert score(config, checkpoint, '--out', out / 'a', '--dump', *work) == 0
    assert score(config, '--answers', out / 'a.answers', '--out', out / 'b', *work) == 0
    assert (out / 'a.queries.csv').read_bytes() == (out / 'b.queries.csv').read_bytes()
    first, second = (json.loads((out / f'{name}.summary.json').read_text()) for name in 'ab')
    runs = [summary.pop('run') for summary in (first, second)]
    assert first == second and {'oiou', 'meaniou', 'mask/pr@0.5'} <= set(first['overall'])
    assert runs[0]['checkpoint'] == str(checkpoint) and runs[0]['config'] == str(config)
    assert runs[0]['data'] == str(tmp_path / 'all.arrow') and runs[1]['answers'] == str(out / 'a.answers')
    (out / 'a.answers/000002.npz').write_bytes(b'PK')
    assert score(config, '--answers', out / 'a.answers', *work) == 2
    assert '000002.npz is damaged' in capsys.readouterr().err
    assert score(config, *work) == 2 and 'give a checkpoint' in capsys.readouterr().err


def test_text_controls_are_paired_with_the_whole_texts(tmp_path, score, checkpoint, capsys):
    config, out = write_run(tmp_path), tmp_path / 'out' / 'a'
    controls = ['--text-control', 'target-only', 'rotate']
    assert score(config, checkpoint, '--work-dir', tmp_path / 'run', '--out', out, *controls) == 0
    summary = json.loads(out.with_name('a.summary.json').read_text())
    overall = summary['text_controls']['target-only']['overall']
    assert overall['queries'] == 1 and overall['low'] is None  # "the meadow next to the river", of one image
    rows = {
        name: {(r['sample_idx'], r['query_id']): float(r['rmi']) for r in csv.DictReader(path.open(newline=''))}
        for name, path in (
            ('whole', out.with_name('a.queries.csv')),
            ('rotate', out.with_name('a.rotate.queries.csv')),
        )
    }
    rotated = summary['text_controls']['rotate']
    changes = [rows['whole'][key] - rows['rotate'][key] for key in rows['whole']]
    assert rotated['overall']['queries'] <= len(changes) and rotated['by_kind'].keys() == {'one-hop'}
    assert rotated['overall']['low'] <= rotated['overall']['difference'] <= rotated['overall']['high']
    assert score(config, checkpoint, '--work-dir', tmp_path / 'run', '--text-control', 'category') == 2
    assert 'text control "category" changes none of 9 queries' in capsys.readouterr().err
