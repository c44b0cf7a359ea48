"""Queries about drawn scenes, read back and judged on pixels by the evaluator of the labeled ones."""

from dataclasses import replace

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.preparation.expressions.evaluator import SYNTHETIC_NOUNS, RasterScene, read
from xemap.datasets.annotations import AnnotationFile, write_annotations
from xemap.language.places import EXTREMES, ZONES
from xemap.language.relations import DIRECTIONS
from xemap.language.words import SUPERLATIVES as SUPERLATIVE_WORDS
from xemap.preparation.synthetic.scene import lay_out_scene

SUPERLATIVES = frozenset(SUPERLATIVE_WORDS)


def rasters_of(plan):
    objects, known = [], []
    for obj in plan.objects:
        mask = np.zeros(plan.size, np.uint8)
        cv2.fillPoly(mask, [np.round(p).astype(np.int32) for p in obj.polygons], 1)
        objects.append((obj.category, mask.astype(bool)))
        known.append(set(obj.attributes.values()))
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
        same = {i for i, category in enumerate(rasters.categories) if category == choice.meaning.category}
        assert set(choice.distractors) == same - set(choice.referents)
        named = {i for anchor in reading.anchors for i in rasters.find(anchor)}
        assert set(choice.anchors) == named
        needed = dict(choice.needed)
        # Words of two anchors are listed with a comma.
        assert all(word in choice.wording.text for words in needed.values() for word in words.split(', '))
        assert choice.distractors or not needed
        shorter = {
            'relation': replace(reading, relation=None, anchors=()),
            'place': replace(reading, place=frozenset()),
            'superlative': replace(reading, words=reading.words - SUPERLATIVES),
        }
        for name, rest in shorter.items():
            if rest != reading and name not in needed:
                assert rasters.find(rest) == list(choice.referents), (name, choice)


def test_what_a_query_needs_is_in_its_file(tmp_path):
    layout = lay_out_scene(3, 512)
    write_annotations(tmp_path / 'a.arrow', [layout.record('a.jpg')])
    (record,) = AnnotationFile(tmp_path / 'a.arrow')
    assert record.queries == layout.queries()
    for query, choice in zip(record.queries, layout.choices):
        assert query.needed == choice.needed
        for region, objects in ((query.distractors, choice.distractors), (query.anchors, choice.anchors)):
            expected = np.zeros(layout.plan.size, bool)
            for i in objects:
                expected |= rasters_of(layout.plan).masks[i]
            assert np.array_equal(region.mask(layout.plan.size), expected)


def test_a_share_of_queries_needs_every_condition():
    def shares(needed_share):
        choices = [c for seed in range(20) for c in lay_out_scene(seed, 512, needed_share=needed_share).choices]
        return np.mean([
            set(c.meaning.without()) <= set(dict(c.needed)) for c in choices if c.meaning.kind != 'one-hop'
        ])  # fmt: skip

    assert shares(0) < shares(0.5) < shares(1) == 1


def test_every_condition_occurs_in_a_few_scenes():
    meanings = [choice.meaning for seed in range(45) for choice in lay_out_scene(seed, 512).choices]
    relations = {'next to', 'closest to', 'farthest from', 'between', *DIRECTIONS}
    assert {m.relation for m in meanings} - {None} == relations
    assert {m.place for m in meanings} - {None} == set(ZONES)
    assert {m.superlative for m in meanings} - {None} == {'largest', 'smallest', *EXTREMES}
    assert {m.hops for m in meanings} == {1, 2, 3}
