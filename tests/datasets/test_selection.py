"""Choosing queries by columns finds what a look at every record finds."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xemap.datasets.annotations import AnnotationFile, write_annotations
from xemap.datasets.selection import select_queries
from xemap.errors import ConfigError
from xemap.structures import QUERY_KINDS, ImageRecord, PolygonRegion, Query

TEXTS = ('the lake', 'Ships next to the harbour', 'a.b', 'cars (red)', '湖の東')
UNKNOWN_OR = [None, 1, 2, 3]


@pytest.fixture(scope='module')
def annotations(tmp_path_factory) -> AnnotationFile:
    rng, square = np.random.default_rng(0), PolygonRegion([[0, 0, 3, 0, 3, 3]])

    def one(values):
        return values[rng.integers(len(values))]

    rows = [
        ImageRecord(f'{i}.png', 9, 9, one('ab'), [
            Query(one(TEXTS), square, None, one((None, *QUERY_KINDS)), one(UNKNOWN_OR), one(UNKNOWN_OR))
            for _ in range(i % 4)
        ])
        for i in range(60)
    ]  # fmt: skip
    path = tmp_path_factory.mktemp('selection') / 'a.arrow'
    write_annotations(path, rows)
    return AnnotationFile(path)


def slowly(annotations, sources, kinds, text, multi_hop, multi_ref) -> list[int]:
    """The same from the records."""
    queries = [(record, query) for record in annotations for query in record.queries]
    return [
        i
        for i, (record, query) in enumerate(queries)
        if (sources is None or record.source in sources)
        and (kinds is None or (query.kind or 'unknown') in kinds)
        and (text is None or re.search(text, query.text, re.IGNORECASE))
        and (multi_hop is None or query.multi_hop is multi_hop)
        and (multi_ref is None or query.multi_ref is multi_ref)
    ]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sources=st.none() | st.lists(st.sampled_from('ab'), min_size=1),
    kinds=st.none() | st.lists(st.sampled_from((*QUERY_KINDS, 'unknown')), min_size=1),
    text=st.sampled_from([None, 'SHIP', 'lake|cars', r'^a\.b$', 'a.b', r'\(red', '東', 'nothing like it']),
    multi_hop=st.sampled_from([None, True, False]),
    multi_ref=st.sampled_from([None, True, False]),
)
def test_filters_agree_with_the_records(annotations, **filters) -> None:
    expected = slowly(annotations, **filters)
    if not expected:
        with pytest.raises(ConfigError, match='none of its 90 queries fits'):
            select_queries(annotations, **filters)
    else:
        assert select_queries(annotations, **filters).tolist() == expected


def test_the_choice_under_a_limit_is_random_and_repeats(annotations) -> None:
    fitting = select_queries(annotations, sources=['a'])
    first = select_queries(annotations, sources=['a'], limit=5, seed=1)
    assert len(first) == 5 and (np.diff(first) > 0).all() and set(first) <= set(fitting)
    assert (select_queries(annotations, sources=['a'], limit=5, seed=1) == first).all()
    assert (select_queries(annotations, sources=['a'], limit=5, seed=2) != first).any()
    assert (select_queries(annotations, sources=['a'], limit=10_000) == fitting).all()


@pytest.mark.parametrize(
    'filters, message',
    [
        ({'sources': ['c']}, 'source c is unknown here; there are a, b'),
        ({'kinds': ['two-hop']}, 'kind two-hop is unknown here; there are one-hop,'),
        ({'text': 'cars (red'}, r'"cars \(red" is no regular expression'),
        ({'limit': 0}, 'limit=0'),
    ],
)
def test_mistakes_are_named(annotations, filters, message) -> None:
    with pytest.raises(ConfigError, match=message):
        select_queries(annotations, **filters)
