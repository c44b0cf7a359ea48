from __future__ import annotations

import csv
import json

import pytest

from xemap.errors import DataError
from xemap.evaluation import (
    Score,
    format_table,
    merge_rows,
    region_size_bin,
    summarize,
    write_rows_csv,
)
from xemap.evaluation.report import ROW_FIELDS, join_rows
from xemap.files import write_json

SCORES = (Score('rmi', 'Rmi', 'rmi'), Score('ras', 'Ras', 'ras', higher_is_better=False))
BOUNDS = {key: [score.of_columns(key) for score in SCORES] for key in ('floor', 'ceiling')}
BOUNDS = {
    key: [Score(score.name, score.label, column.column) for score, column in zip(SCORES, columns)]
    for key, columns in BOUNDS.items()
}
NAMES = {'floor': 'uniform map', 'ceiling': 'true mask'}


def row(sample_idx=0, query_id=0, rmi=0.5, floor=0.25, ceiling=1.0, **changes):
    return {
        **dict.fromkeys(ROW_FIELDS),
        **{'sample_idx': sample_idx, 'query_id': query_id, 'image': f'{sample_idx}.png', 'source': 'a', 'text': 'lake'},
        **{'area_share': 0.05, 'region_size': '1 - 10 %', 'regions': 'labels', 'rmi': rmi, 'ras': rmi},
        **{'floor_rmi': floor, 'floor_ras': floor, 'ceiling_rmi': ceiling, 'ceiling_ras': ceiling},
        **changes,
    }


ROWS = [
    row(0, 0, 0.25, kind='one-hop', hops=1, multi_hop=False, referents=2, multi_ref=True),
    row(0, 1, 0.75, floor=0.5, kind='multi-hop', hops=2, multi_hop=True, referents=1, multi_ref=False),
    row(1, 0, None, floor=None, ceiling=None, kind='one-hop', problem='no polygon', source='b'),
    row(1, 1, 0.5, kind='one-hop', hops=1, multi_hop=False, source='b', text='lake, "old"', regions='hand-drawn'),
]


def test_means_and_groups():
    summary = summarize(ROWS, SCORES, BOUNDS)
    overall = summary['overall']
    assert (overall['rmi'], overall['ras'], overall['queries'], overall['unscored']) == (0.5, 0.5, 3, 1)
    assert (overall['floor_rmi'], overall['ceiling_rmi']) == (pytest.approx(1 / 3), 1.0)
    assert set(overall['intervals']) == {'rmi', 'ras'}
    assert summary['floor']['rmi'] == pytest.approx(1 / 3) and summary['ceiling']['ras'] == 1.0
    assert summary['floor']['queries'] == 3
    counts = {
        group: {label: (values['queries'], values['unscored'], values['rmi']) for label, values in groups.items()}
        for group, groups in summary.items()
        if group.startswith('by_')
    }
    assert counts == {
        'by_kind': {'one-hop': (2, 1, 0.375), 'multi-hop': (1, 0, 0.75)},
        'by_source': {'a': (2, 0, 0.5), 'b': (1, 1, 0.5)},
        'by_hops': {'1': (2, 0, 0.375), '2': (1, 0, 0.75), 'unknown': (0, 1, None)},
        'by_multi_hop': {'yes': (1, 0, 0.75), 'no': (2, 0, 0.375), 'unknown': (0, 1, None)},
        'by_multi_ref': {'yes': (1, 0, 0.25), 'no': (1, 0, 0.75), 'unknown': (1, 1, 0.5)},
        'by_distractors': {'unknown': (3, 1, 0.5)},
        'by_needed': {'unknown': (3, 1, 0.5)},
        'by_region_size': {'1 - 10 %': (3, 1, 0.5)},
    }
    assert summary['problems'] == {'no polygon': 1}
    assert summary['regions'] == {'labels': 3, 'hand-drawn': 1}
    assert list(summary['by_kind']) == ['one-hop', 'multi-hop']  # in the order of QUERY_KINDS
    declared = summary['scores']['ras']
    assert (declared['label'], declared['rule'], declared['reduction']) == ('Ras', 'less', 'mean of ras')
    assert Score(**declared['declaration']) == SCORES[1]


