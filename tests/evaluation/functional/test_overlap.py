from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xemap.errors import ConfigError, DataError
from xemap.evaluation.functional.overlap import box_overlap, mask_overlap, overlap_metrics


def test_values_by_hand():
    prediction, target = np.zeros((4, 5), bool), np.zeros((4, 5), bool)
    prediction[0:2, 0:4] = True  # 8 pixels
    target[1:3, 1:5] = True  # 8 pixels, 3 of them shared
    assert mask_overlap(prediction, target) == (3, 13)
    scores = overlap_metrics([(3, 13), (9, 10), (6, 10), (0, 0)])
    ious = [3 / 13, 0.9, 0.6, 1.0]
    assert scores['oiou'] == pytest.approx(18 / 33) and scores['miou'] == pytest.approx(np.mean(ious))
    # 0.6 and 0.9 themselves are not above 0.6 and 0.9.
    assert [scores[f'pr@{x}'] for x in (0.5, 0.6, 0.7, 0.8, 0.9)] == [0.75, 0.5, 0.5, 0.5, 0.25]
    assert scores['queries'] == 4


def test_boxes_by_hand():
    both, either = box_overlap([[0, 0, 4, 2], [0, 0, 1, 1]], [[1, 1, 5, 3], [1, 0, 2, 1]])
    assert both.tolist() == [3, 0] and either.tolist() == [13, 2]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 12)] * 8), min_size=1, max_size=6))
def test_boxes_and_masks_agree_pixel_by_pixel(numbers):
    boxes = np.array([[np.sort(row[i : i + 4].reshape(2, 2), 0).ravel() for i in (0, 4)] for row in np.array(numbers)])
    both, either = box_overlap(boxes[:, 0], boxes[:, 1])
    expected = []
    for first, second in boxes:
        cells = [{(x, y) for x in range(b[0], b[2]) for y in range(b[1], b[3])} for b in (first, second)]
        expected.append((len(cells[0] & cells[1]), len(cells[0] | cells[1])))
        masks = np.zeros((2, 12, 12), bool)
        for mask, own in zip(masks, cells):
            for x, y in own:
                mask[y, x] = True
        assert mask_overlap(*masks) == expected[-1]
    assert [tuple(pair) for pair in zip(both, either)] == expected
    scores = overlap_metrics(expected)
    ious = [a / b if b else 1.0 for a, b in expected]
    assert scores['miou'] == pytest.approx(sum(ious) / len(ious))
    assert scores['pr@0.5'] == sum(iou > 0.5 for iou in ious) / len(ious)


def test_no_queries_and_bad_input():
    assert np.isnan(overlap_metrics([])['miou']) and overlap_metrics([])['queries'] == 0
    with pytest.raises(DataError, match='one size'):
        mask_overlap(np.zeros((2, 2), bool), np.zeros((2, 3), bool))
    with pytest.raises(DataError, match='bool'):
        mask_overlap(np.zeros((2, 2)), np.zeros((2, 2), bool))
    with pytest.raises(DataError, match='x0 <= x1'):
        box_overlap([[3, 0, 1, 1]], [[0, 0, 1, 1]])
    with pytest.raises(DataError, match='larger than its union'):
        overlap_metrics([(3, 2)])
    with pytest.raises(ConfigError, match='thresholds'):
        overlap_metrics([(1, 2)], thresholds=[50])
