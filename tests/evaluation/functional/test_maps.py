from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xemap.evaluation.functional.maps import average_precision, histogram, mass_share, pointing_accuracy, soft_iou

PAIRS = st.tuples(
    hnp.arrays(np.uint8, (4, 5), elements=st.sampled_from([0, 1, 7, 200, 255])), hnp.arrays(bool, (4, 5))
).filter(lambda pair: pair[1].any())


def slow_average_precision(gray, mask) -> float:
    """Precision at every threshold times the recall gained there."""
    values, truth = gray.ravel().tolist(), mask.ravel().tolist()
    total, before = 0.0, 0.0
    for level in sorted(set(values), reverse=True):
        taken = [hit for value, hit in zip(values, truth) if value >= level]
        recall = sum(taken) / sum(truth)
        total += (recall - before) * sum(taken) / len(taken)
        before = recall
    return total


@settings(max_examples=80, deadline=None)
@given(PAIRS)
def test_equal_the_slow_reference(pair):
    gray, mask = pair
    inside, everywhere = histogram(gray, mask.astype(np.uint8)), histogram(gray)
    assert np.array_equal(everywhere, np.bincount(gray.ravel(), minlength=256))
    assert np.array_equal(inside, np.bincount(gray[mask], minlength=256))
    assert average_precision(inside, everywhere) == pytest.approx(slow_average_precision(gray, mask), abs=1e-12)
    top = gray == gray.max()
    assert pointing_accuracy(inside, everywhere) == pytest.approx((top & mask).sum() / top.sum())
    share = mass_share(gray, mask)
    assert share is None if not gray.any() else share == pytest.approx(gray[mask].sum() / gray.sum(dtype=float))


def test_counts_are_exact_beyond_single_precision():
    """cv2 counts in single precision; larger maps are counted in parts."""
    gray = np.random.default_rng(0).integers(0, 3, (40, 9)).astype(np.uint8)
    assert np.array_equal(histogram(gray, at_once=30), histogram(gray))


def test_by_hand():
    gray = np.array([[255, 255, 0, 0]], np.uint8)
    truth = np.array([[1, 0, 1, 0]], np.uint8)
    inside, everywhere = histogram(gray, truth), histogram(gray)
    assert pointing_accuracy(inside, everywhere) == 0.5
    assert average_precision(inside, everywhere) == 0.5 * 0.5 + 0.5 * 0.5
    assert soft_iou(gray, np.array([[1, 0, 1, 0]], np.float32)) == pytest.approx(1 / 3)
    assert soft_iou(np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.float32)) is None
    flat = np.full((2, 8), 100, np.uint8)
    share = np.array([[1] * 2 + [0] * 6] * 2, np.uint8)
    assert average_precision(histogram(flat, share), histogram(flat)) == 0.25  # the share of the area


def test_a_false_peak_costs_what_rmi_forgives():
    truth = np.zeros((64, 64), np.uint8)
    truth[8:20, 8:20] = 1
    right, wrong = truth * 255, truth * 254
    wrong[40:52, 40:52] = 255  # surer of another place
    for measure in (pointing_accuracy, average_precision):
        scores = [measure(histogram(map, truth), histogram(map)) for map in (right, wrong)]
        assert scores[0] == 1.0 and scores[1] <= 0.5
    target = cv2.resize(truth.astype(np.float32), (32, 32), interpolation=cv2.INTER_AREA)
    assert soft_iou(right, target) == pytest.approx(1.0) and soft_iou(wrong, target) < 0.55
