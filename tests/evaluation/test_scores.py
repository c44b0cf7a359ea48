from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xemap.errors import ConfigError
from xemap.evaluation import BoxMetric, MaskMetric, SeLoMetric
from xemap.evaluation.scores import Score, estimate, interval, main_score, named_scores, resampled_sums, score_rules

MEAN = Score('miou', 'mIoU', 'iou')
RATIO = Score('oiou', 'oIoU', 'both', over='either')
SHARE = Score('pr@0.5', 'Pr@0.5', 'iou', above=0.5)


def rows_of(values):
    """Rows from (image, intersection, union) triples; a union of None is a query without a score."""
    return [
        {'image': str(image), 'both': None if u is None else i, 'either': u, 'iou': None if not u else i / u}
        for image, i, u in values
    ]


def slow_intervals(score, rows, resamples, seed):
    """The definition: draw images with replacement, gather their rows, compute the score."""
    images = sorted({row['image'] for row in rows})
    rng, values = np.random.default_rng(seed), []
    for _ in range(resamples):
        drawn = [images[k] for k in rng.integers(len(images), size=len(images))]
        chosen = [row for image in drawn for row in rows if row['image'] == image]
        a, b = score.terms(chosen)
        total = np.nansum(b)
        values.append(np.nansum(a) / total if total else math.nan)
    return interval(np.array(values))


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9), st.none() | st.integers(9, 20)), min_size=2, max_size=12),
    st.integers(0, 5),
)
def test_intervals_equal_drawing_images_one_by_one(values, seed):
    rows = rows_of(values)
    estimates = estimate([MEAN, RATIO, SHARE], rows, seed, resamples=40)
    for score in (MEAN, RATIO, SHARE):
        used = {row['image'] for row in rows if row['iou'] is not None}
        estimated = estimates[score.name]
        assert estimated.queries == sum(row['iou'] is not None for row in rows)
        if len(used) < 2:
            assert (estimated.low, estimated.high) == (None, None)
        else:
            expected = slow_intervals(score, rows, 40, seed)
            assert (estimated.low, estimated.high) == pytest.approx(expected, abs=1e-12)


def test_values_by_hand():
    rows = rows_of([(0, 3, 10), (0, 9, 10), (1, 5, 10), (2, 0, None)])
    estimates = estimate([MEAN, RATIO, SHARE], rows)
    assert [estimates[name].value for name in ('miou', 'oiou', 'pr@0.5')] == pytest.approx([17 / 30, 17 / 30, 1 / 3])
    loose = Score('x', 'x', 'iou', above=0.5, strict=False)
    assert estimate([loose], rows)['x'].value == pytest.approx(2 / 3)
    below = Score('x', 'x', 'iou', below=0.5)
    assert estimate([below], rows)['x'].value == pytest.approx(1 / 3)
    both = Score('both', 'both', '', average_of=('miou', 'pr@0.5'))
    assert estimate([MEAN, SHARE, both], rows)['both'].value == pytest.approx((17 / 30 + 1 / 3) / 2)
    assert estimate([MEAN], [])['miou'].value is None


def test_a_half_width_shrinks_with_the_root_of_the_images():
    rng = np.random.default_rng(1)
    widths = []
    for images in (25, 400):
        rows = [{'image': str(k), 'iou': value} for k, value in enumerate(rng.normal(0.5, 0.1, images))]
        result = estimate([MEAN], rows)['miou']
        widths.append((result.high - result.low) / 2)
    assert widths[1] == pytest.approx(1.96 * 0.1 / 20, rel=0.15) and widths[0] / widths[1] == pytest.approx(4, rel=0.3)


def test_queries_of_one_image_are_drawn_together():
    """Twenty copies of every query say no more than one."""
    rng = np.random.default_rng(2)
    rows = [{'image': str(k), 'iou': value} for k, value in enumerate(rng.random(30))]
    once, often = estimate([MEAN], rows)['miou'], estimate([MEAN], rows * 20)['miou']
    assert (once.low, once.high) == pytest.approx((often.low, often.high))


def test_draws_in_parts_are_the_same():
    sums = np.random.default_rng(0).random((7, 3))
    expected = resampled_sums(sums, 4, 50)
    assert np.array_equal(resampled_sums(sums, 4, 50, draws_at_once=20), expected)


def test_names_that_several_metrics_give_get_the_metric_in_front():
    metrics = [SeLoMetric(), MaskMetric(), BoxMetric(protocol='legacy'), SeLoMetric(normalize=True, prefix='stretched')]
    names = [[score.name for score in scores] for scores in named_scores(metrics)]
    assert names[0][:2] == ['rmi', 'rsu'] and names[3][:2] == ['stretched/rmi', 'stretched/rsu']
    assert names[1][:3] == ['oiou', 'miou', 'mask/pr@0.5'] and names[2][:3] == ['meaniou', 'cumiou', 'box/pr@0.5']
    assert [score.name for score in named_scores([BoxMetric()])[0]][2] == 'pr@0.5'
    with pytest.raises(ConfigError, match='give one of them a prefix'):
        named_scores([SeLoMetric(), SeLoMetric(normalize=True)])


@pytest.mark.parametrize(
    'metrics, main',
    [([SeLoMetric()], 'rmi'), ([MaskMetric(), SeLoMetric()], 'oiou'), ([BoxMetric()], 'pr@0.5'),
     ([BoxMetric(), MaskMetric()], 'box/pr@0.5')],
)  # fmt: skip
def test_the_first_metric_ranks_runs(metrics, main):
    evaluator = SimpleNamespace(metrics=[object(), *metrics])
    assert main_score(evaluator) == (main, 'greater')
    assert score_rules(evaluator)[main] == 'greater'


def test_directions_are_declared():
    rules = score_rules(SimpleNamespace(metrics=[SeLoMetric()]))
    assert rules['ras'] == rules['distractor_mass'] == 'less' and rules['rda'] == 'greater'
    with pytest.raises(ConfigError, match='declares a score'):
        main_score(SimpleNamespace(metrics=[object()]))
