"""Coverage of a resized image by a mask, from the mask's runs: without its pixels."""

from __future__ import annotations

import numpy as np


def coverage_of_runs(runs: np.ndarray, size: tuple[int, int], out_size: tuple[int, int]) -> np.ndarray:
    """Share of every output pixel that a mask covers, as averaging its pixels' areas would give it.

    Time follows the number of runs and the output, not the size of the mask.

    Args:
        runs: (n,) int64, lengths of the alternating runs of 0 and 1, down the columns one after another,
            starting with 0; they add up to height * width.
        size: (height, width) of the mask.
        out_size: (height, width) of the output, not larger than the mask.

    Returns:
        ``out_size`` float32 in [0, 1].
    """
    (height, width), (out_h, out_w) = size, out_size
    edges = np.cumsum(runs)[: len(runs) // 2 * 2].reshape(-1, 2)
    start, end = edges[edges[:, 0] < edges[:, 1]].T
    # A run may go on in the next columns: one piece for each column.
    first, last = start // height, (end - 1) // height
    counts = last - first + 1
    run = np.repeat(np.arange(len(start)), counts)
    column = np.arange(len(run)) - np.repeat(np.cumsum(counts) - counts, counts) + first[run]
    top = np.maximum(start[run] - column * height, 0)
    bottom = np.minimum(end[run] - column * height, height)

    # A column covers parts of one or two output columns.
    left, right = column * (out_w / width), (column + 1) * (out_w / width)
    near = np.minimum(column * out_w // width, out_w - 1)
    beyond = np.clip(right - (near + 1), 0, None)
    grid = np.zeros((out_h + 2) * (out_w + 1))
    for row, sign in ((top, 1.0), (bottom, -1.0)):
        # From an edge on downwards every row is covered; the row that it lies in, by its rest.
        whole, rest = np.divmod(row * out_h, height)
        rest = rest / height
        for below, by_row in ((0, 1 - rest), (1, rest)):
            for beside, by_column in ((0, right - left - beyond), (1, beyond)):
                place = (whole + below) * (out_w + 1) + near + beside
                grid += np.bincount(place, sign * by_row * by_column, grid.size)
    covered = np.cumsum(grid.reshape(out_h + 2, out_w + 1), axis=0)[:out_h, :out_w]
    return covered.clip(0, 1).astype(np.float32)
