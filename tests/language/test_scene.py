import numpy as np
import pytest
import shapely

from xemap.language.expression import Expression
from xemap.language.places import EXTREMES
from xemap.language.relations import DIRECTIONS
from xemap.language.scene import Scene
from xemap.preparation.synthetic.layout import SceneObject
from xemap.preparation.synthetic.queries import synthetic_words

SIZE = (1000, 1000)


def box(category, left, top, right, bottom, **attributes):
    return SceneObject(category, shapely.box(left, top, right, bottom), attributes)


def at(category, x, y, half=40, **attributes):
    return box(category, x - half, y - half, x + half, y + half, **attributes)


def scene_of(objects):
    return Scene(objects, SIZE, synthetic_words())


def resolve(objects, category, attribute=None, position=None, relation=None, anchors=()):
    attributes = () if attribute is None or attribute[0] == 'size' else (attribute,)
    superlative = attribute[1] if attribute and attribute[0] == 'size' else position if position in EXTREMES else None
    place = None if position in EXTREMES else position
    return scene_of(objects).resolve(Expression(category, attributes, superlative, place, relation, anchors))


def test_category_and_attribute():
    objects = [at('buildings', 100, 100, roof='red'), at('buildings', 500, 500, roof='blue'), at('lake', 800, 200)]
    assert resolve(objects, 'buildings') == (0, 1)
    assert resolve(objects, 'buildings', ('roof', 'blue')) == (1,)
    assert resolve(objects, 'buildings', ('roof', 'white')) == ()
    assert resolve(objects, 'forest') == ()


@pytest.mark.parametrize('second, large, small', [(20, (0,), (1,)), (36, (), ())])
def test_size_needs_a_clear_difference(second, large, small):
    objects = [at('lake', 200, 200, 40), at('lake', 700, 700, second)]
    assert resolve(objects, 'lake', ('size', 'largest')) == large
    assert resolve(objects, 'lake', ('size', 'smallest')) == small


def test_size_of_a_single_object_says_nothing():
    assert resolve([at('lake', 200, 200)], 'lake', ('size', 'largest')) == ()


@pytest.mark.parametrize('x, expected', [(380, (0, 1)), (381, ()), (499, ()), (500, (0,)), (900, (0,))])
def test_side_has_a_dead_band(x, expected):
    """One doubtful object makes the expression say nothing, even though the other one clearly matches."""
    objects = [at('lake', 100, 500), at('lake', x, 500)]
    assert resolve(objects, 'lake', position='left') == expected
    mirrored = [at('lake', 900, 500), at('lake', 1000 - x, 500)]
    assert resolve(mirrored, 'lake', position='right') == expected
    upright = [at('lake', 500, 100), at('lake', 500, x)]
    assert resolve(upright, 'lake', position='top') == expected
    turned = [at('lake', 500, 900), at('lake', 500, 1000 - x)]
    assert resolve(turned, 'lake', position='bottom') == expected


def test_an_object_that_reaches_far_across_is_on_no_side():
    assert resolve([box('lake', 90, 400, 630, 450)], 'lake', position='left') == (0,)
    assert resolve([box('lake', 70, 400, 650, 450)], 'lake', position='left') == ()


def test_corners_and_center():
    objects = [
        at('lake', 200, 200),
        at('lake', 800, 200),
        at('lake', 200, 800),
        at('lake', 800, 800),
        at('lake', 520, 470),
    ]
    for i, corner in enumerate(['top left', 'top right', 'bottom left', 'bottom right']):
        assert resolve(objects[:4], 'lake', position=corner) == (i,)
    assert resolve(objects, 'lake', position='center') == (4,)
    assert resolve([*objects, at('lake', 700, 500)], 'lake', position='center') == ()  # in the dead band


def test_extremes():
    objects = [at('lake', 200, 300), at('lake', 330, 700), at('lake', 600, 900)]
    assert resolve(objects, 'lake', position='leftmost') == (0,)
    assert resolve(objects, 'lake', position='rightmost') == (2,)
    assert resolve(objects, 'lake', position='topmost') == (0,)
    assert resolve(objects, 'lake', position='bottommost') == (2,)
    assert resolve([*objects, at('lake', 249, 100)], 'lake', position='leftmost') == ()
    wide = box('lake', 150, 60, 400, 140)  # its center is further right, its edge further left
    assert resolve([*objects, wide], 'lake', position='leftmost') == ()
    assert resolve(objects[:1], 'lake', position='leftmost') == ()


