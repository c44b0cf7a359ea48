from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from tests.preparation.expressions.evaluator import read
from tests.preparation.expressions.scenes import make_scene
from xemap.datasets.transforms import RandomScaleCrop
from xemap.errors import ConfigError, DataError
from xemap.language.directions import mirror_directions
from xemap.language.rotation import rotate_directions
from xemap.preparation.expressions import ExpressionGenerator, Words
from xemap.preparation.expressions.objects import measured_scene
from xemap.preparation.instance import Instance
from xemap.structures import MaskRegion, PolygonRegion

SCENES = st.tuples(st.sampled_from(['boxes', 'outlines', 'masks']), st.integers(0, 2**32))
MANY = ExpressionGenerator(max_per_image=30)


def queries_of(kind, seed, generator=MANY):
    instances, scene = make_scene(kind, seed)
    size = scene.image.shape[:2]
    return generator.queries(instances, size, f'{seed}.png', lambda: scene.image), scene


@settings(max_examples=45, deadline=None, derandomize=True)
@given(SCENES)
def test_expressions_have_exactly_the_referents_they_claim(which):
    queries, scene = queries_of(*which)
    for query in queries:
        reading = read(query.text)
        indices = scene.find(reading)
        assert query.referents == len(indices), query.text
        assert (query.region.mask(scene.image.shape[:2]) == scene.union(indices)).all(), query.text
        assert query.hops == 1 + len(reading.anchors)
        positions = {'leftmost', 'rightmost', 'topmost', 'bottommost'}
        kind = 'position' if reading.place or reading.words & positions else 'attribute'
        assert query.kind == ('multi-hop' if reading.relation else kind)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(SCENES, st.sampled_from(['horizontal', 'vertical']))
def test_mirrored_text_means_the_mirrored_objects(which, direction):
    queries, scene = queries_of(*which)
    mirror = scene.flipped(direction)
    for query in queries:
        text = mirror_directions(query.text, direction)
        if text is not None:
            indices = mirror.find(read(text))
            assert len(indices) == query.referents
            mask = np.flip(query.region.mask(scene.image.shape[:2]), 1 if direction == 'horizontal' else 0)
            assert (mask == mirror.union(indices)).all(), (query.text, text)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(SCENES, st.integers(1, 3))
def test_rotated_text_means_the_rotated_objects(which, turns):
    queries, scene = queries_of(*which)
    turned = scene.rotated(turns)
    for query in queries:
        text, reading = rotate_directions(query.text, turns), read(query.text)
        for _ in range(turns):
            reading = reading.rotated()
        if text is not None:
            assert read(text) == reading, (query.text, text)
            mask = np.rot90(query.region.mask(scene.image.shape[:2]), turns)
            assert (mask == turned.union(turned.find(reading))).all(), (query.text, text)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(SCENES, st.integers(0, 99))
def test_queries_of_a_cropped_image_mean_what_is_left_of_their_objects(which, seed):
    queries, scene = queries_of(*which)
    size = scene.image.shape[:2]
    for query in queries:
        results = dict(img=scene.image, ori_shape=size, img_shape=size, queries=[query])
        results = RandomScaleCrop(1.0, (0.4, 0.9), tries=30)(dict(results, rng=np.random.default_rng(seed)))
        if box := results['crop']:
            part, (cropped,) = scene.cropped(box), results['queries']
            mask = cropped.region.mask(results['ori_shape'])
            wrong = mask != part.union(part.find(read(cropped.text)))
            # cv2 may draw the edge of a polygon that leaves the canvas one pixel beside
            assert not (wrong.any() if which[0] == 'masks' else ndimage.binary_erosion(wrong, np.ones((2, 2))).any())
            assert mask.sum() >= 0.9 * query.region.mask(size).sum()


@settings(max_examples=20, deadline=None, derandomize=True)
@given(SCENES)
def test_no_condition_is_idle(which):
    """Whatever is left out, the rest means something else, or is doubtful."""
    instances, rasters = make_scene(*which)
    scene = measured_scene(instances, rasters.image.shape[:2], Words(), lambda: rasters.image)
    for choice in MANY.choose(scene, 'x'):
        meaning, rest = choice.meaning, []
        pairs = meaning.attributes
        rest += [replace(meaning, attributes=tuple(a for a in pairs if a != b)) for b in pairs]
        rest += [replace(meaning, superlative=None)] if meaning.superlative else []
        rest += [replace(meaning, place=None)] if meaning.place else []
        rest += [replace(meaning, relation=None, anchors=())] if meaning.relation else []
        assert rest
        assert all(scene.resolve(weaker) != choice.referents for weaker in rest), choice.wording.text


