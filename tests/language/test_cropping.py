"""Which queries mean the same in a part of the image."""

from __future__ import annotations

import pytest

from xemap.language.cropping import survives_crop


@pytest.mark.parametrize(
    'text',
    ['the lake', 'storage tanks', 'all ships', 'red buildings', 'a forest', 'Houses'],
)
def test_what_is_told_by_itself(text):
    assert survives_crop(text)
    assert survives_crop(text, hops=1) and not survives_crop(text, hops=2)


@pytest.mark.parametrize(
    'text',
    [
        'the lake on the left', 'the northern lake', 'the lake in the center', 'the lake in the corner of the image',
        'the largest lake', 'The Biggest lake', 'the smallest tank', 'the longest runway', 'the leftmost ship',
        'the outermost ship', 'the lake farthest from the road', 'two ships', 'the 3 tanks', 'the only lake',
        'a pair of bridges', 'several ships', 'the second plane', 'a large lake', 'the small pond', 'a round tank',
        'the long road', 'the lake next to the road', 'the other lake', 'the ship near the harbor',
    ],
)  # fmt: skip
def test_what_the_rest_of_the_image_decides(text):
    assert not survives_crop(text)
