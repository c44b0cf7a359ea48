from __future__ import annotations

import itertools

import numpy as np
import pytest

from xemap.errors import ConfigError, DataError
from xemap.evaluation.paired import matched, most_changed, paired_difference, permutation_p
from xemap.evaluation.scores import Score
from xemap.evaluation.text_controls import broken_texts, control_report
from xemap.structures import PolygonRegion, Query

RMI = Score('rmi', 'Rmi', 'rmi')
RAS = Score('ras', 'Ras', 'rmi', higher_is_better=False)


def rows(values, images=None):
    images = images or range(len(values))
    return [
        {'sample_idx': k, 'query_id': 0, 'image': f'{i}.png', 'text': f't{k}', 'kind': 'multi-hop', 'rmi': value}
        for k, (value, i) in enumerate(zip(values, images))
    ]


def test_by_hand():
    difference = paired_difference(rows([0.5, 0.7, 0.4, None]), rows([0.4, 0.7, 0.6, 0.9]), RMI)
    assert (difference.queries, difference.wins, difference.losses) == (3, 1, 1)
    assert difference.difference == pytest.approx((0.1 + 0 - 0.2) / 3)
    assert difference.low <= difference.difference <= difference.high and not difference.is_distinguishable
    lower = paired_difference(rows([0.2, 0.4]), rows([0.3, 0.6]), RAS)
    assert (lower.wins, lower.losses) == (2, 0)  # less is better


def test_pairing_sees_what_two_intervals_hide():
    rng = np.random.default_rng(0)
    easy = rng.random(60)
    difference = paired_difference(rows(easy + 0.02 + 0.01 * rng.normal(size=60)), rows(easy), RMI)
    assert difference.is_distinguishable and difference.p < 0.001
    same = paired_difference(rows(easy + 0.02 * rng.normal(size=60)), rows(easy), RMI)
    assert same.p > 0.05


@pytest.mark.parametrize(('images', 'enough'), [(2, False), (5, False), (8, True)])
def test_a_few_images_tell_nothing(images, enough):
    """The bootstrap of two images that both got better never reaches 0."""
    first, second = (np.linspace(start, start + 0.1, images) for start in (0.6, 0.4))
    difference = paired_difference(rows(first), rows(second), RMI)
    assert difference.low > 0 and difference.is_distinguishable == enough


def test_p_equals_all_permutations():
    sums = np.array([[0.5, 1, 0.2, 1], [0.9, 1, 0.6, 1], [0.4, 1, 0.5, 1], [1.5, 2, 0.9, 2]])

    def gap(each):
        return abs(each[:, 0].sum() / each[:, 1].sum() - each[:, 2].sum() / each[:, 3].sum())

    every = [
        np.array([row[[2, 3, 0, 1]] if swap else row for row, swap in zip(sums, swaps)])
        for swaps in itertools.product([False, True], repeat=4)
    ]
    exact = np.mean([gap(each) >= gap(sums) - 1e-12 for each in every])
    assert permutation_p(sums) == pytest.approx(exact, abs=0.02)


def test_runs_of_different_queries():
    with pytest.raises(DataError, match='no query in common'):
        matched(rows([0.1]), [{**rows([0.1])[0], 'sample_idx': 7}])
    with pytest.raises(DataError, match='score both on the same test set'):
        matched(rows([0.1]), rows([0.1], images=[5]))
    changed = most_changed(rows([0.5, 0.1, 0.9]), rows([0.4, 0.6, 0.9]), RMI, 2)
    assert [(round(change, 3), row['text']) for change, row in changed] == [(-0.5, 't1'), (0.1, 't0')]


def info(sample_idx, *queries):
    return {'sample_idx': sample_idx, 'query_ids': list(range(len(queries))), 'queries': list(queries)}


def query(text, category=None):
    return Query(text, PolygonRegion([[0, 0, 3, 0, 3, 3]]), category=category)


INFOS = [
    info(0, query('the parking lot next to the river', 'parking lot'), query('the river.', 'river')),
    info(1, query('a lake')),
]


def test_texts_of_each_control():
    assert broken_texts(INFOS, 'target-only') == {(0, 0): 'the parking lot'}
    assert broken_texts(INFOS, 'category') == {(0, 0): 'parking lot'}  # "the river" loses an article only
    assert set(broken_texts(INFOS, 'constant').values()) == {'the object'}
    rotated = {(0, 0): 'the river.', (0, 1): INFOS[0]['queries'][0].text, (1, 0): INFOS[0]['queries'][0].text}
    assert broken_texts(INFOS, 'rotate') == rotated
    shuffled = broken_texts(INFOS, 'shuffle-words')
    assert shuffled == broken_texts(INFOS, 'shuffle-words')
    for (image, number), text in shuffled.items():
        original = INFOS[image]['queries'][number].text
        assert text != original and sorted(text.split()) == sorted(original.split())
    with pytest.raises(ConfigError, match='unknown; use one of rotate'):
        broken_texts(INFOS, 'reverse')
    with pytest.raises(ConfigError, match='changes none of 1 queries'):
        broken_texts(INFOS[1:], 'category')


def test_only_changed_queries_count():
    whole = [{**row, 'distractors': k == 1} for k, row in enumerate(rows([0.9, 0.5, 0.7]))]
    report = control_report(whole, rows([0.1, 0.4, 0.9]), [(1, 0), (2, 0)], [RMI])
    assert report['overall']['queries'] == 2 and report['overall']['difference'] == pytest.approx(-0.05)
    assert report['with_distractors']['by_kind']['multi-hop']['difference'] == pytest.approx(0.1)
