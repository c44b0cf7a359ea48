from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from xemap.errors import ConfigError
from xemap.models.localizers.selo import SeLoV1Generator, SeLoV2Generator


def pretend_score(queries: int, calls: list[np.ndarray] | None = None):
    """Similarities that depend on box and query only."""

    def score(boxes: np.ndarray) -> np.ndarray:
        if calls is not None:
            calls.append(boxes)
        codes = (boxes @ np.array([7.0, 13.0, 29.0, 31.0]))[:, None] * (1 + np.arange(queries))
        return np.sin(codes)

    return score


def test_v1_scores_every_tile_once_for_all_queries():
    calls: list[np.ndarray] = []
    scored = SeLoV1Generator().scored_slices((1000, 900), pretend_score(3, calls))
    assert len(calls) == 1 and len(scored) == 3
    for query, (boxes, similarity) in enumerate(scored):
        assert boxes is calls[0]
        assert np.array_equal(similarity, pretend_score(3)(boxes)[:, query])


def test_v2_keeps_the_best_tiles_and_refines_them():
    size = (2000, 1500)
    calls: list[np.ndarray] = []
    scored = SeLoV2Generator().scored_slices(size, pretend_score(2, calls))
    tiles, union = calls
    assert len(tiles) == 12  # four rows, three columns, one pass
    tiles_of_queries = set()
    for query, (boxes, similarity) in enumerate(scored):
        expected = pretend_score(2)(boxes)[:, query]
        assert np.array_equal(similarity, expected)
        order = np.argsort(-pretend_score(2)(tiles)[:, query], kind='stable')
        assert np.array_equal(boxes[:2], tiles[order[:2]])  # int(0.15 * 12) + 1
        assert len(np.unique(boxes, axis=0)) == len(boxes)
        sides = boxes[2:, 2:] - boxes[2:, :2]
        assert sides.max() == 256 and (boxes[:, 2:] <= [1500, 2000]).all() and (boxes[:, :2] >= 0).all()
        tiles_of_queries |= {tuple(box) for box in boxes[2:].tolist()}
    assert {tuple(box) for box in union.tolist()} == tiles_of_queries and len(union) == len(tiles_of_queries)


def test_a_query_of_v2_does_not_depend_on_the_others():
    size = (1100, 1300)
    together = SeLoV2Generator().scored_slices(size, pretend_score(3))
    alone = SeLoV2Generator().scored_slices(size, pretend_score(1))
    assert all(np.array_equal(a, b) for a, b in zip(together[0], alone[0]))


def test_v2_in_an_image_of_one_tile():
    boxes, similarity = SeLoV2Generator().scored_slices((1, 90), pretend_score(1))[0]
    assert boxes[0].tolist() == [0, 0, 90, 1]
    assert len(np.unique(boxes, axis=0)) == len(boxes) == len(similarity) > 1


def test_shuffles_depend_on_seed_and_text_only():
    text = 'two long red bridges over a river'
    phrasings = SeLoV2Generator().phrasings(text)
    assert phrasings[0] == text and len(phrasings) == 5 and len(set(phrasings)) == 5
    assert all(Counter(phrasing.split()) == Counter(text.split()) for phrasing in phrasings)
    generator = SeLoV2Generator()
    generator.phrasings('something else')
    assert generator.phrasings(text) == phrasings
    assert SeLoV2Generator(seed=1).phrasings(text) != phrasings
    assert phrasings[1] == 'river over long red a two bridges'  # the same on every machine
    assert SeLoV1Generator().phrasings(text) == [text]


@pytest.mark.parametrize(
    ('generator', 'arguments', 'message'),
    [
        (SeLoV1Generator, dict(scales=()), 'scales'),
        (SeLoV1Generator, dict(scales=(0, 256)), 'scales'),
        (SeLoV1Generator, dict(passes=(0.5,)), 'one of them 0'),
        (SeLoV1Generator, dict(passes=(0, 1)), r'\[0, 1\)'),
        (SeLoV1Generator, dict(median=250), 'odd'),
        (SeLoV1Generator, dict(median=257), 'at most 255'),
        (SeLoV2Generator, dict(tile=0), 'tile'),
        (SeLoV2Generator, dict(boxes=(1,)), 'at least 2'),
        (SeLoV2Generator, dict(keep=1.5), 'keep'),
        (SeLoV2Generator, dict(shuffles=-1), 'shuffles'),
        (SeLoV2Generator, dict(blur=0), 'odd'),
    ],
)
def test_bad_arguments_are_named(generator, arguments, message):
    with pytest.raises(ConfigError, match=message):
        generator(**arguments)
