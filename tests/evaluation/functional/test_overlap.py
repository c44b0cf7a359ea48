from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evaluation.functional import slow_overlap
from xemap.errors import ConfigError, DataError
from xemap.evaluation import box_metrics, mask_metrics
from xemap.evaluation.functional.overlap import box_overlap, mask_overlap

MASKS = st.integers(1, 5).flatmap(
    lambda side: st.lists(
        st.tuples(*[st.lists(st.booleans(), min_size=side * 3, max_size=side * 3)] * 2), min_size=1, max_size=6
    )
)
CORNER = st.integers(0, 12)
SIDE = st.sampled_from([0, 1, 2, 5, 10])


def as_masks(rows):
    return [np.array(row, bool).reshape(3, -1) for row in rows]


def renamed(scores, sums, mean):
    return {sums: scores.pop('sums'), mean: scores.pop('mean'), **scores}


def strip(length, total=20):
    mask = np.zeros((1, total), bool)
    mask[0, :length] = True
    return mask


def test_masks_by_hand():
    prediction, target = np.zeros((4, 5), bool), np.zeros((4, 5), bool)
    prediction[0:2, 0:4] = True  # 8 pixels
    target[1:3, 1:5] = True  # 8 pixels, 3 of them shared
    assert mask_overlap(prediction, target) == (3, 13)
    predictions = [prediction, strip(9), strip(6), strip(0)]
    targets = [target, strip(10), strip(10), strip(0)]
    scores = mask_metrics(predictions, targets)
    assert list(scores) == ['oiou', 'miou', 'pr@0.5', 'pr@0.6', 'pr@0.7', 'pr@0.8', 'pr@0.9']
    assert scores['oiou'] == pytest.approx(18 / 33)
    assert scores['miou'] == pytest.approx((3 / 13 + 0.9 + 0.6 + 1) / 4)
    # 0.6 and 0.9 themselves are not above 0.6 and 0.9.
    assert [scores[f'pr@{x}'] for x in (0.5, 0.6, 0.7, 0.8, 0.9)] == [0.75, 0.5, 0.5, 0.5, 0.25]
    loose = mask_metrics(predictions, targets, strict=False, empty=0)
    assert [loose[f'pr@{x}'] for x in (0.5, 0.6, 0.7, 0.8, 0.9)] == [0.5, 0.5, 0.25, 0.25, 0.25]
    assert loose['miou'] == pytest.approx((3 / 13 + 0.9 + 0.6) / 4) and loose['oiou'] == scores['oiou']


def test_nothing_asked_and_nothing_answered():
    nothing = [np.zeros((3, 3), bool)]
    assert set(mask_metrics(nothing, nothing).values()) == {1.0}
    assert set(mask_metrics(nothing, nothing, empty=0).values()) == {0.0}
    assert set(box_metrics(np.zeros((1, 4)), np.zeros((1, 4))).values()) == {0.0}


@settings(max_examples=80, deadline=None)
@given(MASKS, st.booleans(), st.integers(0, 1))
def test_masks_equal_the_slow_reference(pairs, strict, empty):
    predictions, targets = as_masks([a for a, _ in pairs]), as_masks([b for _, b in pairs])
    areas = [slow_overlap.mask_areas(a.tolist(), b.tolist()) for a, b in zip(predictions, targets)]
    expected = renamed(slow_overlap.scores(areas, strict, empty), 'oiou', 'miou')
    assert mask_metrics(predictions, targets, strict=strict, empty=empty) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 12)] * 4, CORNER, CORNER, SIDE, SIDE), min_size=1, max_size=6))
