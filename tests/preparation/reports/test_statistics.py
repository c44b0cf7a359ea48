"""Statistics of annotation files against counts by hand, and those of AIR-SLT against its paper."""

from __future__ import annotations

import json
from collections import defaultdict

import pytest

from xemap.datasets.annotations import write_annotations
from xemap.preparation.reports.statistics import PUBLISHED, count_statistics
from xemap.structures import ImageRecord, PolygonRegion, Query


def test_counts_by_hand(tmp_path):
    square, wide = [0, 0, 10, 0, 10, 10, 0, 10], [0, 0, 20, 0, 20, 10, 0, 10]
    first = [Query("The car-park's  gate, the END.", PolygonRegion([square, wide]), category='gate')]
    second = [Query('gate 12', PolygonRegion([square]), category='gate'), Query('x', PolygonRegion([square]))]
    write_annotations(tmp_path / 'train.arrow', [ImageRecord('a.png', 40, 20, 'mine', first)])
    both = [ImageRecord('a.png', 40, 20, 'mine', second), ImageRecord('b.png', 20, 20, 'mine', [])]
    write_annotations(tmp_path / 'test.arrow', both)
    assert count_statistics([tmp_path / 'train.arrow', tmp_path / 'test.arrow']) == {
        'images': 2,
        'queries': 3,
        'words_per_query': round((5 + 2 + 1) / 3, 4),
        'vocabulary': 6,  # the, car-park's, gate, end, 12, x
        'categories': 1,
        'regions_per_query': round(4 / 3, 4),
        'region_share': round((300 / 800 + 2 * 100 / 800) / 3, 4),
        'width': 30.0,
        'height': 20.0,
        'megapixels': 0.001,
        'sources': {'mine': 3},
        'category_counts': {'gate': 2},
    }


def test_air_slt_as_its_paper_counts_it(shared_dir, tmp_path):
    """Without the images, whose sizes only the region's share needs."""
    queries = defaultdict(list)
    for entry in json.loads((shared_dir / 'data/airslt/anno.json').read_text()):
        queries[entry['jpg_name']].append(Query(entry['caption'].strip(), PolygonRegion(entry['points'])))
    records = [ImageRecord(name, 10_000, 10_000, 'airslt', of) for name, of in queries.items()]
    write_annotations(tmp_path / 'test.arrow', records)
    statistics, paper = count_statistics([tmp_path / 'test.arrow']), PUBLISHED['airslt']
    assert statistics['queries'] == paper['queries'] and statistics['images'] == paper['images']
    assert statistics['words_per_query'] == pytest.approx(paper['words_per_query'], abs=0.3)
    assert statistics['vocabulary'] == pytest.approx(paper['vocabulary'], rel=0.1)
    assert statistics['regions_per_query'] == pytest.approx(paper['regions_per_query'], abs=0.05)
