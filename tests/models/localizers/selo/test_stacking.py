from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.localizers.selo import slow
from xemap.models.localizers.selo.stacking import CellMap, stack_slices, to_gray


@st.composite
def slices(draw):
    height, width = draw(st.integers(1, 30)), draw(st.integers(1, 30))
    boxes = []
    for _ in range(draw(st.integers(1, 12))):
        x0, y0 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
        boxes.append((x0, y0, draw(st.integers(x0 + 1, width)), draw(st.integers(y0 + 1, height))))
    values = draw(st.lists(st.floats(-1, 1), min_size=len(boxes), max_size=len(boxes)))
    return (height, width), np.array(boxes, np.int64), np.array(values)


@settings(max_examples=150, deadline=None)
@given(slices())
def test_cells_equal_a_loop_over_pixels_to_the_last_bit(case):
    size, boxes, values = case
    cells = stack_slices(boxes, values, size)
    expected = slow.stack(boxes.tolist(), values.tolist(), size)
    assert np.array_equal(cells.pixels(), expected)
    levels = to_gray(cells).pixels()
    assert levels.dtype == np.uint8
    assert np.array_equal(levels, slow.gray(expected))


def test_a_pixel_without_a_slice_is_zero_even_below_zero():
    cells = stack_slices(np.array([[0, 0, 2, 2]]), np.array([-0.5]), (3, 4))
    assert cells.pixels()[0, 0] == -0.5 and cells.pixels()[2, 3] == 0
    assert to_gray(cells).pixels()[0, 0] == 0 and to_gray(cells).pixels()[2, 3] == 255


def test_levels_are_truncated_and_a_constant_map_is_zero():
    edges = np.arange(4)
    assert to_gray(CellMap(np.array([[0.0, 0.9999, 1.0]]), edges[:2], edges)).values.tolist() == [[0, 254, 255]]
    assert to_gray(CellMap(np.full((1, 3), 0.7), edges[:2], edges)).values.tolist() == [[0, 0, 0]]