def test_references_are_averaged_over_the_scored_queries_only():
    rows = [row(0, 0, floor=0.2), row(0, 1, None, floor=0.9, problem='x')]
    assert summarize(rows, SCORES, BOUNDS)['floor']['rmi'] == 0.2


def test_references_that_were_not_scored_have_no_row():
    summary = summarize([row(0, 0, floor=None, ceiling=None)], SCORES, BOUNDS)
    assert 'floor' not in summary and summary['overall']['floor_rmi'] is None
    assert 'uniform' not in format_table(summary, SCORES, NAMES)


@pytest.mark.parametrize(
    'share, name',
    [(0, '< 0.1 %'), (0.000999, '< 0.1 %'), (0.001, '0.1 - 1 %'), (0.01, '1 - 10 %'), (0.1, '>= 10 %'), (1, '>= 10 %')],
)
def test_region_size_bins(share, name):
    assert region_size_bin(share) == name


def test_table_shows_references_groups_intervals_and_reasons():
    lines = format_table(summarize(ROWS, SCORES, BOUNDS), SCORES, NAMES, title='some title').splitlines()
    cells = {line.split('|')[1].strip(): [c.strip() for c in line.split('|')[2:-1]] for line in lines if '|' in line}
    assert lines[0] == 'some title'
    assert cells['all queries'][0].startswith('0.5000 ±0.') and cells['all queries'][2:] == ['3', '1']
    assert cells['uniform map'][0].startswith('0.3333') and cells['true mask'][0].startswith('1.0000')
    assert cells['kind: multi-hop'] == ['0.7500', '0.7500', '1', '0']  # of one image: no interval
    assert cells['multi hop: unknown'] == ['', '', '0', '1']
    assert cells['source: b'][-2:] == ['1', '1']
    assert lines[-2] == 'regions of queries: made from labels, united: 3, hand-drawn, even-odd rule: 1'
    assert lines[-1] == 'not scored: 1 x no polygon'


def test_group_of_which_nothing_is_known_is_left_out_of_the_table():
    table = format_table(summarize([row(0, 0)], SCORES), SCORES)
    assert 'kind' not in table and 'source: a' in table


def test_names_from_data_are_not_markup():
    assert 'source: [red]x[/red]' in format_table(summarize([row(0, 0, source='[red]x[/red]')], SCORES), SCORES)


def test_merge_keeps_each_query_once_in_order():
    assert merge_rows([ROWS[3], ROWS[1], ROWS[0], ROWS[2], ROWS[1]]) == ROWS
    assert merge_rows([]) == []


def test_merge_refuses_two_queries_under_one_key():
    with pytest.raises(DataError, match=r'query 0 of image 0 .*"lake".*"sea"'):
        merge_rows([row(0, 0), row(0, 0, text='sea')])


def test_rows_of_several_metrics_become_one():
    def of(column, value, problem=None):
        return {'sample_idx': 0, 'query_id': 0, 'image': '0', 'text': 'a', column: value, 'problem': problem}

    (joined,) = join_rows([[of('rmi', None, 'no radius')], [of('iou', 0.5)], [of('box', None, 'no referent')]])
    assert (joined['rmi'], joined['iou'], joined['problem']) == (None, 0.5, 'no radius; no referent')


def test_csv_and_json_return_what_was_written(tmp_path):
    write_rows_csv(ROWS, tmp_path / 'new' / 'rows.csv')
    with (tmp_path / 'new' / 'rows.csv').open(newline='') as file:
        read = list(csv.DictReader(file))
    assert [r['text'] for r in read] == ['lake', 'lake', 'lake', 'lake, "old"']
    assert [r['rmi'] for r in read] == ['0.25', '0.75', '', '0.5']
    assert read[2]['problem'] == 'no polygon'
    assert tuple(read[0])[: len(ROW_FIELDS)] == ROW_FIELDS
    summary = summarize(ROWS, SCORES, BOUNDS)
    write_json(tmp_path / 'summary.json', summary)
    assert json.loads((tmp_path / 'summary.json').read_text()) == summary
    assert sorted(path.name for path in tmp_path.iterdir()) == ['new', 'summary.json']


def test_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / 'rows.csv'
    write_rows_csv(ROWS, path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_rows_csv([ROWS[0], None], path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
