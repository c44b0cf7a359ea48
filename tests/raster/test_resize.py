from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xemap.datasets.transforms import ResizeImage
from xemap.raster.resize import fit_size, resize, resize_map
from xemap.structures import MaskRegion

SIDE = st.integers(1, 14)


def weights(length: int, parts: int) -> np.ndarray:
    """(parts, length): shares of pixels in the mean over each part, or of the two nearest centers."""
    made = np.zeros((parts, length))
    for part in range(parts):
        if parts <= length:
            low, high = part * length / parts, (part + 1) * length / parts
            for pixel in range(length):
                made[part, pixel] = max(0.0, min(high, pixel + 1) - max(low, pixel)) / (high - low)
        else:
            center = min(max((part + 0.5) * length / parts - 0.5, 0), length - 1)
            below = int(center)
            made[part, below] += 1 - (center - below)
            made[part, min(below + 1, length - 1)] += center - below
    return made


@settings(max_examples=80, deadline=None)
@given(SIDE, SIDE, SIDE, SIDE)
def test_each_side_has_its_own_filter(h, w, height, width):
    image = np.random.default_rng(h * 100 + w).random((h, w), dtype=np.float32)
    expected = weights(h, height) @ image @ weights(w, width).T
    np.testing.assert_allclose(resize(image, (height, width)), expected, atol=1e-5)


def test_thin_columns_survive_where_one_side_grows():
    image = np.zeros((400, 4000), bool)
    image[:, [700, 2000, 3333]] = True
    coverage = MaskRegion.from_mask(image).coverage(image.shape, (512, 512))
    assert coverage.sum() * 400 * 4000 / 512**2 == pytest.approx(3 * 400, rel=1e-5)
    assert (coverage.max(0) > 0).sum() <= 6 and coverage.max() <= 512 / 4000 + 1e-6
    rgb = np.repeat(image[..., None], 3, 2).astype(np.uint8) * 255
    resized = ResizeImage((512, 512)).transform({'img': rgb})['img']
    np.testing.assert_allclose(resized[..., 0] / 255, coverage, atol=0.5 / 255 + 1e-6)


def test_mirrored_masks_are_covered_alike():
    mask = np.random.default_rng(0).random((30, 200)) < 0.2
    region = MaskRegion.from_mask(mask).flipped(mask.shape, 'horizontal')
    again = MaskRegion.from_mask(mask[:, ::-1])
    expected = again.coverage(mask.shape, (64, 64))
    np.testing.assert_allclose(region.coverage(mask.shape, (64, 64)), expected, atol=1e-6)


def test_maps_are_resized_as_the_evaluator_does():
    map = np.random.default_rng(0).random((9, 40), dtype=np.float32)
    np.testing.assert_array_equal(resize_map(map, (30, 7)), cv2.resize(map, (7, 30), interpolation=cv2.INTER_LINEAR))
    assert resize_map(map, (9, 40)) is map


@pytest.mark.parametrize(
    'size, side, enlarge, expected',
    [((100, 50), 10, False, (10, 5)), ((3, 2), 10, False, (3, 2)), ((3, 2), 9, True, (9, 6)),
     ((1, 5000), 100, False, (1, 100))],
)  # fmt: skip
def test_sizes_keep_their_proportions(size, side, enlarge, expected):
    assert fit_size(size, side, enlarge) == expected
