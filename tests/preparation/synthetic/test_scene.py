import hashlib
import re

import cv2
import numpy as np
import pytest
import shapely

from xemap.errors import ConfigError
from xemap.preparation.synthetic import generate_scene, lay_out_scene, terrain
from xemap.preparation.synthetic.layout import CATEGORIES, Plan, make_plan
from xemap.preparation.synthetic.noise import crowns, fractal
from xemap.preparation.synthetic.queries import synthetic_words
from xemap.preparation.synthetic.render import DRAW, render
from xemap.structures import QUERY_KINDS

SEEDS = range(300, 332)


@pytest.fixture(scope='module')
def layouts():
    return [lay_out_scene(seed, 512) for seed in SEEDS]


def digest(scene):
    return hashlib.sha256(scene.image.tobytes() + repr([q.text for q in scene.queries]).encode()).hexdigest()


def test_a_seed_is_a_scene():
    first, again, other = (generate_scene(seed, 384) for seed in (5, 5, 6))
    assert digest(first) == digest(again) != digest(other)
    assert first.queries == again.queries
    sequence = np.random.SeedSequence(5)
    sequence.spawn(3)  # what a caller did with the sequence before does not matter
    assert digest(generate_scene(sequence, 384)) == digest(first)


def test_the_size_is_free():
    scene = generate_scene(1, (300, 520))
    assert scene.image.shape == (300, 520, 3) and scene.image.dtype == np.uint8
    record = scene.record('images/a.jpg')
    assert (record.size, record.source, record.queries) == ((300, 520), 'synthetic', scene.queries)
    assert {lay_out_scene(seed).plan.size[0] for seed in range(30)} == {512, 768, 1024}
    for size in (100, (512, 9000)):
        with pytest.raises(ConfigError, match='give sides from'):
            generate_scene(1, size)


def test_every_scene_has_all_kinds(layouts):
    for layout in layouts:
        queries = layout.queries()
        assert {q.kind for q in queries} == set(QUERY_KINDS)
        assert 6 <= len(queries) <= 15
        assert len({q.text for q in queries}) == len({choice.meaning for choice in layout.choices}) == len(queries)
    every = [q for layout in layouts for q in layout.queries()]
    for kind in QUERY_KINDS:
        of_kind = [q for q in every if q.kind == kind]
        assert len(of_kind) > 0.15 * len(every)
        assert 0 < sum(q.multi_ref for q in of_kind) < len(of_kind)
    assert {q.category for q in every} == set(DRAW)


def test_queries_carry_what_they_refer_to(layouts):
    for layout in layouts:
        for query, choice in zip(layout.queries(), layout.choices):
            objects = [layout.plan.objects[i] for i in choice.referents]
            assert query.referents == len(objects) >= 1
            assert query.hops == choice.meaning.hops and (query.hops > 1) == (query.kind == 'multi-hop')
            assert {obj.category for obj in objects} == {query.category}
            expected = np.zeros(layout.plan.size, np.uint8)
            for obj in objects:
                cv2.fillPoly(expected, [np.round(p).astype(np.int32) for p in obj.polygons], 1)
            mask = query.region.mask(layout.plan.size)
            assert np.array_equal(mask, expected.astype(bool))
            assert 0.003 < mask.mean() < 0.6


def test_place_and_neighbors_matter(layouts):
    """Most position and multi-hop queries cannot be answered from the category alone."""
    for kind in ('position', 'multi-hop'):
        told_apart = [
            len(choice.referents) < sum(obj.category == choice.meaning.category for obj in layout.plan.objects)
            for layout in layouts
            for choice in layout.choices
            if choice.meaning.kind == kind
        ]
        assert np.mean(told_apart) > 0.6


def test_texts_are_short_and_filled(layouts):
    for choice in (choice for layout in layouts for choice in layout.choices):
        text = choice.wording.text
        assert 2 <= len(text.split()) <= 20 and not re.search(r'[{}]|\b(\w+) \1\b', text), text
        assert all(words in text for words in choice.wording.words.values()), choice


def test_several_are_named_in_the_plural(layouts):
    """The nouns of one and of several differ except where the one is a group by nature."""
    for category in DRAW:
        names = synthetic_words().category(category)
        assert set(names.singular) - set(names.plural) and names.plural, category
    choices = [choice for layout in layouts for choice in layout.choices]
    texts = {c.wording.text: len(c.referents) for c in choices if c.meaning.kind == 'one-hop'}
    assert any('lakes' in t or 'ponds' in t for t, n in texts.items() if n > 1)
    assert all(not re.search('lakes|ponds|lots|areas', t) for t, n in texts.items() if n == 1)
    everything = [c for c in choices if c.wording.text.startswith('all ')]
    assert everything and all(len(c.referents) > 1 for c in everything)