def test_every_condition_occurs():
    words = 'red brown yellow green blue white gray black long square round large small largest smallest leftmost '
    words += 'rightmost topmost bottommost left right top bottom center above below next surrounded far closest '
    words += 'farthest larger smaller between'
    lacking = {*words.split(), 'anchor largest', 'anchor leftmost'}
    scenes = ((kind, seed) for seed in range(60) for kind in ('boxes', 'outlines', 'masks'))
    while lacking and (scene := next(scenes, None)):
        for query in queries_of(*scene)[0]:
            reading = read(query.text)
            anchors = [f'anchor {word}' for anchor in reading.anchors for word in anchor.words]
            lacking -= {*reading.words, *reading.place, reading.relation, *anchors}
    assert not lacking


def test_same_arguments_same_queries_and_other_seeds_others():
    def made(seed, name):
        instances, scene = make_scene('masks', 5)
        generator = ExpressionGenerator(seed=seed)
        return generator.queries(instances, scene.image.shape[:2], name, lambda: scene.image)

    first = made(0, 'a.png')
    assert made(0, 'a.png') == first and len(first) == 8
    assert made(1, 'a.png') != first
    assert made(0, 'b.png') != first


def test_kinds_are_balanced_and_limited():
    rich = Counter()
    for seed in range(12):
        queries = queries_of('masks', seed, ExpressionGenerator(max_per_image=6))[0]
        assert len(queries) <= 6
        assert len({query.text for query in queries}) == len(queries)
        kinds = Counter(query.kind for query in queries)
        if len(kinds) == 3 and len(queries) == 6:
            rich[tuple(kinds.values())] += 1
    assert rich[2, 2, 2] >= 3
    only = queries_of('masks', 3, ExpressionGenerator(kinds=['multi-hop']))[0]
    assert only and {query.kind for query in only} == {'multi-hop'}
    plain = queries_of('masks', 3, ExpressionGenerator(kinds=['one-hop']))[0]
    assert plain and all(query.hops == 1 and query.kind == 'one-hop' for query in plain)


def test_pixels_are_read_once_and_only_for_colors():
    instances, scene = make_scene('outlines', 1)
    size, calls = scene.image.shape[:2], []

    def pixels():
        calls.append(1)
        return scene.image

    ExpressionGenerator(kinds=['position'], max_per_image=1).queries([], size, 'x', pixels)
    ExpressionGenerator(kinds=['one-hop']).queries(instances, size, 'x', pixels)
    ships = [Instance('ship', box(10, 10, 50, 50)), Instance('ship', box(150, 100, 190, 140))]  # boxes show water, too
    ExpressionGenerator().queries(ships, size, 'x', pixels)
    assert not calls
    ExpressionGenerator(max_per_image=30).queries(instances, size, 'x', pixels)
    assert len(calls) == 1


def test_no_colors_without_pixels():
    colors = {'red', 'brown', 'yellow', 'green', 'blue', 'white', 'gray', 'black'}
    named = [0, 0]
    for seed in range(15):
        instances, scene = make_scene('outlines', seed)
        size = scene.image.shape[:2]
        for i, pixels in enumerate([None, lambda: scene.image]):  # noqa: B023
            texts = [query.text for query in MANY.queries(instances, size, 'x', pixels)]
            named[i] += sum(bool(read(text).words & colors) for text in texts)
    assert named[0] == 0 and named[1] > 5


def test_an_image_of_another_size_is_refused():
    instances, scene = make_scene('outlines', 1)
    with pytest.raises(DataError, match='do not belong together'):
        MANY.queries(instances, scene.image.shape[:2], 'x', lambda: scene.image[:-1])


def box(left, top, right, bottom):
    return PolygonRegion([[[left, top], [right, top], [right, bottom], [left, bottom]]])


