"""Overlapping windows over an image of any size, blended without seams, a band of rows at a time.

The windows stand on a grid, so the weight of a window is a product of one along y and one along x, and can be
normalized along each axis before any map is made: the weights of all windows that see a pixel add up to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from xemap.errors import ConfigError
from xemap.raster.raster import Window
from xemap.raster.resize import resize_map

Predict = Callable[[Sequence[Window]], Iterable[np.ndarray | None]]
"""Windows -> (Q, h, w) maps of each, of any resolution, or None where there is nothing to be seen."""


def check_tiling(tile: int, overlap: float) -> None:
    """Raise a ConfigError for settings that no tiling has."""
    if tile < 1:
        raise ConfigError(f'tile={tile}; give the side of a window in pixels, as 1024')
    if not 0 <= overlap < 1:
        raise ConfigError(f'overlap={overlap}; give the share of a window that the next one repeats, in [0, 1)')


def window_starts(length: int, tile: int, overlap: float) -> np.ndarray:
    """First pixels of the fewest windows that cover an axis, evenly spread, overlapping by at least ``overlap``.

    Args:
        length: pixels along the axis.
        tile: pixels of a window; one that is longer than the axis covers it alone.
        overlap: share of a window, in [0, 1).

    Returns:
        (n,) int64, rising from 0 to ``length - tile``.
    """
    check_tiling(tile, overlap)
    last = max(length - tile, 0)
    step = max(1, int(tile * (1 - overlap)))
    return np.rint(np.linspace(0, last, -(-last // step) + 1)).astype(np.int64)


def blend_weights(starts: np.ndarray, tile: int, length: int) -> np.ndarray:
    """Weight of each window at each of its pixels, along one axis.

    A raised cosine, which fades to 0 at the window's ends, divided by the sum over all windows; where only one
    window lies, it is 1.

    Args:
        starts: as from :func:`window_starts`.
        tile: pixels of a window, at most ``length``.
        length: pixels along the axis.

    Returns:
        (n, tile) float32 in (0, 1]; added up at their places they are 1 everywhere.
    """
    bump = np.sin(np.pi * (np.arange(tile) + 0.5) / tile) ** 2
    places = starts[:, None] + np.arange(tile)
    total = np.bincount(places.ravel(), np.tile(bump, len(starts)), minlength=length)
    return (bump / total[places]).astype(np.float32)


def count_tiles(size: tuple[int, int], tile: int, overlap: float) -> int:
    """Number of windows of an image of ``size`` (height, width)."""
    return len(window_starts(size[0], tile, overlap)) * len(window_starts(size[1], tile, overlap))


def tile_windows(size: tuple[int, int], tile: int, overlap: float) -> Iterator[Window]:
    """Windows of an image of ``size`` (height, width), row by row."""
    height, width = size
    lefts = window_starts(width, tile, overlap).tolist()
    for top in window_starts(height, tile, overlap).tolist():
        for left in lefts:
            yield left, top, left + min(tile, width), top + min(tile, height)


def blend_tiles(
    predict: Predict, size: tuple[int, int], queries: int, tile: int = 1024, overlap: float = 0.25
) -> Iterator[tuple[int, np.ndarray]]:
    """Maps of an image from the maps of its windows.

    Memory: the rows that later windows still add to, ``4 * queries * tile * width`` bytes, whatever the height.

    Args:
        predict: called once with all windows, row by row; its results are taken one by one.
        size: (height, width) of the image.
        queries: Q.
        tile: side of the windows in pixels; cut to the image's sides.
        overlap: share of a window that its neighbor repeats, in [0, 1).

    Yields:
        y of the first row, and (Q, rows, width) float32, from top to bottom without a gap. The array is used again
        for the next band: copy what is to be kept. Pixels that only unseen windows cover are 0.
    """
    height, width = size
    tops, lefts = window_starts(height, tile, overlap), window_starts(width, tile, overlap)
    tile_h, tile_w = min(tile, height), min(tile, width)
    down, across = blend_weights(tops, tile_h, height), blend_weights(lefts, tile_w, width)
    open_rows = np.zeros((queries, tile_h, width), np.float32)
    places = [(left, top, left + tile_w, top + tile_h) for top in tops.tolist() for left in lefts.tolist()]
    answered, blank = iter(predict(places)), True
    for i, top in enumerate(tops.tolist()):
        row = places[i * len(lefts) : (i + 1) * len(lefts)]
        for (left, _, right, _), weights in zip(row, across):
            maps = next(answered)
            if maps is None:
                continue
            blank = False
            weight = down[i][:, None] * weights
            for rows, map in zip(open_rows, maps):
                rows[:, left:right] += resize_map(map, (tile_h, tile_w)) * weight
        done = (int(tops[i + 1]) if i + 1 < len(tops) else height) - top
        yield top, open_rows[:, :done]
        if not blank:
            for rows in open_rows:
                rows[: tile_h - done] = rows[done:]
                rows[tile_h - done :] = 0
            blank = not open_rows.any()
