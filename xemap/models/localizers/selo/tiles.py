"""Which slices of an image the SeLo generators look at.

A slice is a row x0, y0, x1, y1 of an int64 array: pixels x0 <= x < x1 and y0 <= y < y1, origin top left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

Box = tuple[int, int, int, int]


def sliding_tiles(size: tuple[int, int], scales: Sequence[int], passes: Sequence[float] = (0.0, 0.5)) -> np.ndarray:
    """Square tiles side by side, over the whole image, in several passes; eq. (3) of the SeLo paper.

    A pass starts ``int(scale * shift)`` pixels from the top and from the left. A tile that would cross the
    right or lower edge is moved back to end there. A tile longer than a side of the image takes that
    whole side. Tiles that come out equal count once, across scales and passes too.

    Args:
        size: (height, width) of the image.
        scales: sides of the tiles in pixels.
        passes: shift of each pass as a share of the tile, in [0, 1).

    Returns:
        (N, 4), by scale, pass, row, column.
    """
    height, width = size
    tiles: list[Box] = []
    for scale in scales:
        for shift in passes:
            offset = int(scale * shift)
            columns = _intervals(width, scale, offset)
            tiles += [(x0, y0, x1, y1) for y0, y1 in _intervals(height, scale, offset) for x0, x1 in columns]
    return unique_boxes(tiles)


def refining_boxes(tile: Sequence[int], size: tuple[int, int], sides: Sequence[int]) -> list[Box]:
    """Boxes around nine anchors of a tile: its corners, its quarter points, its center (SeLo v2).

    Args:
        tile: x0, y0, x1, y1.
        size: (height, width) of the image, which cuts the boxes.
        sides: sides of the boxes in pixels.
    """
    height, width = size
    x0, y0, x1, y1 = (int(edge) for edge in tile)
    quarter_x, quarter_y = (x1 - x0) // 4, (y1 - y0) // 4
    corners = [(x, y) for y in (y0, y1) for x in (x0, x1)]
    inner = [(x, y) for y in (y0 + quarter_y, y0 + 3 * quarter_y) for x in (x0 + quarter_x, x0 + 3 * quarter_x)]
    center = (x0 + (x1 - x0) // 2, y0 + (y1 - y0) // 2)
    return [
        (max(x - side // 2, 0), max(y - side // 2, 0), min(x + side // 2, width), min(y + side // 2, height))
        for x, y in (*corners, *inner, center)
        for side in sides
    ]


def unique_boxes(boxes: Iterable[Sequence[int]]) -> np.ndarray:
    """Boxes without repetitions, in order of first appearance, as (N, 4) int64."""
    distinct = dict.fromkeys(tuple(int(edge) for edge in box) for box in boxes)
    return np.array(list(distinct), np.int64).reshape(-1, 4)


def _intervals(length: int, step: int, offset: int) -> list[tuple[int, int]]:
    if length <= step:
        return [(0, length)]
    ends = (min(start + step, length) for start in range(offset, length, step))
    return [(end - step, end) for end in ends]
