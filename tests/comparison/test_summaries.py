from __future__ import annotations

import json

import pytest

from xemap.comparison.summaries import compare_summaries, format_comparison
from xemap.errors import DataError


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


def test_text_controls_are_told_in_one_place(tmp_path):
    def entry(difference, queries):
        return {'difference': difference, 'low': difference - 0.01, 'high': difference + 0.02, 'queries': queries}

    path = write(tmp_path / 'a.json', 0.6)
    report = {'overall': entry(0.5, 9), 'by_kind': {'multi-hop': entry(0.4, 8)}}
    hard = {'overall': entry(0.3, 7), 'by_kind': {'multi-hop': entry(0.1, 6)}}
    controls = {
        'target-only': {**report, 'with_distractors': hard},
        'category': {'overall': entry(0.5, 9), 'by_kind': {}, 'with_distractors': {'overall': entry(0.2, 5)}},
        'rotate': report,
    }
    path.write_text(json.dumps({**json.loads(path.read_text()), 'text_controls': controls}))
    results = compare_summaries(path, write(tmp_path / 'b.json', 0.2))
    assert results['text_controls'] == {
        'target-only': {**entry(0.1, 6), 'of': 'multi-hop queries with distractors'},
        'category': {**entry(0.2, 5), 'of': 'queries with distractors'},
    }
    assert 'Rmi of whole texts minus category, queries with distractors: +0.2000 [+0.1900, +0.2200], 5 queries' in (
        format_comparison(results).splitlines()
    )
    del controls['target-only']['with_distractors']
    path.write_text(json.dumps({**json.loads(path.read_text()), 'text_controls': controls}))
    control = compare_summaries(path, tmp_path / 'b.json')['text_controls']['target-only']
    assert control['difference'] is None and control['queries'] == 0
