from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xemap.errors import DataError
from xemap.evaluation.functional.retrieval import chance_recall, recall_at_k


def by_sorting(similarity, owners, ks) -> dict[str, float]:
    """The definition: sort the results of every query, equal ones by index."""
    similarity, owners = np.asarray(similarity), list(owners)
    result = {}
    for k in ks:
        hits = []
        for i, row in enumerate(similarity):
            first = sorted(range(len(row)), key=lambda t: (-row[t], t))[:k]
            hits.append(any(owners[t] == i for t in first))
        result[f'i2t_R@{k}'] = 100 * sum(hits) / len(hits)
    for k in ks:
        hits = []
        for t, column in enumerate(similarity.T):
            first = sorted(range(len(column)), key=lambda i: (-column[i], i))[:k]
            hits.append(owners[t] in first)
        result[f't2i_R@{k}'] = 100 * sum(hits) / len(hits)
    result['mR'] = sum(result.values()) / len(result)
    return result


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(0, 8), st.integers(1, 4), st.integers(0, 2**31))
def test_equals_sorting_with_and_without_ties(images, more, levels, seed):
    rng = np.random.default_rng(seed)
    owners = rng.permutation([*range(images), *rng.integers(0, images, more)])
    similarity = rng.integers(0, levels * 3, (images, len(owners))) / 7  # few values: many ties
    ks = (1, 2, 5, 100)
    assert recall_at_k(similarity, owners, ks) == pytest.approx(by_sorting(similarity, owners, ks))


def test_by_hand():
    similarity = [[0.9, 0.1, 0.8], [0.5, 0.4, 0.7]]  # texts 0 and 1 belong to image 0, text 2 to image 1
    recall = recall_at_k(similarity, [0, 0, 1], (1, 2))
    # image 0 finds text 0 first, image 1 its text 2 first; texts 0 finds 0; text 1 finds 1 first; text 2 image 0
    expected = {'i2t_R@1': 100, 'i2t_R@2': 100, 't2i_R@1': 100 / 3, 't2i_R@2': 100, 'mR': 1000 / 12}
    assert recall == pytest.approx(expected)


def test_a_constant_model_is_no_better_than_chance():
    n = 40
    owners = np.repeat(np.arange(n), 5)
    recall, chance = recall_at_k(np.ones((n, 5 * n)), owners), chance_recall([5] * n)
    assert recall['t2i_R@10'] == chance['t2i_R@10'] == 25.0
    assert recall['i2t_R@10'] == 5.0  # the first two images


def test_chance_by_simulation():
    rng = np.random.default_rng(0)
    counts = [1, 2, 5, 3]
    owners = np.repeat(np.arange(4), counts)
    runs = [recall_at_k(rng.random((4, 11)), owners, (1, 3)) for _ in range(4000)]
    for key, value in chance_recall(counts, (1, 3)).items():
        assert np.mean([run[key] for run in runs]) == pytest.approx(value, abs=1.5)
    assert chance_recall([5] * 452)['t2i_R@10'] == pytest.approx(1000 / 452)
    assert chance_recall([2, 2], (9,))['mR'] == 100


@pytest.mark.parametrize('owners', [[0, 0], [0, 1, 2], [0, 2]])
def test_images_and_texts_that_do_not_fit(owners):
    with pytest.raises(DataError, match='every text needs an image and vice versa'):
        recall_at_k(np.zeros((2, 2)), owners)


def test_nan_is_no_similarity():
    with pytest.raises(DataError, match='NaN'):
        recall_at_k([[1.0, math.nan], [0.0, 1.0]], [0, 1])
