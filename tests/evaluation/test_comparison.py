from __future__ import annotations

import json

import pytest

from xemap.errors import DataError
from xemap.evaluation.comparison import compare_summaries, format_comparison


def row(rmi: float, queries: int = 4) -> dict:
    intervals = {'rmi': [rmi - 0.02, rmi + 0.04]}
    return {'rmi': rmi, 'ras': 0.2, 'share': None, 'queries': queries, 'unscored': 0, 'intervals': intervals}


def write(path, rmi: float, queries: int = 4):
    summary = {
        'overall': row(rmi, queries),
        'floor': row(0.3),
        'ceiling': row(0.9),
        'by_kind': {'one-hop': row(0.7, 3)},
        'scores': {
            'rmi': {'label': 'Rmi', 'rule': 'greater'},
            'ras': {'label': 'Ras', 'rule': 'less'},
            'share': {'label': 'share', 'rule': 'less'},
        },
    }
    path.write_text(json.dumps(summary))
    return path


def test_rows(tmp_path):
    results = compare_summaries(write(tmp_path / 'a.json', 0.6), write(tmp_path / 'b.json', 0.2))
    assert {name: results[name]['rmi'] for name in ('model', 'untrained', 'floor', 'ceiling')} == {
        'model': 0.6,
        'untrained': 0.2,
        'floor': 0.3,
        'ceiling': 0.9,
    }
    assert set(results['by_kind']['one-hop']) == {'rmi', 'ras', 'queries', 'intervals'}
    lines = format_comparison(results).splitlines()
    assert lines[0] == '| | Rmi | Ras (less is better) | queries |'
    assert lines[2] == '| model | 0.6000 ±0.030 | 0.2000 | 4 |'
    assert [line.split(' | ')[0] for line in lines[4:6]] == ['| uniform map', '| true mask']
    assert lines[-1] == '| model, one-hop | 0.7000 ±0.030 | 0.2000 | 3 |'


def test_summaries_of_different_queries_are_not_compared(tmp_path):
    with pytest.raises(DataError, match='4 queries and .* 5'):
        compare_summaries(write(tmp_path / 'a.json', 0.6), write(tmp_path / 'b.json', 0.2, queries=5))
    with pytest.raises(DataError, match='does not exist'):
        compare_summaries(tmp_path / 'a.json', tmp_path / 'none.json')
