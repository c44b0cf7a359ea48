from __future__ import annotations

import json
from importlib import resources
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xemap.errors import ConfigError
from xemap.language.decompose import Part, decompose, whole_and_parts
from xemap.language.words import NOUNS
from xemap.preparation.synthetic import lay_out_scene
from xemap.preparation.synthetic.queries import synthetic_words

WORDS = json.loads(resources.files('xemap.language').joinpath('words.json').read_text())
TARGETS = (
    'the parking lot',
    'storage tanks',
    'the track and field ground',
    'crossing roads',
    'the white-roofed buildings',
)
ANCHORS = (
    'the river',
    'the athletics track',
    'the smallest group of tennis courts',
    'the sports ground with a running track',
)


def texts(query: str) -> list[str]:
    return [part.text for part in decompose(query)]


@pytest.mark.parametrize('wording', [w for wordings in WORDS['relations'].values() for w in wordings])
def test_relations_separate(wording):
    for target, anchor in product(TARGETS, ANCHORS):
        expected = [target, anchor] + ['the road'] * ('{other}' in wording)
        where = wording.replace('{anchor}', anchor).replace('{other}', 'the road')
        assert texts(f'{target} {where}') == expected


@pytest.mark.parametrize('wording', [w for wordings in WORDS['relations'].values() for w in wordings])
def test_expression_relations_separate_in_every_sentence(wording):
    where = wording.replace('{anchor}', 'the body of water').replace('{other}', 'the road')
    for sentence in (*WORDS['sentences']['singular'], *WORDS['sentences']['plural']):
        parts = decompose(sentence.replace('{noun}', 'long patches of trees').replace('{where}', where))
        assert [part.role for part in parts] == ['target', 'anchor'] + ['anchor'] * ('{other}' in wording)
        assert parts[0].text in ('the long patches of trees', 'all long patches of trees', 'long patches of trees')
        assert parts[1].text == 'the body of water'


def places() -> list[str]:
    zones = [w if '{noun}' in w else f'{{noun}} {w}' for ws in WORDS['places'].values() for w in ws]
    extremes = [w for ws in WORDS['attributes']['superlative'].values() for w in ws]
    return [wording.replace('{noun}', 'lake') for wording in (*zones, *extremes)]


@pytest.mark.parametrize('place', places())
def test_a_place_in_the_image_stays_with_its_noun(place):
    assert texts(place) == [place]
    for relation in ('next to', 'to the right of', 'closest to', 'above'):
        assert texts(f'the {place} {relation} the road') == [f'the {place}', 'the road']


def attributes() -> list[str]:
    values = [ws for name, values in WORDS['attributes'].items() if name != 'superlative' for ws in values.values()]
    return [wording for wordings in values for wording in wordings]


@pytest.mark.parametrize('wording', attributes())
def test_attributes_stay_with_their_noun(wording):
    noun = wording.replace('{noun}', 'tank farm')
    assert texts(noun) == [noun]
    assert texts(f'the {noun} beside the {noun}') == [f'the {noun}'] * 2


def test_every_category_name_is_one_part():
    nouns = {n for words in synthetic_words().categories.values() for key in NOUNS for n in getattr(words, key)}
    assert len(nouns) > 100
    for noun in nouns:
        assert texts(noun) == [noun]