def test_outlines_are_simple_inside_the_image_and_apart(layouts):
    for layout in layouts:
        height, width = layout.plan.size
        objects = layout.plan.objects
        for i, obj in enumerate(objects):
            points = np.concatenate(obj.polygons)
            assert obj.outline.is_valid and all(len(p) >= 3 for p in obj.polygons)
            assert not any(part.interiors for part in shapely.get_parts(obj.outline))
            assert (points >= 0).all() and (points <= (width - 1, height - 1)).all()
            for other in objects[:i]:
                if {obj.category, other.category} == {'ship', 'sea'}:
                    assert other.outline.contains(obj.outline)
                else:
                    assert obj.outline.intersection(other.outline).area < 0.0005 * height * width
        assert not {'track', 'football'} <= {obj.category for obj in objects}  # a track holds a football field


def seen(category):
    """A plan with an object of the category, from real layouts."""
    for seed in range(500, 700):
        plan = make_plan(np.random.default_rng(seed), (512, 512))
        for obj in plan.objects:
            if obj.category == category:
                return plan, obj


@pytest.mark.parametrize('category', sorted(DRAW))
def test_what_is_drawn_is_what_the_polygon_says(category, monkeypatch):
    """Drawn alone, an object changes nearly all pixels of its polygon, and outside it only shadow and rim."""
    monkeypatch.setattr(terrain, 'scatter_trees', lambda *args: iter(()))
    plan, obj = seen(category)
    images = []
    for objects in ([obj], []):
        alone = Plan(plan.size, plan.meter, plan.sun, plan.shadow, plan.ground, objects)
        images.append(render(alone, np.random.SeedSequence(1)).astype(int))
    changed = np.abs(images[0] - images[1]).max(axis=-1) > 4
    inside = np.zeros(plan.size, np.uint8)
    cv2.fillPoly(inside, [np.round(p).astype(np.int32) for p in obj.polygons], 1)
    assert changed[inside > 0].mean() > 0.93
    reach = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    assert changed[reach > 26 * plan.meter].mean() == 0
    assert changed[(reach > 0) & (reach < 5)].mean() < 0.95 or category in ('sea', 'road', 'crossroads', 'river')

    red, green, blue = images[0][inside > 0].mean(axis=0)
    if category in ('sea', 'lake', 'river'):
        assert blue > red + 10
    if category == 'forest':
        assert green > red and green > blue + 10
    if category == 'track':
        assert ((images[0][..., 0] - images[0][..., 2])[inside > 0] > 50).mean() > 0.25


LOOKS = {
    'red': lambda r, g, b: (r > g + 35) & (r > b + 35),
    'blue': lambda r, g, b: b > r + 25,
    'orange': lambda r, g, b: (r > g + 30) & (r > b + 40),
    'yellow': lambda r, g, b: (r > b + 50) & (g > b + 35),
    'green': lambda r, g, b: (g > r + 12) & (g > b + 5),
    'brown': lambda r, g, b: (r > g + 15) & (r > b + 25) & (g < 135),
    'white': lambda r, g, b: (r > 165) & (abs(r - b) < 40),
    'gray': lambda r, g, b: (r < 125) & (abs(r - b) < 30),
    'full': lambda r, g, b: abs(r - b) > 30,  # painted cars
    'empty': lambda r, g, b: abs(r - b) < 12,
}
"""Value of an attribute to the pixels that show it, from red, green and blue."""


@pytest.mark.parametrize(
    'category, name, values', [(c, *item) for c, spec in CATEGORIES.items() for item in spec.attributes.items()]
)
def test_attributes_can_be_seen(category, name, values):
    """The same object drawn with each value: its own color is seen most where it is named."""
    plan, obj = seen(category)
    inside = np.zeros(plan.size, np.uint8)
    cv2.fillPoly(inside, [np.round(p).astype(np.int32) for p in obj.polygons], 1)
    pixels = {}
    for value in values:
        painted = type(obj)(category, obj.outline, {name: value}, obj.frame)
        only = Plan(plan.size, plan.meter, plan.sun, plan.shadow, plan.ground, [painted])
        pixels[value] = render(only, np.random.SeedSequence(2)).astype(int)[inside > 0].T
    for value in values:
        share = {drawn: LOOKS[value](*rgb).mean() for drawn, rgb in pixels.items()}
        others = [share[drawn] for drawn in values if drawn != value]
        assert share[value] > max(others) + 0.05, share


def test_noise_is_normalized_and_seeded():
    field = fractal(np.random.default_rng(0), (90, 130), 30, 4)
    assert field.shape == (90, 130) and abs(field.mean()) < 1e-4 and abs(field.std() - 1) < 1e-3
    assert np.array_equal(field, fractal(np.random.default_rng(0), (90, 130), 30, 4))
    canopy, tree = crowns(np.random.default_rng(0), (90, 130), 9)
    assert canopy.max() == 1 and canopy.min() >= 0 and 20 < len(np.unique(tree)) < 400
