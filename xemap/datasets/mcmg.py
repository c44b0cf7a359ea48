"""Multiscale Correlation Map Generation (MCMG, XeMap paper, section IV.B): a mask becomes a soft target.

1. Grid overlap, eq. (5) with numerator and denominator as the text has them (they are printed upside
   down): ``E_i(p, q) = Intersect[G_i(p, q), M] / A_i``, the covered share of cell (p, q) of grid i.
2. Aggregation: every grid is brought back to pixels (a pixel takes the value of the cell it lies in;
   one that lies in several takes their mean by area) and the grids are averaged.
3. Enhancement: a Gaussian, mirrored at the border, then division by the maximum. The paper's range
   0..255 is [0, 1] here. Only the scale changes, an empty part stays 0, so no minimum is subtracted:
   that would invent contrast where a region fills nearly the whole image.

A grid of g cells divides each side into g equal parts, whether or not g divides the number of pixels;
overlaps are exact areas. Grids and sigma are relative to the image's sides and so mean the same at
every size. The paper gives neither; :data:`GRIDS` and :data:`SIGMA` are our defaults.

An all-empty mask gives zeros, an all-full one gives ones.

Everything before the division is linear and separable, so a map is ``sum_i B_y E_i B_x'`` with small
matrices that depend on the size only; they are built once per size and kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import csr_array

from xemap.errors import ConfigError

GRIDS = (8, 16, 32, 64)
"""Default number of cells along each side, one entry a grid: those of the network's four feature levels
(strides 64, 32, 16, 8 at 512 x 512), whose mean the HMSA head predicts."""

SIGMA = 0.01
"""Default standard deviation of the Gaussian, as a fraction of each side: it hides the cell borders of the
finest default grid, and the peak of a target stays inside its region down to that grid's cell size."""


def correlation_map(mask: np.ndarray, grids: Sequence[int] = GRIDS, sigma: float = SIGMA) -> np.ndarray:
    """Correlation map of one region.

    Args:
        mask: (H, W) bool, 0/1, or float share in [0, 1] of each pixel that the region covers.
        grids: cells along each side, one entry a grid.
        sigma: standard deviation of the Gaussian as a fraction of each side; 0 leaves it out.

    Returns:
        (H, W) float32 in [0, 1]; the maximum is 1 unless the mask is empty, then all is 0.

    Raises:
        ConfigError: no grid, a grid that is not a positive integer, or a negative sigma.
        ValueError: ``mask`` is not two-dimensional or is empty.
    """
    mask = np.asarray(mask)
    if mask.ndim != 2:
        raise ValueError(f'mask of shape {mask.shape}; expected (H, W)')
    return correlation_maps(mask[None], grids, sigma)[0]


def correlation_maps(
    masks: np.ndarray, grids: Sequence[int] = GRIDS, sigma: float = SIGMA, out: np.ndarray | None = None
) -> np.ndarray:
    """:func:`correlation_map` of each of (Q, H, W) masks, as (Q, H, W) float32.

    ``out`` is an array of that kind to write to; it may be ``masks``, which is then overwritten.
    """
    masks = np.asarray(masks)
    if masks.ndim != 3 or 0 in masks.shape[1:]:
        raise ValueError(f'masks of shape {masks.shape}; expected (Q, H, W) with H, W > 0')
    cells = _check(tuple(grids), sigma)
    height, width = masks.shape[1:]
    rows, columns = _operators(height, cells, float(sigma)), _operators(width, cells, float(sigma))
    maps = np.empty(masks.shape, np.float32) if out is None else out
    for mask, made in zip(masks, maps):
        lines = rows.collect @ mask.astype(np.float32, copy=False)
        pieces = (columns.collect @ lines.T).T
        levels = sum(r @ pieces @ c.T for r, c in zip(rows.average, columns.average))
        np.matmul(rows.spread @ levels, columns.spread.T, out=made)
        peak = made.max()
        # An empty mask gives exact zeros; anything else a positive peak.
        if peak > 0:
            made /= peak
    return maps  # within [0, 1]: nothing above is negative, and a number over a larger one does not round past 1


def grid_overlap(mask: np.ndarray, cells: int) -> np.ndarray:
    """Eq. (5): the share of each cell that the mask covers.

    Args:
        mask: (H, W) bool, 0/1, or float coverage in [0, 1].
        cells: cells along each side.

    Returns:
        (cells, cells) float32 in [0, 1].
    """
    _check((cells,), 0.0)
    height, width = mask.shape
    rows, columns = (overlap_lengths(n, _grid_edges(n, cells)) * (cells / n) for n in (height, width))
    return (rows @ mask @ columns.T).astype(np.float32)


def _check(grids: tuple[int, ...], sigma: float) -> tuple[int, ...]:
    if not grids or any(int(g) != g or g < 1 for g in grids):
        raise ConfigError(f'grids={grids!r}; give one or more positive integers, the cells along each side')
    if not 0 <= sigma < 1:
        raise ConfigError(f'sigma={sigma!r}; give a fraction of the image side, 0 <= sigma < 1')
    return tuple(int(g) for g in grids)


class _Operators:
    """The one-dimensional parts of the map for one side length n and U pieces.

    The edges of all grids together cut a side into U pieces, so that every cell is a union of pieces.

    - ``collect`` (U, n), sparse: pixels -> covered length of each piece.
    - ``average``: per grid, (U, U): covered length of pieces -> share of the cell that each piece lies in.
    - ``spread`` (n, U): pieces -> pixels by area, then the Gaussian.
    """

    def __init__(self, length: int, grids: tuple[int, ...], sigma: float) -> None:
        edges = _union_edges(length, grids)
        overlap = overlap_lengths(length, edges)
        self.collect = csr_array(overlap, dtype=np.float32)  # a pixel lies in a piece or a few
        middles = (edges[1:] + edges[:-1]) / 2
        self.average = []
        for cells in grids:
            owner = np.floor(middles * cells / length)
            same_cell = owner[:, None] == owner[None, :]
            # A grid's weight 1 / len(grids) is split over both axes.
            scale = cells / length / np.sqrt(len(grids))
            self.average.append((same_cell * scale).astype(np.float32))
        spread = overlap.T
        if sigma > 0:
            spread = gaussian_filter1d(spread, sigma * length, axis=0, mode='reflect')
        self.spread = spread.astype(np.float32)


_operators = lru_cache(maxsize=16)(_Operators)


def _grid_edges(length: int, cells: int) -> np.ndarray:
    return np.arange(cells + 1) * length / cells


def _union_edges(length: int, grids: tuple[int, ...]) -> np.ndarray:
    edges = np.sort(np.concatenate([_grid_edges(length, cells) for cells in grids]))
    # Equal fractions may differ by rounding; distinct ones are at least 1 / (g h) of the side apart.
    gap = length / max(grids) ** 2 / 2
    return edges[np.concatenate([[True], np.diff(edges) > gap])]


def overlap_lengths(length: int, edges: np.ndarray) -> np.ndarray:
    """(len(edges) - 1, length): length of each unit pixel that lies between each edge and the next."""
    pixels = np.arange(length)
    low = np.maximum(edges[:-1, None], pixels[None])
    high = np.minimum(edges[1:, None], pixels[None] + 1)
    return np.maximum(high - low, 0)
