from __future__ import annotations

import numpy as np
import pytest

from xemap.errors import DataError
from xemap.visualization import colorize, draw_outlines, overlay, scale_polygons, shrink


def test_scale_is_fixed_and_monotone():
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[None]
    colors = colorize(ramp)[0]
    luma = colors @ [0.299, 0.587, 0.114]
    assert colors.shape == (256, 3) and luma[0] < 5 and luma[-1] > 240
    assert (np.diff(luma) > -1.0).all()  # brighter means more, to rounding
    faint = np.full((4, 4), 0.11, np.float32)
    faint[0, 0] = 0.0
    assert (colorize(faint)[1, 1] == colors[28]).all()  # not stretched to its own maximum


def test_uint8_float_and_values_outside_agree():
    levels = np.arange(256, dtype=np.uint8)[None]
    assert (colorize(levels) == colorize(levels / 255.0)).all()
    odd = np.array([[-1.0, 2.0, np.nan]])
    assert (colorize(odd) == colorize(np.array([[0, 255, 0]], np.uint8))).all()


def test_overlay_weighs_map_and_gray_image():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (20, 30, 3)).astype(np.uint8)
    before = image.copy()
    map = rng.random((20, 30)).astype(np.float32)
    assert (overlay(image, map, alpha=1.0) == colorize(map)).all()
    gray = overlay(image, map, alpha=0.0)
    assert (gray[..., 0] == gray[..., 1]).all() and (gray[..., 1] == gray[..., 2]).all()
    assert (image == before).all()


@pytest.mark.parametrize('size', [(5, 7), (40, 60), (40, 7)])
def test_map_of_any_size_covers_the_image(size):
    map = np.zeros(size, np.float32)
    map[:, -max(1, size[1] // 3) :] = 1  # the right third
    drawn = overlay(np.zeros((20, 30, 3), np.uint8), map, alpha=1.0).sum(-1)
    assert drawn.shape == (20, 30)
    assert drawn[:, -2].min() > drawn[:, 2].max()


def test_wrong_shapes_are_named():
    with pytest.raises(DataError, match=r'map \(2, 3, 4\) on an image \(5, 6, 3\)'):
        overlay(np.zeros((5, 6, 3), np.uint8), np.zeros((2, 3, 4)))


def test_outlines_are_drawn_on_a_copy():
    image = np.full((50, 50, 3), 255, np.uint8)
    drawn = draw_outlines(image, [np.array([(10, 10), (40, 10), (40, 40), (10, 40)])])
    assert (image == 255).all()
    assert tuple(drawn[25, 10]) == (0, 255, 255)  # on the left edge
    assert (drawn[25, 25] == 255).all() and (drawn[5, 5] == 255).all()
    assert (draw_outlines(image, []) == image).all()


def test_shrink_keeps_proportions_and_never_enlarges():
    assert shrink(np.zeros((1000, 2000, 3), np.uint8), 100).shape == (50, 100, 3)
    assert shrink(np.zeros((3, 10000, 3), np.uint8), 100).shape == (1, 100, 3)
    small = np.zeros((10, 20, 3), np.uint8)
    assert shrink(small, 100) is small


def test_polygons_follow_a_resize():
    """The corner pixels of an image stay corner pixels."""
    polygon = np.array([(-0.5, -0.5), (99.5, -0.5), (99.5, 49.5)])
    (scaled,) = scale_polygons([polygon], (50, 100), (10, 200))
    np.testing.assert_allclose(scaled, [(-0.5, -0.5), (199.5, -0.5), (199.5, 9.5)])
