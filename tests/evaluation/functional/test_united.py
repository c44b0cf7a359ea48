from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xemap.evaluation.functional.selo import selo_target, united_target
from xemap.evaluation.functional.united import united_polygons

SIZE = (60, 80)


def box(x0, y0, x1, y1):
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], float)


def filled(outlines) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    for outline in outlines:
        cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 1)
    return mask.astype(bool)


def test_polygons_that_meet_no_other_keep_their_vertices():
    repeated = np.array([[1, 1], [9, 1], [9, 9], [1, 1]], float)
    line = np.array([[30, 30], [40, 40]], float)
    parts = united_polygons([box(20, 2, 28, 8), repeated, line])
    assert [part.tolist() for part in parts] == [box(20, 2, 28, 8).tolist(), repeated.tolist(), line.tolist()]


def test_equal_boxes_are_one_and_a_corner_does_not_connect():
    (part,) = united_polygons([box(3, 3, 9, 9)] * 3)
    assert sorted(part.tolist()) == sorted(box(3, 3, 9, 9).tolist())
    assert len(united_polygons([box(0, 0, 5, 5), box(5, 5, 9, 9)])) == 2
    assert len(united_polygons([box(0, 0, 5, 5), box(5, 2, 9, 9)])) == 1


def test_a_chain_of_boxes_is_one_region_whatever_the_order():
    boxes = [box(10 * i, 5, 10 * i + 12, 20) for i in (0, 3, 1, 5, 2)]
    parts = united_polygons(boxes)
    assert len(parts) == 2  # 0 to 3 in a chain, 5 alone
    assert parts[0][:, 0].max() == 42 and parts[1].tolist() == boxes[3].tolist()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(0, 40), st.integers(1, 18), st.integers(1, 18)),
        min_size=1,
        max_size=8,
    )
)
def test_the_outlines_fill_what_the_boxes_fill(rows):
    boxes = [box(x, y, x + w, y + h) for x, y, w, h in rows]
    expected = np.zeros(SIZE, bool)
    for x, y, w, h in rows:
        expected[y : y + h + 1, x : x + w + 1] = True  # borders belong to a filled polygon
    target = united_target(boxes, SIZE)
    assert target.pixels == expected.sum() and target.problem is None
    parts = united_polygons(boxes)
    assert len(target.regions) == len(parts)
    # Holes that boxes enclose are no region's inside, but the outer outline alone is kept.
    assert not (expected & ~filled(parts)).any()


def test_disjoint_label_polygons_score_as_hand_drawn_ones():
    polygons = [box(2, 2, 12.7, 9), np.array([[40.2, 10], [60, 12], [50, 33.9]])]
    united, drawn = united_target(polygons, SIZE), selo_target(polygons, SIZE)
    assert united.pixels == drawn.pixels and np.array_equal(united.regions, drawn.regions)


@pytest.mark.parametrize('protocol', ['reference', 'paper'])
def test_forty_overlapping_boxes_lose_nothing(protocol):
    boxes = [box(x, y, x + 12, y + 9) for x in range(2, 66, 8) for y in range(2, 50, 10)]
    target = united_target(boxes, SIZE, protocol)
    assert target.pixels == filled(boxes).sum()
    assert selo_target(boxes, SIZE).pixels < target.pixels  # what the even-odd rule leaves of them
