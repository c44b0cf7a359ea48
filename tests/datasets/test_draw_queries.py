"""Drawing some of an image's queries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xemap.datasets.selection import draw_queries
from xemap.structures import Query
from xemap.structures.region import PolygonRegion

REGION = PolygonRegion([np.array([[0, 0], [4, 0], [4, 4]], np.float32)])


def drawn(pairs: list[str | None], most: int, seed: int) -> list[int]:
    queries = [Query(text=f'query {i}', region=REGION, pair=pair) for i, pair in enumerate(pairs)]
    results = {'queries': queries, 'query_ids': list(range(len(pairs))), 'rng': np.random.default_rng(seed)}
    draw_queries(results, most)
    assert results['queries'] == [queries[i] for i in results['query_ids']]
    return results['query_ids']


@given(singles=st.integers(0, 9), pairs=st.integers(0, 9), most=st.integers(1, 12), seed=st.integers(0, 99))
def test_as_many_as_there_is_room_for_and_pairs_whole(singles, pairs, most, seed):
    names = [None] * singles + [f'anchor/{i // 2}' for i in range(2 * pairs)]
    chosen = drawn(names, most, seed)
    assert chosen == sorted(set(chosen)) and len(chosen) == min(most, len(names))
    alone = [name for name in {names[i] for i in chosen} - {None} if sum(names[i] == name for i in chosen) == 1]
    assert len(alone) <= (most % 2 if singles == 0 else 1)
    if singles and most > 1 and alone:  # only where every single query was drawn already
        assert all(i in chosen for i in range(singles))


def test_every_query_comes_up():
    names = [None, None, 'place/0', 'place/0', 'size/1', 'size/1']
    counts = np.bincount([i for seed in range(300) for i in drawn(names, 2, seed)], minlength=6)
    assert counts.min() > 60


@pytest.mark.parametrize('most', [2, 3])
def test_without_pairs_the_draw_is_that_of_the_generator(most):
    expected = np.sort(np.random.default_rng(7).choice(5, most, replace=False))
    assert drawn([None] * 5, most, 7) == expected.tolist()