@pytest.mark.parametrize(
    ('query', 'parts'),
    [
        ('storage tanks', ['storage tanks']),
        ('two yellow cranes are unloading from a ship', ['two yellow cranes', 'a ship']),
        ('two yellow cranes unloading from a ship', ['two yellow cranes', 'a ship']),
        ('a plane taking off from the runway', ['a plane', 'the runway']),
        ('boats that are heading towards the harbor', ['boats', 'the harbor']),
        ('two bridges span a river', ['two bridges', 'a river']),
        ('three roads cross the canal near a mill', ['three roads', 'the canal', 'a mill']),
        ('the building to the left of the lake', ['the building', 'the lake']),
        ('crossing roads next to a field', ['crossing roads', 'a field']),
        ('the parking lot next to the football field is full of cars', ['the parking lot', 'the football field']),
        ('a lot beside the field that is full of cars', ['a lot', 'the field that is full of cars']),
        ('the lot next to the field is near a road', ['the lot', 'the field', 'a road']),
        ('the lake between the road and the wood has a green shore', ['the lake', 'the road', 'the wood']),
        ('Find all buildings', ['Find all buildings']),
        ('the building cluster between the road and the lake', ['the building cluster', 'the road', 'the lake']),
        ('ships between sea and shore', ['ships', 'sea', 'shore']),
        ('a lot between the track and field ground and the road', ['a lot', 'the track and field ground', 'the road']),
        ('where is the house right next to the river?', ['the house', 'the river']),
        ('a house with a red roof and a wall near the pond', ['a house with a red roof and a wall', 'the pond']),
        ('planes on the runway next to the lake and the forest', ['planes', 'the runway', 'the lake', 'the forest']),
        ('some cars are parked in a lot surrounded by green woods.', ['some cars', 'a lot', 'green woods']),
        ('bare ground in forest near the lake', ['bare ground in forest', 'the lake']),
        ('tanks built on grey concrete floor', ['tanks', 'grey concrete floor']),
        ('the island in the middle of the lake', ['the island', 'the lake']),
        ('three fields next to each other', ['three fields next to each other']),
        ('Next to the school, there are cars parked in the lot', ['cars', 'the lot', 'the school']),
        ('Between road and lake, find two sheds', ['two sheds', 'road', 'lake']),
        ('next to the, find the lake', ['next to the, find the lake']),
        ('planes parked inside', ['planes parked inside']),
        ('a lake, and a road next to it', ['a lake', 'a road next to it']),
        ('the lake next to the', ['the lake next to the']),
        ('next to the river', ['next to the river']),
    ],
)  # fmt: skip
def test_parts(query, parts):
    assert texts(query) == parts


def test_parts_of_synthetic_queries_are_as_many_as_their_hops():
    choices = [choice for seed in range(60) for choice in lay_out_scene(seed, 512).choices]
    wrong = [c.wording.text for c in choices if len(decompose(c.wording.text)) != c.meaning.hops]
    assert len(choices) > 500 and not wrong


def test_roles_and_relations():
    assert decompose('the lake to the left of the road and the two houses') == [
        Part('the lake', 'target'),
        Part('the road', 'anchor', 'to the left of'),
        Part('the two houses', 'anchor', 'and'),
    ]
    assert [part.role for part in decompose('a lake and four courts on the bare ground')] == [
        'target',
        'target',
        'anchor',
    ]


def test_real_captions(shared_dir):
    """Every caption gives parts that are in it; most of several hops are split."""
    annotations = json.loads((shared_dir / 'data/airslt/anno.json').read_text())
    captions = {text for entry in strings(annotations) if ' ' in (text := entry.strip())}
    split = [caption for caption in captions if len(decompose(caption)) > 1]
    assert len(captions) > 50 and len(split) > 40
    assert all(part.text in caption for caption in captions for part in decompose(caption))


def strings(node):
    if isinstance(node, str):
        yield node
    elif isinstance(node, (dict, list)):
        for child in node.values() if isinstance(node, dict) else node:
            yield from strings(child)


LITTLE_WORDS = [
    'the',
    'lake',
    'next to',
    'between',
    'and',
    'on',
    'in',
    'with',
    'is',
    'right',
    'of',
    'top',
    'find',
    ',',
    '.',
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(LITTLE_WORDS), min_size=1))
def test_any_text_gives_parts_that_are_in_it(words):
    query = ' '.join(words)
    parts = decompose(query)
    assert parts[0].role == 'target' and all(part.text.strip() and part.text in query for part in parts)


def test_parts_by_hand():
    assert decompose('anything', ['the lot', ' the lake ']) == [Part('the lot', 'target'), Part('the lake', 'anchor')]
    texts, parts = whole_and_parts(['a b'], ['a', 'b'])
    assert texts == ['a b', 'a', 'b'] and [part.text for part in parts['a b']] == ['a', 'b']
    with pytest.raises(ConfigError, match='2 parts are given for 2 queries'):
        whole_and_parts(['a b', 'c'], ['a', 'b'])
    for query, parts in (('', []), ('a', [' '])):
        with pytest.raises(ConfigError, match='is empty'):
            decompose(query, parts)


def test_each_text_is_asked_once():
    texts, parts = whole_and_parts(['the road', 'the lake next to the road', 'the house next to the lake'])
    assert texts == ['the road', 'the lake next to the road', 'the house next to the lake', 'the lake', 'the house']
    assert list(parts) == texts[1:3]
