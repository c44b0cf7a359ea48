"""MCMG against a plain reference that visits every cell and every pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import gaussian_filter

from xemap.datasets.mcmg import GRIDS, SIGMA, correlation_map, correlation_maps, grid_overlap
from xemap.errors import ConfigError

MASKS = hnp.arrays(bool, st.tuples(st.integers(1, 23), st.integers(1, 23)))
COVERAGE = hnp.arrays(np.float32, st.tuples(st.integers(1, 17), st.integers(1, 17)), elements=st.floats(0, 1, width=16))
GRID_LISTS = st.lists(st.integers(1, 12), min_size=1, max_size=3)


def shared_area(cell: tuple[float, float, float, float], y: int, x: int) -> float:
    """Area that the cell (y0, y1, x0, x1) shares with pixel (y, x)."""
    y0, y1, x0, x1 = cell
    return max(0.0, min(y1, y + 1) - max(y0, y)) * max(0.0, min(x1, x + 1) - max(x0, x))


def reference_grid(mask: np.ndarray, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Eq. (5) cell by cell, and the grid brought back to pixels; both from areas of rectangles."""
    height, width = mask.shape
    ratios, pixels = np.zeros((cells, cells)), np.zeros(mask.shape)
    for p in range(cells):
        for q in range(cells):
            cell = (p * height / cells, (p + 1) * height / cells, q * width / cells, (q + 1) * width / cells)
            areas = np.array([[shared_area(cell, y, x) for x in range(width)] for y in range(height)])
            ratios[p, q] = (areas * mask).sum() / (height * width / cells**2)
            pixels += areas * ratios[p, q]
    return ratios, pixels


def overlap(length: int, cells: int) -> np.ndarray:
    """(cells, length): length that each cell shares with each pixel along one axis."""
    edges = [i * length / cells for i in range(cells + 1)]
    return np.array([[max(0, min(b, k + 1) - max(a, k)) for k in range(length)] for a, b in zip(edges, edges[1:])])


def reference_map(mask: np.ndarray, grids, sigma: float) -> np.ndarray:
    mean = np.mean([reference_grid(mask, cells)[1] for cells in grids], axis=0)
    if sigma:
        mean = gaussian_filter(mean, (sigma * mask.shape[0], sigma * mask.shape[1]), mode='reflect')
    return mean / mean.max() if mean.max() > 0 else mean


@settings(max_examples=40, deadline=None)
@given(mask=st.one_of(MASKS, COVERAGE), cells=st.integers(1, 12))
def test_overlap_ratio_is_exact(mask, cells) -> None:
    np.testing.assert_allclose(grid_overlap(mask, cells), reference_grid(mask, cells)[0], atol=1e-6)


