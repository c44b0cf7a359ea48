from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.models.localizers.selo import slow
from xemap.models.localizers.selo.filters import gaussian_filter, median_filter
from xemap.models.localizers.selo.stacking import CellMap

SIZES = [(1, 1), (1, 40), (40, 1), (2, 3), (13, 20)]


def random_cells(size: tuple[int, int], seed: int = 0) -> CellMap:
    rng = np.random.default_rng(seed)
    edges = [np.unique([0, n, *rng.integers(0, n + 1, 6)]) for n in size]
    values = rng.integers(0, 256, (len(edges[0]) - 1, len(edges[1]) - 1)).astype(np.uint8)
    return CellMap(values, *edges)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('window', [1, 3, 15, 251])
def test_the_median_is_that_of_each_window(size, window):
    cells = random_cells(size)
    assert np.array_equal(median_filter(cells, window), slow.median(cells.pixels(), window))


def test_the_median_of_a_map_larger_than_its_window():
    cells = random_cells((300, 290))
    filtered, padded = median_filter(cells, 251), np.pad(cells.pixels(), 125, mode='edge')
    for y, x in [(0, 0), (299, 289), (150, 140), (3, 200), (124, 126)]:
        assert filtered[y, x] == np.median(padded[y : y + 251, x : x + 251])


@pytest.mark.parametrize('size', [*SIZES, (700, 300), (1300, 20)])
@pytest.mark.parametrize('window', [1, 3, 31, 255])
def test_the_blur_on_cells_is_opencvs_to_the_last_bit(size, window):
    for seed in range(3):
        cells = random_cells(size, seed)
        assert np.array_equal(gaussian_filter(cells, window), cv2.GaussianBlur(cells.pixels(), (window, window), 0))


def test_the_blur_is_a_gaussian_of_the_sigma_that_follows_from_its_size():
    cells = random_cells((500, 400))
    sigma = 0.3 * ((255 - 1) * 0.5 - 1) + 0.8
    exact = cv2.GaussianBlur(cells.pixels().astype(np.float64), (255, 255), sigma)
    assert np.abs(gaussian_filter(cells, 255) - exact).max() < 3  # levels: OpenCV's 8-bit weights are coarse
