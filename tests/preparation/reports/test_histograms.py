"""The histograms are those that counting record by record gives."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np

from xemap.datasets.annotations import AnnotationFile, write_annotations
from xemap.preparation.reports.histograms import count_histograms
from xemap.structures import ImageRecord, PolygonRegion, Query

SQUARE = PolygonRegion([[0, 0, 3, 0, 3, 3]])


def slowly(path) -> dict[str, Counter]:
    records = list(AnnotationFile(path))
    counted = {'queries_per_image': Counter(len(record.queries) for record in records)}
    for name in ('multi_hop', 'multi_ref'):
        known = [[getattr(q, name) for q in r.queries if getattr(q, name) is not None] for r in records]
        counted[f'{name}_per_image'] = Counter(sum(values) for values in known if values)
    counted['words_per_query'] = Counter(len(q.text.split()) for r in records for q in r.queries)
    return counted


def test_numbers_agree_with_the_records(tmp_path) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for i in range(200):
        queries = []
        for _ in range(rng.integers(0, 6)):
            hops, referents = (None if rng.random() < 0.5 else int(rng.integers(1, 4)) for _ in range(2))
            queries.append(Query(' word ' * rng.integers(1, 30), SQUARE, hops=hops, referents=referents))
        rows.append(ImageRecord(f'{i}.png', 9, 9, 's', queries))
    write_annotations(tmp_path / 'a.arrow', rows)
    numbers, expected = count_histograms(tmp_path / 'a.arrow'), slowly(tmp_path / 'a.arrow')
    for name, counts in expected.items():
        assert numbers[name]['counts'] == dict(sorted(counts.items())), name
        values = list(counts.elements())
        assert numbers[name]['mean'] == round(np.mean(values), 3)
        assert numbers[name]['median'] == np.median(values) and numbers[name]['max'] == max(values)
    hops = Counter(query.multi_hop for row in rows for query in row.queries)
    assert numbers['multi_hop'] == {'yes': hops[True], 'no': hops[False], 'unknown': hops[None]}
    assert numbers['images'] == 200 and numbers['queries'] == sum(hops.values())
    assert json.loads(json.dumps(numbers))['queries_per_image']['mean'] == numbers['queries_per_image']['mean']


def test_nothing_known_and_nothing_there(tmp_path) -> None:
    write_annotations(tmp_path / 'a.arrow', [ImageRecord('a.png', 9, 9, 's', [Query('the lake', SQUARE)])])
    numbers = count_histograms(tmp_path / 'a.arrow')
    assert numbers['multi_hop_per_image'] == {'counts': {}, 'mean': None, 'median': None, 'max': None}
    assert numbers['words_per_query']['counts'] == {2: 1}
    write_annotations(tmp_path / 'b.arrow', [])
    assert count_histograms(tmp_path / 'b.arrow')['queries_per_image']['counts'] == {}
