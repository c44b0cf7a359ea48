from __future__ import annotations

import json
from itertools import product

import pytest

from tests.preparation.expressions.evaluator import read
from xemap.errors import DataError
from xemap.language.directions import mirror_directions
from xemap.language.expression import Expression
from xemap.language.places import ZONES
from xemap.language.relations import RELATIONS
from xemap.language.scene import Scene
from xemap.language.wording import put_into_words
from xemap.language.words import SUPERLATIVES, Words, usable
from xemap.preparation.expressions.objects import measured_scene
from xemap.preparation.instance import Instance
from xemap.structures import PolygonRegion


class Chooser:
    """A random generator whose every pick is prescribed."""

    def __init__(self, picks) -> None:
        self.picks = list(picks)

    def integers(self, number: int) -> int:
        return (self.picks.pop(0) if self.picks else 0) % number

    def random(self) -> float:
        return (self.integers(5) + 0.5) / 5


def box(left, top, right, bottom):
    return PolygonRegion([[[left, top], [right, top], [right, bottom], [left, bottom]]])


@pytest.fixture(scope='module')
def scene() -> Scene:
    """Expressions need referents to be put into words: a scene where one and several of a kind are found."""
    ships = [Instance('ship', box(x, 20, x + 30, 60)) for x in (10, 200, 300)]
    others = [Instance('harbor', box(100, 300, 300, 390)), Instance('road', box(0, 200, 399, 210))]
    return measured_scene([*ships, *others], (400, 400), Words())


ONE_ANCHOR = [relation for relation in RELATIONS if relation != 'between']
MEANINGS = [
    *(Expression('ship', place=zone) for zone in ZONES),
    *(Expression('ship', superlative=word) for word in SUPERLATIVES),
    *(Expression('ship', relation=relation, anchors=(Expression('harbor'),)) for relation in ONE_ANCHOR),
    *(Expression('ship', relation=relation, anchors=(Expression('road'),)) for relation in ONE_ANCHOR),
    Expression('ship', relation='between', anchors=(Expression('harbor'), Expression('road'))),
    *(Expression('ship', attributes=(('color', color),), place='top') for color in ('red', 'gray', 'black')),
]


@pytest.mark.parametrize('several', [False, True])
def test_every_template_says_what_is_meant_also_in_the_mirror(scene, several, monkeypatch):
    """All wordings: a flip either rewrites them so that the opposite is said, or refuses them."""
    refused, rewritten = set(), set()
    monkeypatch.setattr(
        scene, 'resolve', lambda meaning: (3,) if meaning.category != 'ship' else (0, 1, 2) if several else (0,)
    )
    for meaning in MEANINGS:
        wordings = [put_into_words(meaning, scene, scene_words, Chooser(p)) for p in product(range(5), repeat=5)]
        texts = {wording.text for wording in wordings}
        assert len(texts) >= 4
        for text in texts:
            reading = read(text)
            assert (reading.category, reading.place) == ('ship', frozenset((meaning.place or '').split()))
            assert (reading.relation is None) == (meaning.relation is None)
            for direction in ('horizontal', 'vertical'):
                mirrored = mirror_directions(text, direction)
                if mirrored is None:
                    refused.add(text)
                else:
                    assert read(mirrored) == reading.mirrored(direction), (text, mirrored)
                    rewritten |= {text} if mirrored != text else set()
    assert any('left' in text for text in rewritten) and any('bottom' in text for text in rewritten)
    assert not any('top' in text for text in refused)


scene_words = Words()


def test_attributes_stand_in_front_of_an_anchor(scene, monkeypatch):
    monkeypatch.setattr(scene, 'resolve', lambda meaning: (0,))
    anchor = Expression('ship', superlative='leftmost')
    meaning = Expression('harbor', relation='next to', anchors=(anchor,))
    for picks in product(range(4), repeat=5):
        assert 'the leftmost' in put_into_words(meaning, scene, scene_words, Chooser(picks)).text


