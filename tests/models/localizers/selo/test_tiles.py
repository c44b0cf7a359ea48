from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.localizers.selo import slow
from xemap.models.localizers.selo.tiles import refining_boxes, sliding_tiles

sides = st.integers(1, 60)


def as_tuples(boxes: np.ndarray) -> list[tuple[int, ...]]:
    return [tuple(box) for box in boxes.tolist()]


def test_the_tiles_of_a_small_example():
    tiles = as_tuples(sliding_tiles((5, 10), (4,)))
    first = [(x, y, x + 4, y + 4) for y in (0, 1) for x in (0, 4, 6)]
    second = [(x, y, x + 4, y + 4) for y in (1,) for x in (2, 6)]  # (6, 1) is there already
    assert tiles == first + second[:1]


@settings(max_examples=100, deadline=None)
@given(sides, sides, st.lists(st.integers(5, 40), min_size=1, max_size=3))
def test_tiles_are_those_of_the_protocol(height, width, scales):
    tiles = sliding_tiles((height, width), scales)
    assert as_tuples(tiles) == slow.tiles((height, width), scales, lambda step: (0, int(step / 2)))
    covered = np.zeros((height, width), bool)
    for x0, y0, x1, y1 in tiles:
        assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
        covered[y0:y1, x0:x1] = True
    assert covered.all()


@pytest.mark.parametrize('size', [(1, 700), (700, 1), (1, 1), (255, 257)])
def test_a_side_shorter_than_a_tile_is_taken_whole(size):
    tiles = sliding_tiles(size, (256, 512, 768))
    assert (tiles[:, 2] - tiles[:, 0] <= np.minimum(size[1], 768)).all()
    short = 1 if size[0] < 256 else 0
    if min(size) < 256:
        assert (tiles[:, short] == 0).all() and (tiles[:, short + 2] == min(size)).all()
    if max(size) < 256:
        assert len(tiles) == 1  # equal tiles of all scales and passes count once


def test_boxes_around_the_nine_anchors():
    boxes = refining_boxes((512, 0, 1024, 512), (1000, 1024), (128, 256))
    assert len(boxes) == 18
    assert boxes[:4] == [
        (448, 0, 576, 64),
        (384, 0, 640, 128),
        (960, 0, 1024, 64),
        (896, 0, 1024, 128),
    ]  # upper corners
    centers = {((x0 + x1) / 2, (y0 + y1) / 2) for x0, y0, x1, y1 in boxes[8:]}
    assert centers == {(640, 128), (896, 128), (640, 384), (896, 384), (768, 256)}