def test_boxes_equal_the_slow_reference(rows):
    """Predictions may be turned inside out, targets may have no area; equal boxes and touching ones occur."""
    predictions = np.array([row[:4] for row in rows])
    targets = np.array([(x, y, x + w, y + h) for *_, x, y, w, h in rows])
    areas = [slow_overlap.box_areas(*pair) for pair in zip(predictions.tolist(), targets.tolist())]
    expected = renamed(slow_overlap.scores(areas, True, 0), 'cumiou', 'meaniou')
    assert box_metrics(predictions, targets) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(
            *[st.integers(0, 799)] * 2,
            *[st.integers(1, 400)] * 2,
            st.sampled_from([(800, 800), (600, 800), (501, 333)]),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_legacy_boxes_equal_the_slow_reference(rows):
    targets = np.array([(x, y, x + w, y + h) for x, y, w, h, _ in rows])
    sizes = np.array([size for *_, size in rows])
    expected = []
    for target, (height, width) in zip(targets.tolist(), sizes.tolist()):
        cut = [min(value, limit) for value, limit in zip(target, (width, height, width, height))]
        expected.append(slow_overlap.box_areas(cut, slow_overlap.legacy_box(target, height, width)))
    scores = box_metrics(targets, targets, protocol='legacy', sizes=sizes)
    assert scores == pytest.approx(renamed(slow_overlap.scores(expected, True, 0), 'cumiou', 'meaniou'), abs=1e-9)


def test_boxes_of_masks_score_as_masks():
    """A box with whole coordinates is the mask of its pixels."""
    rng = np.random.default_rng(3)
    boxes = np.sort(rng.integers(0, 13, (2, 20, 2, 2)), axis=2).reshape(2, 20, 4)
    masks = np.zeros((2, 20, 12, 12), bool)
    for part, filled in zip(boxes, masks):
        for (x0, y0, x1, y1), mask in zip(part, filled):
            mask[y0:y1, x0:x1] = True
    by_box = box_metrics(*boxes)
    by_mask = mask_metrics(*masks, empty=0)
    assert list(by_box.values())[:2] == pytest.approx([by_mask['miou'], by_mask['oiou']])
    assert list(by_box.values())[2:] == list(by_mask.values())[2:]


def test_legacy_protocol_on_the_published_examples():
    """An exact answer is not perfect under ``legacy``, and a small one fails Pr@0.8."""
    large, small = np.array([[133, 237, 684, 672]]), np.array([[101, 101, 113, 113]])
    assert box_metrics(large, large)['pr@0.9'] == 1.0
    assert box_metrics(large, large, protocol='legacy')['meaniou'] == pytest.approx(0.9952, abs=5e-5)
    scores = box_metrics(small, small, protocol='legacy')
    assert scores['meaniou'] == pytest.approx(0.7872, abs=5e-5)
    assert (scores['pr@0.7'], scores['pr@0.8']) == (1.0, 0.0)
    everything = np.array([[0, 0, 800, 800]])
    assert box_metrics(everything, everything, 'legacy')['meaniou'] == pytest.approx((798.75 / 800) ** 2)


def test_predictions_are_cut_to_the_image():
    target, wide = np.array([[0, 0, 10, 10]]), np.array([[-10, -5, 30, 10]])
    assert box_metrics(wide, target)['meaniou'] == pytest.approx(100 / 600)
    assert box_metrics(wide, target, sizes=np.array([[10, 20]]))['meaniou'] == pytest.approx(100 / 200)
    assert box_metrics(wide, target, sizes=np.array([10, 10]))['meaniou'] == 1.0
    assert box_metrics(np.array([[50, 50, 60, 60]]), target, sizes=np.array([10, 10]))['cumiou'] == 0.0


def test_half_is_not_above_half():
    targets = np.array([[0, 0, 10, 10]] * 2)
    assert box_metrics(np.array([[0, 0, 10, 5], [0, 0, 10, 6]]), targets)['pr@0.5'] == 0.5


def test_large_referents_weigh_more_in_the_ratio_of_sums():
    scores = box_metrics(np.array([[0, 0, 100, 100], [0, 0, 1, 1]]), np.array([[0, 0, 100, 100], [2, 2, 3, 3]]))
    assert scores['meaniou'] == 0.5 and scores['cumiou'] == pytest.approx(10000 / 10002)


def test_bad_input_is_named():
    square = np.zeros((2, 2), bool)
    for call, message in (
        (lambda: mask_metrics([], []), 'no query'),
        (lambda: mask_metrics([square], []), '1 predicted masks for 0 targets'),
        (lambda: mask_metrics([square], [np.zeros((2, 3), bool)]), 'one size'),
        (lambda: mask_metrics([np.zeros((2, 2))], [square]), 'bool'),
        (lambda: box_metrics(np.zeros((0, 4)), np.zeros((0, 4))), 'no query'),
        (lambda: box_metrics([[0, 0, 1, 1]], [[3, 0, 1, 1]]), 'x0 <= x1'),
        (lambda: box_metrics([[0, 0, float('nan'), 1]], [[0, 0, 1, 1]]), 'finite'),
        (lambda: box_metrics([[0, 0, 1, 1]], [[0, 0, 1, 1]], sizes=np.zeros((3, 2))), 'image sizes'),
        (lambda: box_metrics([[0, 0, 1]], [[0, 0, 1]]), 'shapes'),
    ):
        with pytest.raises(DataError, match=message):
            call()
    with pytest.raises(ConfigError, match='empty=2'):
        mask_metrics([square], [square], empty=2)
    with pytest.raises(ConfigError, match='protocol "exact"'):
        box_metrics([[0, 0, 1, 1]], [[0, 0, 1, 1]], protocol='exact')


def test_a_union_is_never_smaller_than_its_intersection():
    """Fractional coordinates round; a box inside itself must have an IoU of exactly 1."""
    boxes = np.random.default_rng(0).random((500, 2, 2)).cumsum(1).reshape(500, 4) / 3
    both, either = box_overlap(boxes, boxes)
    assert (both <= either).all() and np.array_equal(both, either)