def test_trees_without_attributes_and_patches_with(scene, monkeypatch):
    words = Words()
    forest = measured_scene([Instance('tree', box(x, 0, x + 40, 40)) for x in (0, 100)], (400, 400), words)
    monkeypatch.setattr(forest, 'resolve', lambda meaning: (0, 1))
    plain = {put_into_words(Expression('tree', place='top'), forest, words, Chooser([k])).text for k in range(2)}
    long = Expression('tree', (('shape', 'long'),), place='top')
    described = {put_into_words(long, forest, words, Chooser([k])).text for k in range(2)}
    assert {' trees ' in text and 'patches' not in text for text in plain} == {True, False}
    assert all('long patches of trees' in text for text in described)


def test_an_own_file_replaces_lists_and_categories(tmp_path):
    mine = tmp_path / 'mine.json'
    mine.write_text(json.dumps({
        'places': {'left': ['at the left edge']},
        'attributes': {'color': {'gray': ['grayish {noun}']}},
        'categories': {'Ship': {'singular': ['boat'], 'plural': ['boats'], 'shapes': ['long']}, 'ferry': {}},
    }))  # fmt: skip
    words, default = Words(mine), Words()
    assert words.templates['places']['left'] == ('at the left edge',)
    assert words.templates['places']['right'] == default.templates['places']['right']
    assert words.templates['attributes']['color']['gray'] == ('grayish {noun}',)
    assert words.templates['attributes']['color']['red'] == default.templates['attributes']['color']['red']
    assert words.category('ships') == default.category('ships') != words.category('ship')
    assert words.category('ship').singular == ('boat',)
    assert (words.category('ferry').singular, words.category('ferry').plural) == (('ferry',), ('ferries',))


@pytest.mark.parametrize('spelling', ['baseballfield', 'Baseball-Field', 'baseball_field', 'BaseballField'])
def test_class_names_are_found_in_any_spelling(spelling):
    assert Words().category(spelling).singular[0] == 'baseball field'


def test_usable_nouns():
    assert usable(('vehicle', 'car'), ['small vehicle']) == ('car',)
    assert usable(('land',), ['farmland']) == ('land',)


@pytest.mark.parametrize(
    'content, match',
    [
        ('[]', 'JSON object'),
        ('{', 'cannot be read as JSON'),
        ({'place': {}}, "unknown key 'place'"),
        ({'places': {'top lef': ['x']}}, "unknown key 'top lef'"),
        ({'places': {'left': []}}, 'not empty'),
        ({'places': {'left': ['on the left of {anchor}']}}, 'no {}'),
        ({'places': {'left': ['{noun} left']}}, 'no {}'),
        ({'phrases': {'singular': {'the {thing}': 0.5}}}, 'sum to 1'),
        ({'places': {'left': ['on the port side']}}, 'must change'),
        ({'places': {'center': ['left of the middle']}}, 'must stay'),
        ({'relations': {'left of': ['west of {anchor}']}}, None),
        ({'relations': {'left of': ['before {anchor}']}}, 'must change'),
        ({'relations': {'next to': ['next to']}}, 'must hold {anchor} once'),
        ({'attributes': {'color': {'mauve': ['mauve {noun}']}}}, "unknown key 'mauve'"),
        ({'attributes': {'color': {'red': ['red']}}}, 'must hold {noun} once'),
        ({'phrases': {'singular': ['{thing} {thing}']}}, 'must hold {thing} once'),
        ({'categories': {'ship': {'fills_box': 1}}}, 'true or false'),
        ({'categories': {'ship': {'shapes': ['oval']}}}, 'oval'),
        ({'categories': {'ship': {'singular': ['north pier']}}}, 'must stay'),
        ({'categories': []}, 'categories'),
    ],
)
def test_wrong_files(tmp_path, content, match):
    path = tmp_path / 'words.json'
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    if match is None:
        Words(path)
        return
    with pytest.raises(DataError, match=match) as raised:
        Words(path)
    assert 'words.json' in str(raised.value)


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match='none.json'):
        Words(tmp_path / 'none.json')
