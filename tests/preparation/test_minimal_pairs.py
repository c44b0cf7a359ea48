from __future__ import annotations

import pytest

from xemap.preparation.minimal_pairs import difference


@pytest.mark.parametrize(
    ('first', 'second', 'expected'),
    [
        ('the red lake', 'the blue lake', (1, 1)),
        ('the lake next to the sea', 'the lake far from the sea', (2, 2)),
        ('the lake by the sea', 'the lake by the tennis courts', (1, 2)),
        ('a a', 'a', (1, 0)),
        ('same', 'same', (0, 0)),
    ],
)
def test_difference(first, second, expected):
    assert difference(first, second) == expected
