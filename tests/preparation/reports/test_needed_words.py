from __future__ import annotations

import numpy as np
import pytest

from xemap.preparation.reports.needed_words import needed_shares, print_report, resolution_scores
from xemap.structures import ImageRecord, PolygonRegion, Query

SQUARE = PolygonRegion([np.array([[16, 16], [48, 16], [48, 48], [16, 48]])])
NOTHING = PolygonRegion([])


def query(kind: str, needed, distractors=SQUARE) -> Query:
    return Query('text', SQUARE, kind=kind, needed=needed, distractors=distractors)


def test_shares_of_queries_that_need_their_words():
    queries = [
        query('multi-hop', (('relation', 'next to the lake'),)),
        query('multi-hop', (('roof', 'red'),)),  # the attribute tells the same
        query('multi-hop', (), NOTHING),
        query('multi-hop', ()),
        query('position', (('superlative', 'leftmost'),)),
        query('attribute', (('roof', 'red'),)),
        query('attribute', (), NOTHING),
        Query('text', SQUARE, kind='attribute'),  # not known
    ]
    records = [ImageRecord('a.jpg', 64, 64, 's', part) for part in (queries[:3], queries[3:])]
    assert needed_shares(records) == {
        'multi-hop': {'queries': 4, 'with_distractors': 0.75, 'condition': 0.25},
        'position': {'queries': 1, 'with_distractors': 1.0, 'condition': 1.0},
        'attribute': {'queries': 2, 'with_distractors': 0.5, 'condition': 0.5},
    }


def test_a_coarse_grid_cannot_show_what_a_fine_one_can():
    records = [ImageRecord('a.jpg', 64, 64, 's', [query('one-hop', ())])]
    scores = resolution_scores(records, [64, 8, 1])
    assert scores['64'] == scores['mask'] > scores['8'] > scores['1']
    assert scores['1'] < scores['mean'] < scores['mask']


def test_the_report_is_printed(capsys):
    print_report(
        {
            'needed': {'multi-hop': {'queries': 4, 'with_distractors': 0.75, 'condition': 0.25}},
            'text': {'target': {'accuracy': 0.9, 'majority': 0.2, 'classes': 17, 'queries': 515}},
            'resolution': {'16': 0.5, 'mask': 0.75},
        }
    )
    printed = capsys.readouterr().out
    for cell in ('multi-hop', '0.250', 'target', '0.900', '515', '0.7500'):
        assert cell in printed


@pytest.mark.parametrize('records', [[], [ImageRecord('a.jpg', 64, 64, 's', [])]])
def test_nothing_is_known_of_no_queries(records):
    assert needed_shares(records) == resolution_scores(records, [8]) == {}
