"""Coverage from runs equals averaging the pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xemap.structures.run_coverage import coverage_of_runs


def coverage(mask: np.ndarray, out_size: tuple[int, int]) -> np.ndarray:
    changes = np.flatnonzero(np.diff(mask.T.ravel().astype(np.int8), prepend=0))  # column by column, from a run of 0
    return coverage_of_runs(np.diff([0, *changes, mask.size]), mask.shape, out_size)


def plain(mask: np.ndarray, out_size: tuple[int, int]) -> np.ndarray:
    """Every pixel of the mask spread over the output pixels that it overlaps."""
    weights = []
    for length, out in zip(mask.shape, out_size):
        edges = np.arange(length + 1) * out / length
        cells = np.arange(out)[:, None]
        weights.append((np.minimum(edges[1:], cells + 1) - np.maximum(edges[:-1], cells)).clip(0))
    return weights[0] @ mask @ weights[1].T


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 24), st.integers(1, 24), st.integers(1, 24), st.integers(1, 24), st.floats(0, 1), st.integers(0, 99)
)
def test_equals_the_areas_of_the_pixels(height, width, out_h, out_w, share, seed):
    mask = np.random.default_rng(seed).random((height, width)) < share
    out_size = min(height, out_h), min(width, out_w)
    np.testing.assert_allclose(coverage(mask, out_size), plain(mask, out_size), atol=1e-6)


@pytest.mark.parametrize('size', [(700, 900), (1000, 512), (512, 512)])
def test_equals_opencv_on_large_shapes(size):
    mask = np.zeros(size, np.uint8)
    cv2.circle(mask, (300, 400), 250, 1, -1)
    cv2.circle(mask, (300, 350), 60, 0, -1)
    mask[:, 380:420] = 1  # runs over several columns
    expected = cv2.resize(mask.astype(np.float32), (128, 100), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(coverage(mask, (100, 128)), expected, atol=1e-5)


def test_nothing_and_everything():
    for value in (0, 1):
        mask = np.full((30, 50), value, np.uint8)
        np.testing.assert_array_equal(coverage(mask, (30, 50)), mask)
        assert np.ptp(coverage(mask, (7, 9))) < 1e-6 and abs(coverage(mask, (7, 9))[0, 0] - value) < 1e-6
