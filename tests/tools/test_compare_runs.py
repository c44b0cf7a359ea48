from __future__ import annotations

import json
import sys

import pytest

from tests.tools.command import load_tool
from xemap.cli import run
from xemap.evaluation import Score, summarize, write_rows_csv
from xemap.files import write_json


def write_results(folder, name, values):
    rows = [
        {'sample_idx': k, 'query_id': 0, 'image': f'{k}.png', 'text': f'lake [{k}]', 'problem': None, 'rmi': value}
        for k, value in enumerate(values)
    ]
    write_rows_csv(rows, folder / f'{name}.queries.csv')
    write_json(folder / f'{name}.summary.json', summarize(rows, [Score('rmi', 'Rmi', 'rmi')]))
    return folder / f'{name}.queries.csv'


@pytest.fixture
def compare_runs(monkeypatch):
    tool = load_tool('compare_runs')

    def call(*words) -> int:
        monkeypatch.setattr(sys, 'argv', ['compare_runs.py', *map(str, words)])
        return run(tool.main, tool.parse_args())

    return call


def test_difference_and_queries_that_changed_most(tmp_path, compare_runs, capsys):
    a, b = write_results(tmp_path, 'a', [0.9, 0.8, 0.2, None]), write_results(tmp_path, 'b', [0.5, 0.8, 0.3, 0.1])
    assert compare_runs(a, b, '--changed', 1, '--out', tmp_path / 'out.json') == 0
    printed = capsys.readouterr().out
    assert '+0.4000 Rmi  lake [0]' in printed and '+0.1000' in printed and 'lake [2]' not in printed
    rmi = json.loads((tmp_path / 'out.json').read_text())['rmi']
    assert rmi['difference'] == pytest.approx(0.1) and (rmi['wins'], rmi['losses'], rmi['queries']) == (1, 1, 3)


def test_mistakes_are_one_line(tmp_path, compare_runs, capsys):
    a = write_results(tmp_path, 'a', [0.9])
    (tmp_path / 'c.queries.csv').write_text('x,y\n1,2\n')
    for words, message in (
        ([a, tmp_path / 'none.queries.csv'], 'cannot be read'),
        ([a, tmp_path / 'c.queries.csv'], 'is no table of queries'),
        ([a, a, '--score', 'miou'], '--score miou is not declared; known: rmi'),
    ):
        assert compare_runs(*words) == 2
        error = capsys.readouterr().err.strip()
        assert error.startswith('error: ') and message in error and '\n' not in error
    (tmp_path / 'a.summary.json').unlink()
    assert compare_runs(a, a) == 2 and 'declares no scores' in capsys.readouterr().err