def texts(instances, kinds=('attribute', 'position', 'multi-hop'), size=(400, 400)):
    queries = []
    for seed in range(8):
        queries += ExpressionGenerator(seed=seed, kinds=kinds).queries(instances, size, 'x', None)
    return queries


def test_nothing_is_said_of_what_is_unknown_or_ambiguous():
    left, right = Instance('ship', box(20, 180, 60, 220)), Instance('ship', box(340, 180, 380, 220))
    assert texts([left, right])
    assert texts([left]) == []  # its category says it
    crowd = Instance('ship', box(180, 20, 260, 60), count=None)
    assert texts([left, right, crowd]) == []  # some ship of the crowd may be meant
    doubtful = Instance('ship', box(156, 180, 196, 220))
    assert not any('on the left' in q.text for q in texts([left, right, doubtful], ['position']))
    assert texts([Instance('background', r.region) for r in (left, right)]) == []


def test_a_noun_that_could_mean_another_category_is_not_used():
    vehicles = [Instance('vehicle', box(20, 180, 60, 220)), Instance('vehicle', box(340, 180, 380, 220))]
    small = [Instance('small-vehicle', box(150, 20, 170, 40)), Instance('small-vehicle', box(150, 300, 170, 320))]
    assert {q.category for q in texts(vehicles)} == {'vehicle'}
    assert {q.category for q in texts(vehicles + small)} == {'small-vehicle'}


def test_spellings_of_a_class_are_one_category():
    ships = [Instance('Storage-Tank', box(20, 180, 60, 220)), Instance('storagetank', box(340, 180, 380, 220))]
    assert {q.referents for q in texts(ships, ['one-hop'])} == {2}
    assert {q.text.endswith(('storage tanks', 'tanks')) for q in texts(ships, ['one-hop'])} == {True}


def test_a_box_says_nothing_about_color_or_shape_unless_its_object_fills_it():
    image = np.full((400, 400, 3), 130, np.uint8)
    image[100:140, 100:140] = 200, 30, 30
    for category, expected in [('ship', False), ('vehicle', True)]:
        two = [Instance(category, box(100, 100, 139, 139)), Instance(category, box(300, 300, 339, 339))]
        made = ExpressionGenerator(kinds=['attribute']).queries(two, (400, 400), 'x', lambda: image)
        assert any('red' in query.text for query in made) == expected


def test_touching_buildings_are_next_to_and_apart_ones_are_not():
    labels = np.zeros((300, 300), np.uint8)
    labels[:, 140:160] = 1  # water
    labels[20:60, 100:138] = labels[200:240, 162:200] = 2
    labels[100:140, 10:50] = 2
    instances = [
        Instance('water', MaskRegion.from_mask(labels == 1), 1),
        Instance('building', MaskRegion.from_mask(labels == 2), 3),
    ]
    made = [q for q in texts(instances, ['multi-hop'], (300, 300)) if read(q.text).relation == 'next']
    assert made and all(q.referents == 2 and q.hops == 2 for q in made)
    near = labels == 2
    near[100:140, 10:50] = False
    assert all((q.region.mask((300, 300)) == near).all() for q in made)


@pytest.mark.parametrize(
    'options, match', [({'kinds': ['colour']}, 'colour'), ({'kinds': []}, 'give some'), ({'max_per_image': 0}, '0')]
)
def test_wrong_options(options, match):
    with pytest.raises(ConfigError, match=match):
        ExpressionGenerator(**options)


def test_info_repeats_the_generator(tmp_path):
    (tmp_path / 'mine.json').write_text('{}')
    info = ExpressionGenerator(tmp_path / 'mine.json', seed=3, kinds=['position']).info()
    assert info == {'seed': 3, 'max_per_image': 8, 'kinds': ['position'], 'words': 'mine.json'}


def test_polygons_without_area_do_no_harm():
    flat = [Instance('ship', PolygonRegion([[[x, 100], [x + 20, 100], [x + 40, 100]]])) for x in (10, 200, 300)]
    harbor = Instance('harbor', box(100, 200, 200, 300))
    assert texts([*flat, harbor]) == []  # nothing to be seen
    assert texts([*flat, harbor, Instance('harbor', box(300, 300, 390, 390))])
