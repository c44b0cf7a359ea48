"""Queries about drawn scenes, read back and judged on pixels by the evaluator of the labeled ones."""

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.preparation.expressions.evaluator import SYNTHETIC_NOUNS, RasterScene, read
from xemap.language.places import EXTREMES, ZONES
from xemap.language.relations import DIRECTIONS
from xemap.preparation.synthetic.scene import lay_out_scene


def rasters_of(plan):
    objects, known = [], []
    for obj in plan.objects:
        mask = np.zeros(plan.size, np.uint8)
        cv2.fillPoly(mask, [np.round(p).astype(np.int32) for p in obj.polygons], 1)
        objects.append((obj.category, mask.astype(bool)))
        known.append({{'grey': 'gray'}.get(value, value) for value in obj.attributes.values()})
    return RasterScene(objects, np.zeros((*plan.size, 3), np.uint8), known)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.sampled_from([(512, 512), (400, 640)]))
def test_referents_are_exactly_what_the_pixels_say(seed, size):
    scene = lay_out_scene(seed, size)
    rasters = rasters_of(scene.plan)
    for choice in scene.choices:
        reading = read(choice.wording.text, SYNTHETIC_NOUNS)
        assert rasters.find(reading) == list(choice.referents), choice
        assert choice.meaning.hops == 1 + len(reading.anchors)


def test_every_condition_occurs_in_a_few_scenes():
    meanings = [choice.meaning for seed in range(45) for choice in lay_out_scene(seed, 512).choices]
    relations = {'next to', 'closest to', 'farthest from', 'between', *DIRECTIONS}
    assert {m.relation for m in meanings} - {None} == relations
    assert {m.place for m in meanings} - {None} == set(ZONES)
    assert {m.superlative for m in meanings} - {None} == {'largest', 'smallest', *EXTREMES}
    assert {m.hops for m in meanings} == {1, 2, 3}
