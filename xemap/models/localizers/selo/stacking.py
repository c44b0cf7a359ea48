"""From the similarities of slices to one map.

The edges of all slices cut the image into cells within which the map is constant: some 60 x 60 of them
for a 3000 x 3000 image. Everything up to the filter is computed on cells, so its cost does not depend on
the number of pixels, and a full-size array of floats is never made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class CellMap:
    """A map that is constant within the cells of a grid.

    Args:
        values: (Y, X), one a cell.
        rows: (Y + 1,) rising y of the cells' edges, from 0 to the height.
        columns: (X + 1,) rising x of the cells' edges, from 0 to the width.
    """

    values: np.ndarray
    rows: np.ndarray
    columns: np.ndarray

    def pixels(self) -> np.ndarray:
        """(H, W), of the values' type."""
        return self.values.repeat(np.diff(self.columns), 1).repeat(np.diff(self.rows), 0)


def stack_slices(boxes: np.ndarray, similarity: np.ndarray, size: tuple[int, int]) -> CellMap:
    """Mean similarity of the slices that cover a pixel, 0 where none does; the inner part of eq. (4).

    Sums are taken slice by slice in the given order, so that they equal those of a loop over full-size
    arrays to the last bit.

    Args:
        boxes: (N, 4) x0, y0, x1, y1 within the image.
        similarity: (N,) of the slices.
        size: (height, width) of the image.

    Returns:
        float64 values.
    """
    rows = np.unique(np.concatenate([[0, size[0]], boxes[:, 1], boxes[:, 3]]))
    columns = np.unique(np.concatenate([[0, size[1]], boxes[:, 0], boxes[:, 2]]))
    left, right = (np.searchsorted(columns, boxes[:, i]).tolist() for i in (0, 2))
    top, bottom = (np.searchsorted(rows, boxes[:, i]).tolist() for i in (1, 3))
    total = np.zeros((len(rows) - 1, len(columns) - 1))
    count = np.zeros(total.shape, np.int64)
    for x0, y0, x1, y1, value in zip(left, top, right, bottom, similarity.tolist()):
        total[y0:y1, x0:x1] += value
        count[y0:y1, x0:x1] += 1
    return CellMap(total / np.maximum(count, 1), rows, columns)


def to_gray(map: CellMap) -> CellMap:
    """Stretched to 0..255 and truncated to uint8; a constant map becomes 0."""
    values = map.values - map.values.min()
    top = values.max()
    return replace(map, values=(values / top * 255).astype(np.uint8) if top > 0 else values.astype(np.uint8))