@pytest.mark.parametrize('gap, expected', [(44, (1, 2)), (45, ()), (99, ()), (100, (1,))])
def test_next_to_has_a_dead_band(gap, expected):
    objects = [
        box('river', 490, 0, 510, 999),
        box('parking', 400, 100, 480, 180),
        box('parking', 510 + gap, 600, 700, 700),
    ]
    assert resolve(objects, 'parking', relation='next to', anchors=(Expression('river'),)) == expected


def test_next_to_any_of_several_anchors():
    objects = [at('tanks', 100, 100), at('tanks', 800, 800), at('lake', 190, 100), at('lake', 500, 500)]
    assert resolve(objects, 'lake', relation='next to', anchors=(Expression('tanks'),)) == (2,)


def test_closest_and_farthest_need_a_lead():
    river = box('river', 0, 0, 50, 999)
    objects = [river, box('lake', 100, 100, 150, 150), box('lake', 180, 500, 250, 550), box('lake', 500, 500, 600, 600)]
    near, far = (dict(relation=r, anchors=(Expression('river'),)) for r in ('closest to', 'farthest from'))
    assert resolve(objects, 'lake', **near) == (1,)
    assert resolve(objects, 'lake', **far) == (3,)
    objects[2] = box('lake', 159, 500, 250, 550)
    assert resolve(objects, 'lake', **near) == ()
    assert resolve(objects[:2], 'lake', **near) == ()


def test_between():
    objects = [
        box('road', 100, 0, 140, 999),
        box('lake', 500, 300, 700, 500),
        at('parking', 320, 400),
        at('parking', 600, 800),
    ]
    anchors = (Expression('road'), Expression('lake'))
    assert resolve(objects, 'parking', relation='between', anchors=anchors) == (2,)
    assert resolve(objects, 'parking', relation='between', anchors=anchors[::-1]) == (2,)
    bend = at('parking', 320, 620)  # sees the two at about 146 degrees: neither between nor clearly not
    assert resolve([*objects, bend], 'parking', relation='between', anchors=anchors) == ()
    two = [*objects, at('lake', 900, 900)]
    assert resolve(two, 'parking', relation='between', anchors=anchors) == ()  # which lake?


def test_nothing_lies_between_an_anchor_that_wraps_around_it_and_another():
    bay = shapely.box(100, 200, 400, 600) - shapely.box(190, 320, 400, 480)
    objects = [SceneObject('farmland', bay), box('lake', 500, 300, 700, 500), at('parking', 265, 400)]
    anchors = (Expression('farmland'), Expression('lake'))
    assert resolve(objects, 'parking', relation='between', anchors=anchors) == ()
    objects[0] = box('farmland', 100, 200, 180, 600)
    assert resolve(objects, 'parking', relation='between', anchors=anchors) == (2,)


@pytest.mark.parametrize('relation, x, y', [*zip(DIRECTIONS, [200, 800, 500, 500], [500, 500, 200, 800])])
def test_directions(relation, x, y):
    tanks = (Expression('tanks'),)
    around = [at('lake', 200, 500), at('lake', 800, 500), at('lake', 500, 200), at('lake', 500, 800)]
    objects = [at('tanks', 500, 500), *around]
    (object_idx,) = resolve(objects, 'lake', relation=relation, anchors=tanks)
    assert (objects[object_idx].outline.centroid.x, objects[object_idx].outline.centroid.y) == (x, y)
    aside = [500 + 220 * np.sign(c - 500) + 200 * (c == 500) for c in (x, y)]
    diagonal = at('lake', *aside)
    assert resolve([*objects, diagonal], 'lake', relation=relation, anchors=tanks) == ()


def test_an_ambiguous_anchor_makes_the_whole_ambiguous():
    objects = [at('tanks', 300, 500), at('parking', 100, 500), at('parking', 440, 500)]
    left = Expression('parking', place='left')
    assert resolve(objects[:2], 'tanks', relation='closest to', anchors=(left,)) == ()
    assert scene_of(objects).resolve(left) == ()
    assert resolve(objects, 'tanks', relation='next to', anchors=(left,)) == ()


def test_nothing_is_its_own_anchor():
    objects = [at('lake', 100, 100), at('lake', 250, 100), at('lake', 800, 800)]
    lowest = Expression('lake', superlative='bottommost')
    assert scene_of(objects).resolve(lowest) == (2,)
    assert resolve(objects, 'lake', relation='farthest from', anchors=(lowest,)) == ()


def test_kind_and_hops():
    lake, road = Expression('lake', superlative='largest'), Expression('road')
    assert (Expression('road').kind, lake.kind) == ('one-hop', 'attribute')
    assert Expression('tanks', (('paint', 'white'),), place='left').kind == 'position'
    multi = Expression('tanks', relation='between', anchors=(lake, road))
    assert (multi.kind, multi.hops, lake.hops) == ('multi-hop', 3, 1)
