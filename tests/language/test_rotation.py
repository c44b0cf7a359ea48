"""Direction words of rotated queries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.language.test_directions import CASES, WORDS
from xemap.language.directions import mirror_directions
from xemap.language.rotation import rotate_directions

# text, rotated by a quarter turn counterclockwise, and clockwise; None = refused
ROTATED = [
    ('storage tanks', 'storage tanks', 'storage tanks'),
    ('the lake in the top left corner', 'the lake in the bottom left corner', 'the lake in the top right corner'),
    ('the upper-right plane', 'the upper-left plane', 'the lower-right plane'),
    ('the northeastern lake', 'the northwestern lake', 'the southeastern lake'),
    ('the ship east of the harbor', 'the ship north of the harbor', 'the ship south of the harbor'),
    ('the tank on the left', 'the tank at the bottom', 'the tank at the top'),
    ('tanks on the left side of the image', 'tanks at the bottom of the image', 'tanks at the top of the image'),
    ('ships at the top of the image', 'ships on the left side of the image', 'ships on the right side of the image'),
    ('the lake in the upper part', 'the lake in the left part', 'the lake in the right part'),
    ('Leftmost plane', 'Bottommost plane', 'Topmost plane'),
    ('the uppermost ship', 'the leftmost ship', 'the rightmost ship'),
    ('the tank to the right of the road', 'the tank above the road', 'the tank below the road'),
    ('the tank is left of the road', 'the tank is below the road', 'the tank is above the road'),
    ('the ship farthest to the left', 'the ship closest to the bottom of the image',
     'the ship closest to the top of the image'),
    ('the ship closest to the top of the image', 'the ship farthest to the left', 'the ship farthest to the right'),
    ('the top building', 'the left building', 'the right building'),
    ('second plane from the left', 'second plane from the bottom', 'second plane from the top'),
    ('the second plane', None, None),
    ('the tank above the road', None, None),
    ('the vertical road', None, None),
    ('two rows of houses', None, None),
    ('the left of the two tanks', None, None),
    ('the left-top corner', None, None),
    ('the leftward arrow', None, None),
    ('the lower buildings', None, None),
    ('a right angle', None, None),
]  # fmt: skip


@pytest.mark.parametrize('text, counterclockwise, clockwise', ROTATED)
def test_quarter_turns(text, counterclockwise, clockwise):
    assert rotate_directions(text, 1) == rotate_directions(text, -3) == counterclockwise
    assert rotate_directions(text, 3) == rotate_directions(text, -1) == clockwise
    assert rotate_directions(text, 0) == rotate_directions(text, 4) == text


@pytest.mark.parametrize('text', [text for text, *_ in CASES])
def test_half_a_turn_is_both_mirrors(text):
    once = mirror_directions(text, 'horizontal')
    assert rotate_directions(text, 2) == (once and mirror_directions(once, 'vertical') if once != '' else '')


@given(st.lists(st.sampled_from(WORDS), max_size=6).map(' '.join), st.sampled_from([1, 3]))
def test_what_a_mirror_refuses_is_refused_and_what_has_no_direction_stays(text, turns):
    rotated = rotate_directions(text, turns)
    mirrored = [mirror_directions(text, direction) for direction in ('horizontal', 'vertical')]
    if None in mirrored:
        assert rotated is None
    elif mirrored == [text, text]:
        assert rotated == text
    else:
        assert rotated != text