def test_overlap_ratio_by_hand() -> None:
    mask = np.zeros((3, 3), bool)
    mask[0, 0] = mask[1, 1] = True
    # Cells of 1.5 x 1.5 pixels: the first holds pixel (0, 0) and a quarter of the middle one.
    np.testing.assert_allclose(grid_overlap(mask, 2), np.array([[1.25, 0.25], [0.25, 0.25]]) / 2.25, rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(mask=st.one_of(MASKS, COVERAGE), grids=GRID_LISTS, sigma=st.sampled_from([0.0, 0.01, 0.1]))
def test_map_equals_the_reference(mask, grids, sigma) -> None:
    result = correlation_map(mask, grids, sigma)
    assert result.dtype == np.float32 and result.shape == mask.shape
    np.testing.assert_allclose(result, reference_map(mask, grids, sigma), atol=2e-5)


def test_map_equals_the_reference_with_defaults() -> None:
    mask = np.zeros((67, 90), bool)
    mask[20:41, 31:33] = mask[50:, 60:] = True
    mean = np.zeros(mask.shape)
    for cells in GRIDS:  # the same reference, separable to be fast enough here
        rows, columns = (overlap(n, cells) for n in mask.shape)
        mean += rows.T @ (rows @ mask @ columns.T * cells**2 / mask.size) @ columns / len(GRIDS)
    mean = gaussian_filter(mean, (SIGMA * 67, SIGMA * 90), mode='reflect')
    np.testing.assert_allclose(correlation_map(mask), mean / mean.max(), atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(mask=MASKS, grids=GRID_LISTS)
def test_range_and_symmetry(mask, grids) -> None:
    result = correlation_map(mask, grids)
    assert result.min() >= 0 and result.max() == (1 if mask.any() else 0)
    np.testing.assert_allclose(correlation_map(mask[:, ::-1], grids), result[:, ::-1], atol=1e-5)
    np.testing.assert_allclose(correlation_map(mask[::-1], grids), result[::-1], atol=1e-5)
    np.testing.assert_allclose(correlation_map(mask.T, grids), result.T, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(mask=MASKS, more=st.data(), cells=st.integers(1, 12))
def test_a_larger_region_covers_no_cell_less(mask, more, cells) -> None:
    larger = mask | more.draw(hnp.arrays(bool, mask.shape))
    assert (grid_overlap(larger, cells) >= grid_overlap(mask, cells) - 1e-6).all()


def test_moving_the_region_by_whole_cells_moves_the_map() -> None:
    mask = np.zeros((128, 192), bool)
    mask[50:61, 70:75] = True
    moved = np.roll(mask, (16, -24), axis=(0, 1))  # one cell of 8 a side
    result = correlation_map(mask, (8, 16, 32))
    np.testing.assert_allclose(correlation_map(moved, (8, 16, 32)), np.roll(result, (16, -24), axis=(0, 1)), atol=1e-5)


def test_the_map_means_the_same_at_every_size() -> None:
    mask = np.zeros((64, 64), bool)
    mask[10:30, 20:24] = True
    large = correlation_map(np.kron(mask, np.ones((4, 4), bool)))
    means = large.reshape(64, 4, 64, 4).mean((1, 3))
    np.testing.assert_allclose(means / means.max(), correlation_map(mask), atol=0.06)


@pytest.mark.parametrize('shape', [(512, 512), (37, 501), (1, 1)])
def test_empty_and_full(shape) -> None:
    assert (correlation_map(np.zeros(shape, bool)) == 0).all()
    np.testing.assert_allclose(correlation_map(np.ones(shape, bool)), 1, atol=1e-5)
    np.testing.assert_allclose(correlation_map(np.full(shape, 0.25, np.float32)), 1, atol=1e-5)


@pytest.mark.parametrize('thing', ['dot', 'block', 'line'])
def test_target_peaks_inside_and_fades_outside(thing) -> None:
    mask = np.zeros((512, 512), bool)
    if thing == 'dot':
        mask[200:212, 301:313] = True
    elif thing == 'block':
        mask[60:200, 100:300] = True
    else:
        mask[251:259] = True
    result = correlation_map(mask)
    assert mask[np.unravel_index(result.argmax(), mask.shape)]
    assert result[mask].mean() > 0.7 and result[~mask].mean() < 0.07
    assert (result > 0.5).sum() < 3.5 * mask.sum()


def test_many_equal_one_by_one() -> None:
    masks = np.random.default_rng(0).random((5, 40, 50)) < 0.2
    masks[2] = False
    together = correlation_maps(masks)
    for mask, result in zip(masks, together):
        np.testing.assert_array_equal(correlation_map(mask), result)
        np.testing.assert_array_equal(correlation_map(mask.astype(np.uint8)), result)
    assert correlation_maps(masks[:0]).shape == (0, 40, 50)
    in_place = masks.astype(np.float32)
    assert correlation_maps(in_place, out=in_place) is in_place and np.array_equal(in_place, together)


@pytest.mark.parametrize('options', [{'grids': ()}, {'grids': (0,)}, {'grids': (2.5,)}, {'sigma': -0.1}, {'sigma': 3}])
def test_bad_options(options) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        correlation_map(np.ones((4, 4), bool), **options)


@pytest.mark.parametrize('shape', [(4,), (2, 4, 4), (0, 4)])
def test_bad_shapes(shape) -> None:
    with pytest.raises(ValueError, match='expected'):
        correlation_map(np.ones(shape, bool))
