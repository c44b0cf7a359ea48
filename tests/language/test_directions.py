"""Direction words of mirrored queries."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xemap.language.directions import mirror_directions

# text, mirrored horizontally, mirrored vertically; None = refused
CASES = [
    ('storage tanks', 'storage tanks', 'storage tanks'),
    ('', '', ''),
    ('the lake in the top left corner', 'the lake in the top right corner', 'the lake in the bottom left corner'),
    ('the tank to the right of the road', 'the tank to the left of the road', 'the tank to the right of the road'),
    ('Leftmost plane', 'Rightmost plane', 'Leftmost plane'),
    ('EAST side', 'WEST side', 'EAST side'),
    ('northeastern lake', 'northwestern lake', 'southeastern lake'),
    ('the north-west part', 'the north-east part', 'the south-west part'),
    ('eastbound lane', 'westbound lane', 'eastbound lane'),
    ('upper-right plane', 'upper-left plane', 'lower-right plane'),
    ('the upperleft court', 'the upperright court', 'the lowerleft court'),
    ('second plane from the left', 'second plane from the right', 'second plane from the left'),
    ('the top building', 'the top building', 'the bottom building'),
    ('top of the image', 'top of the image', 'bottom of the image'),
    ('the tank is left of the road', 'the tank is right of the road', 'the tank is left of the road'),
    ('from left to right', 'from right to left', 'from left to right'),
    ('bright rooftop with copyright', 'bright rooftop with copyright', 'bright rooftop with copyright'),
    ('the second plane', None, None),
    ('the 3rd boat', None, None),
    ('clockwise', None, None),
    ("at 3 o'clock", None, None),
    ('the SW corner', None, None),
    ('the right angle', None, 'the right angle'),
    ('right next to the road', None, 'right next to the road'),
    ('a left-handed bend', None, 'a left-handed bend'),
    ('the right-of-way', None, 'the right-of-way'),
    ('the field that is left', None, 'the field that is left'),
    ('lEft of it', None, 'lEft of it'),
    ('cars on top of the roof', 'cars on top of the roof', None),
    ('cars on top', 'cars on top', None),
    ('top of the tower', 'top of the tower', None),
    ('a red top building', 'a red top building', None),
    ('the lower buildings', 'the lower buildings', None),
    ('the top floor', 'the top floor', None),
    ('a house below the dam', 'a house below the dam', None),
]


@pytest.mark.parametrize('text, horizontal, vertical', CASES)
def test_cases(text, horizontal, vertical) -> None:
    assert mirror_directions(text, 'horizontal') == horizontal
    assert mirror_directions(text, 'vertical') == vertical


WORDS = sorted(
    {word for case in CASES for text in case if text for word in text.split()}
    | {'left', 'right', 'LEFT', 'Right', 'top', 'bottom', 'upper', 'lower', 'half', 'east', 'South', 'of', 'on', 'the'}
    | {'north', 'west', 'southwestern', 'upper-left', 'image', 'in', 'wing', 'up', 'is', 'way', 'angle', 'lower-right'}
)
TEXTS = st.lists(st.sampled_from(WORDS), max_size=8).flatmap(
    lambda words: st.lists(st.sampled_from([' ', ' ', '-', ', ', '']), min_size=len(words), max_size=len(words)).map(
        lambda gaps: ''.join(word + gap for word, gap in zip(words, gaps))
    )
)


@settings(max_examples=300, deadline=None)
@given(text=TEXTS, direction=st.sampled_from(['horizontal', 'vertical']))
def test_mirroring_twice_gives_the_text(text, direction) -> None:
    mirrored = mirror_directions(text, direction)
    if mirrored is not None:
        assert mirror_directions(mirrored, direction) == text


@settings(max_examples=200, deadline=None)
@given(text=TEXTS)
def test_the_two_axes_commute(text) -> None:
    h, v = mirror_directions(text, 'horizontal'), mirror_directions(text, 'vertical')
    if h is not None and v is not None:
        assert mirror_directions(h, 'vertical') == mirror_directions(v, 'horizontal')


def test_unknown_direction() -> None:
    with pytest.raises(ValueError, match='diagonal'):
        mirror_directions('left', 'diagonal')
