from __future__ import annotations

import colorsys

import numpy as np
import pytest

from xemap.language.colors import COLORS, color_verdicts, inner_pixels, to_hsv
from xemap.language.verdicts import DOUBT, NO, YES


def verdicts(*parts: tuple[int, tuple[int, int, int]]) -> dict[str, int]:
    pixels = np.concatenate([np.tile(np.array(rgb, np.uint8), (count, 1)) for count, rgb in parts])
    return {name: int(verdict[0]) for name, verdict in color_verdicts([pixels]).items()}


@pytest.mark.parametrize(
    'name, rgb',
    [
        ('red', (200, 40, 40)),
        ('red', (180, 60, 70)),
        ('brown', (110, 78, 45)),
        ('yellow', (230, 210, 60)),
        ('green', (60, 110, 50)),
        ('blue', (50, 80, 200)),
        ('white', (245, 245, 240)),
        ('gray', (130, 130, 130)),
        ('black', (20, 22, 25)),
    ],
)
def test_clear_colors_have_one_name(name, rgb):
    assert {n for n, verdict in verdicts((100, rgb)).items() if verdict == YES} == {name}
    rng = np.random.default_rng(0)
    noisy = np.clip(np.array(rgb) + rng.normal(0, 8, (500, 3)), 0, 255).astype(np.uint8)
    assert color_verdicts([noisy])[name][0] == YES


@pytest.mark.parametrize('rgb, name', [((190, 190, 190), 'white'), ((190, 190, 190), 'gray'), ((60, 60, 60), 'black')])
def test_between_colors_is_doubt(rgb, name):
    assert verdicts((10, rgb))[name] == DOUBT


def test_a_color_must_dominate():
    red, gray = (200, 40, 40), (130, 130, 130)
    assert verdicts((80, red), (20, gray))['red'] == YES
    assert verdicts((55, red), (45, gray))['red'] == DOUBT
    assert verdicts((30, red), (70, gray))['red'] == DOUBT
    assert verdicts((20, red), (80, gray))['red'] == NO


def test_nothing_seen_is_doubt():
    assert {int(v[0]) for v in color_verdicts([np.empty((0, 3), np.uint8)]).values()} == {DOUBT}


def test_hsv_is_that_of_the_standard_library():
    rgb = np.random.default_rng(1).integers(0, 256, (200, 3)).astype(np.uint8)
    expected = np.array([colorsys.rgb_to_hsv(*(row / 255)) for row in rgb]) * (360, 1, 1)
    assert np.allclose(to_hsv(rgb), expected, atol=1e-3)


def test_what_is_surely_a_color_is_possibly_it():
    hsv = np.stack(np.meshgrid(np.arange(0, 360, 3.0), np.linspace(0, 1, 41), np.linspace(0, 1, 41)), -1)
    for sure, possible in COLORS.values():
        assert sure.contains(hsv).any() and possible.contains(hsv)[sure.contains(hsv)].all()
    doubly = sum(sure.contains(hsv).astype(int) for sure, _ in COLORS.values())
    assert doubly.max() == 1  # no pixel surely has two colors


def test_the_rim_of_a_region_is_left_out():
    image = np.zeros((60, 60, 3), np.uint8)
    image[10:50, 10:50] = 255
    mask = np.ones((44, 44), bool)  # two pixels of the dark surroundings on every side
    assert (inner_pixels(image, mask, 8, 8) == 255).all()
    big = np.zeros((400, 400, 3), np.uint8)
    assert 500 < len(inner_pixels(big, np.ones((400, 400), bool), 0, 0)) < 2600
