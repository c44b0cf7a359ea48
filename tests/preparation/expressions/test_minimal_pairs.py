from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from tests.preparation.expressions.evaluator import PALETTE, read
from tests.preparation.expressions.scenes import make_scene
from xemap.preparation.expressions import ExpressionGenerator
from xemap.preparation.expressions.objects import disjoint, measure
from xemap.preparation.instance import Instance
from xemap.preparation.minimal_pairs import CHANGES, LONGEST_DIFFERENCE, PAIRS_OF_A_CHANGE, difference
from xemap.structures import MaskRegion, PolygonRegion

SIZE = (200, 200)


def queries_of(kind, seed, minimal_pairs):
    instances, scene = make_scene(kind, seed)
    generator = ExpressionGenerator(minimal_pairs=minimal_pairs)
    return generator.queries(instances, scene.image.shape[:2], f'{seed}.png', lambda: scene.image), scene


@pytest.fixture(scope='module')
def made():
    """(queries of minimal pairs, objects as masks) of images with boxes, outlines and class masks."""
    return [queries_of(kind, seed, 'only') for kind in ('boxes', 'outlines', 'masks') for seed in range(9)]


def test_a_pair_differs_in_one_phrase_and_shares_no_pixel(made):
    for queries, scene in made:
        for first, second in zip(queries[::2], queries[1::2]):
            change = first.pair.rpartition('/')[0]
            assert 0 < max(difference(first.text, second.text)) <= LONGEST_DIFFERENCE[change], first.text
            masks = [query.region.mask(scene.image.shape[:2]) for query in (first, second)]
            assert masks[0].any() and masks[1].any() and not (masks[0] & masks[1]).any(), (first.text, second.text)
            assert first.category == second.category and first.needed and second.needed
            assert (first.referents > 1) == (second.referents > 1)


def test_both_mean_what_the_pixels_say(made):
    for queries, scene in made:
        for query in queries:
            indices = scene.find(read(query.text))
            assert query.referents == len(indices), query.text
            assert (query.region.mask(scene.image.shape[:2]) == scene.union(indices)).all(), query.text


def test_pairs_are_numbered(made):
    for queries, _ in made:
        pairs = [query.pair for query in queries]
        assert pairs[::2] == pairs[1::2]
        assert [int(pair.rpartition('/')[2]) for pair in pairs[::2]] == list(range(len(pairs) // 2))
        changes = Counter(pair.rpartition('/')[0] for pair in pairs[::2])
        assert all(count <= PAIRS_OF_A_CHANGE for count in changes.values())


def test_every_change_and_measured_attribute_occurs(made):
    queries = [query for queries, _ in made for query in queries]
    assert {query.pair.rpartition('/')[0] for query in queries} == {*CHANGES} - {'between'}
    attributes = {name for query in queries if query.pair.startswith('attribute') for name, _ in query.needed}
    assert attributes == {'color', 'shape', 'size'}


def test_they_follow_the_expressions_of_an_image_without_a_change_to_these():
    added = 0
    for seed in range(6):
        plain, both, pairs = (queries_of('masks', seed, mode)[0] for mode in ('none', 'too', 'only'))
        assert both == plain + pairs and all(query.pair is None for query in plain)
        added += len(pairs)
    assert added > 6


def box(left, top, right, bottom, category='vehicle') -> Instance:
    return Instance(category, PolygonRegion([[(left, top), (right, top), (right, bottom), (left, bottom)]]))


def test_between_one_and_either_of_two_others():
    columns = {20: 'ship', 60: 'vehicle', 100: 'storage-tank', 140: 'vehicle', 180: 'harbor'}
    instances = [box(left - 9, 90, left + 9, 108, category) for left, category in columns.items()]
    queries = ExpressionGenerator(minimal_pairs='only').queries(instances, SIZE, 'a')
    between = [query for query in queries if query.pair.startswith('between')]
    assert {query.region.box(SIZE)[0] for query in between} == {51, 131}
    for query in between:
        assert ('ship' in query.text or 'vessel' in query.text) == (query.region.box(SIZE)[0] == 51), query.text


@pytest.mark.parametrize(('left', 'expected'), [(80, False), (99, False), (130, True)])
def test_boxes_that_overlap_make_no_pair(left, expected):
    instances = [box(20, 60, 99, 140), box(left, 60, left + 60, 140)]
    image = np.full((*SIZE, 3), PALETTE['red'], np.uint8)
    image[:, (left + 100) // 2 :] = PALETTE['blue']
    queries = ExpressionGenerator(minimal_pairs='only').queries(instances, SIZE, 'a', lambda: image)
    assert bool(queries) == expected
    assert disjoint(*[measure([instance], SIZE) for instance in instances], SIZE) == expected


def test_neighboring_pixels_of_masks_are_disjoint():
    masks = np.zeros((2, *SIZE), bool)
    masks[0, 50:100, 50:100] = masks[1, 50:100, 100:150] = True
    objects = [measure([Instance('field', MaskRegion.from_mask(mask), 1)], SIZE) for mask in masks]
    assert disjoint(*objects, SIZE)
    masks[1, 99, 99] = True
    assert not disjoint(objects[0], measure([Instance('field', MaskRegion.from_mask(masks[1]), 1)], SIZE), SIZE)


def test_a_remnant_at_the_border_is_in_no_pair():
    colored = {(0, 4): 'red', (60, 90): 'blue'}  # columns of a sliver and of a whole object
    image = np.full((400, 400, 3), 90, np.uint8)
    for (left, right), color in colored.items():
        image[60:90, left : right + 1] = PALETTE[color]

    def pairs(columns):
        instances = [box(left, 60, right, 89) for left, right in columns]
        queries = ExpressionGenerator(minimal_pairs='only').queries(instances, (400, 400), 'a', lambda: image)
        return {query.pair.rpartition('/')[0] for query in queries}

    assert pairs(colored) == set()
    image[60:90, 5:30] = PALETTE['red']
    assert 'attribute' in pairs([(0, 29), (60, 90)])


@pytest.mark.parametrize(('side', 'expected'), [(16, set()), (20, {'place'})])
def test_a_small_part_of_a_class_mask_is_in_no_pair(side, expected):
    """It may be a gap between labels; as an object of its own it is what somebody has labeled."""
    mask = np.zeros((400, 400), bool)
    mask[40 : 40 + side, 40 : 40 + side] = mask[340:360, 340:380] = True

    def changes(instances):
        queries = ExpressionGenerator(minimal_pairs='only').queries(instances, mask.shape, 'a')
        return {query.pair.rpartition('/')[0] for query in queries}

    assert changes([Instance('field', MaskRegion.from_mask(mask), 2)]) - {'size'} == expected
    parts = [mask.copy(), mask.copy()]
    parts[0][:200] = parts[1][200:] = False
    assert 'place' in changes([Instance('field', MaskRegion.from_mask(part), 1) for part in parts])
