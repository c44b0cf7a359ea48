from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.evaluation.functional import slow_selo
from xemap.evaluation import attention_centers
from xemap.evaluation.functional.centers import smooth

LEVELS = st.sampled_from([0, 1, 127, 128, 200, 255])
MAPS = arrays(np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 24)), elements=LEVELS)


@settings(max_examples=60, deadline=None)
@given(gray=MAPS, before=st.integers(0, 9), after=st.integers(0, 9))
def test_centers_equal_a_plain_search(gray, before, after):
    """Without smoothing and with small windows, where small maps have many peaks and plateaus."""
    fast = attention_centers(gray, smooth_passes=0, window=(before, after), strip=7)
    assert [tuple(c) for c in fast.tolist()] == slow_selo.centers_of(gray, gray, before, after)


@settings(max_examples=10, deadline=None)
@given(shape=st.tuples(st.integers(1, 70), st.integers(1, 70)), seed=st.integers(0, 2**32 - 1), two=st.booleans())
def test_smoothing_is_an_integer_box_filter(shape, seed, two):
    """Sums of 2500 values, rounded half to even; also where the mirror folds more than once."""
    rng = np.random.default_rng(seed)
    gray = rng.integers(0, 256, shape, np.uint8)
    if two:
        gray = np.where(gray % 2, gray.flat[0], 255).astype(np.uint8)
    slow = slow_selo.box_filter(gray, 50)
    np.testing.assert_array_equal(smooth(gray, 1), slow)


@pytest.mark.parametrize('width', [128, 131])
def test_smoothing_rounds_every_tie_to_even(width):
    # Columns k, k + 1, k, k + 1 …: every window of 50 holds 25 of each, so its mean is k + 1/2.
    for k in range(255):
        gray = np.full((60, width), k, np.uint8)
        gray[:, ::2] = k + 1
        inner = smooth(gray, 1)[:, 25:-25]
        assert (inner == k + k % 2).all(), k


def test_real_windows_equal_a_plain_search():
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (9, 17), np.uint8)
    gray = np.kron(coarse, np.ones((90, 90), np.uint8))[:, :1477]
    expected = slow_selo.centers_of(gray, smooth(gray), 500, 499)
    assert len(expected) >= 2
    assert [tuple(c) for c in attention_centers(gray).tolist()] == expected


def two_blocks(distance: int, second: int = 255) -> np.ndarray:
    """Blocks of 60 x 60 whose centers are (299.5, 149.5) and ``distance`` further right."""
    gray = np.zeros((300, 700 + distance), np.uint8)
    gray[120:180, 270:330] = 255
    gray[120:180, 270 + distance : 330 + distance] = second
    return gray


def test_peaks_lie_at_block_centers_shifted_by_the_even_window():
    # Each pass with the window x - 25 .. x + 24 moves everything by + 0.5: 299.5 + 5 * 0.5 = 302.
    assert attention_centers(two_blocks(800)).tolist() == [[302, 152], [1102, 152]]


def test_lower_peak_within_500_pixels_vanishes():
    assert attention_centers(two_blocks(400, second=230)).tolist() == [[302, 152]]
    assert attention_centers(two_blocks(600, second=230)).tolist() == [[302, 152], [902, 152]]


def test_centers_need_half_of_the_scale_before_smoothing():
    assert attention_centers(two_blocks(800, second=127)).tolist() == [[302, 152]]
    assert attention_centers(two_blocks(800, second=128)).tolist() == [[302, 152], [1102, 152]]


@pytest.mark.parametrize('value, expected', [(0, []), (127, []), (128, [[4, 2]]), (255, [[4, 2]])])
def test_constant_map_is_one_plateau(value, expected):
    centers_xy = attention_centers(np.full((6, 9), value, np.uint8))  # centroid (4, 2.5)
    assert centers_xy.tolist() == expected
    assert centers_xy.shape == (len(expected), 2)


def test_ring_has_no_center():
    y, x = np.ogrid[:101, :101]
    distance = np.hypot(x - 50, y - 50)
    ring = np.where((distance > 30) & (distance < 40), 255, 0).astype(np.uint8)
    assert attention_centers(ring, smooth_passes=0).tolist() == []


@pytest.mark.parametrize('upright', [False, True])
def test_window_reaches_500_pixels_back_and_499_ahead(upright):
    gray = np.zeros((20, 1700), np.uint8)
    gray[10, 600] = 255
    gray[10, [100, 1100]] = 200  # the higher one is 500 ahead of the first, 500 behind the second
    expected = [[600, 10], [100, 10]]
    if upright:
        gray, expected = np.ascontiguousarray(gray.T), [[y, x] for x, y in expected]
    assert attention_centers(gray, smooth_passes=0).tolist() == expected


def test_equal_centers_come_in_raster_order_of_their_plateaus():
    gray = np.zeros((40, 40), np.uint8)
    gray[5, 3] = 200
    gray[4:6, 20] = 200  # starts a row earlier
    gray[20:23, 10] = 200
    gray[20, 10:30] = 200
    gray[21, 29] = 200  # same rows and columns as the L, but met later where they do not touch
    gray[20, 20:28] = 0
    centers_xy = attention_centers(gray, smooth_passes=0).tolist()
    assert centers_xy == [[20, 4], [3, 5], [13, 20], [28, 20]]
