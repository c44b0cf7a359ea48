from __future__ import annotations

import numpy as np
import pytest

from xemap.evaluation.functional.minimal_pairs import CHANCE, minimal_pair_right

MASKS = np.zeros((2, 4, 6), bool)
MASKS[0, :, :2] = MASKS[1, :, 4:] = True
LEFT, RIGHT = MASKS.astype(np.float32)


@pytest.mark.parametrize(
    ('first', 'second', 'expected'),
    [
        (LEFT, RIGHT, (True, True)),
        (RIGHT, LEFT, (False, False)),
        (LEFT, LEFT, (True, False)),  # a map that does not depend on the words
        (np.full((4, 6), 0.5), RIGHT, (False, True)),  # a maximum everywhere is nowhere
        (0.3 * LEFT + 0.2 * RIGHT, 0.3 * RIGHT + 0.2 * LEFT, (True, True)),
    ],
)
def test_right_ones(first, second, expected):
    assert minimal_pair_right(np.stack([first, second]), MASKS) == expected


def test_the_maximum_and_the_mass_both_count():
    spread = 0.4 * RIGHT
    spread[0, 0] = 0.9  # the maximum is right, most of the mass is not
    assert minimal_pair_right(np.stack([spread, RIGHT]), MASKS) == (False, True)
    outside = 0.4 * LEFT
    outside[0, 3] = 0.9  # the mass is right, the maximum is in neither
    assert minimal_pair_right(np.stack([outside, RIGHT]), MASKS) == (False, True)


def test_chance():
    rng = np.random.default_rng(0)
    both = [all(minimal_pair_right(MASKS[rng.integers(2, size=2)].astype(float), MASKS)) for _ in range(4000)]
    assert np.mean(both) == pytest.approx(CHANCE, abs=0.02)


@pytest.mark.parametrize(
    ('maps', 'masks', 'message'),
    [
        (np.zeros((2, 4, 5)), MASKS, 'of one size'),
        (np.zeros((1, 4, 6)), MASKS[:1], 'two of each'),
        (np.zeros((2, 4, 6)), MASKS & False, 'must each have pixels'),
        (np.zeros((2, 4, 6)), MASKS | True, 'none in common'),
    ],
)
def test_wrong_input(maps, masks, message):
    with pytest.raises(ValueError, match=message):
        minimal_pair_right(maps, masks)
