from __future__ import annotations

import json
from importlib import resources
from itertools import product
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tools.small_run import write_run
from tests.tools.test_train import load_tool
from xemap.cli import run
from xemap.errors import ConfigError
from xemap.inference.map_store import MapStore
from xemap.inference.result import Result
from xemap.language.decompose import PICTURE_SIDE, Part, PartsInferencer, decompose, parts_picture, whole_and_parts
from xemap.language.words import NOUNS
from xemap.preparation.synthetic.queries import synthetic_words
from xemap.raster.georeference import Georeference
from xemap.visualization.overlay import OUTLINE

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
        found = decompose(sentence.replace('{noun}', 'long patches of trees').replace('{where}', where))
        assert [part.role for part in found] == ['target', 'anchor'] + ['anchor'] * ('{other}' in wording)
        assert found[0].text in ('the long patches of trees', 'all long patches of trees', 'long patches of trees')
        assert found[1].text == 'the body of water'


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
    nouns = {n for own in synthetic_words().categories.values() for key in NOUNS for n in getattr(own, key)}
    assert len(nouns) > 100
    for noun in nouns:
        assert texts(noun) == [noun]


@pytest.mark.parametrize(
    ('query', 'parts'),
    [
        ('storage tanks', ['storage tanks']),
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
    found = decompose(query)
    assert found[0].role == 'target' and all(part.text.strip() and part.text in query for part in found)


def test_parts_by_hand():
    assert decompose('anything', ['the lot', ' the lake ']) == [Part('the lot', 'target'), Part('the lake', 'anchor')]
    asked, own = whole_and_parts(['a b'], ['a', 'b'])
    assert asked == ['a b', 'a', 'b'] and [part.text for part in own['a b']] == ['a', 'b']
    with pytest.raises(ConfigError, match='2 parts are given for 2 queries'):
        whole_and_parts(['a b', 'c'], ['a', 'b'])
    for query, parts in (('', []), ('a', [' '])):
        with pytest.raises(ConfigError, match='is empty'):
            decompose(query, parts)


def test_each_text_is_asked_once():
    asked, own = whole_and_parts(['the road', 'the lake next to the road', 'the house next to the lake'])
    assert asked == ['the road', 'the lake next to the road', 'the house next to the lake', 'the lake', 'the house']
    assert list(own) == asked[1:3]


def stand_in(image, queries, **options):
    """Map of query i is i / 10 everywhere."""
    store = MapStore(len(queries), image.shape[:2])
    for i in range(len(queries)):
        store.write(i, 0, np.full(image.shape[:2], i / 10, np.float32))
    pictures = [np.zeros((4, 4, 3), np.uint8)] * len(queries) if options.get('pictures') else None
    return Result('array', list(queries), store, Georeference(), pictures=pictures)


def test_picture_of_a_multi_hop_query_shows_whole_and_parts():
    image = np.full((200, 300, 3), 128, np.uint8)
    asked, own = whole_and_parts(['the road', 'the lake next to the road'])
    result = PartsInferencer(stand_in, own)(image, asked, pictures=True)
    flat = [np.full((200, 300), value, np.float32) for value in (0.1, 0.2, 0.0)]
    wanted = parts_picture(image, asked[1], flat[0], {'the lake': flat[1], 'the road': flat[2]})
    assert np.array_equal(result.pictures[1], wanted)
    assert wanted.shape[1] > 4 * 300, 'image, whole and two parts'
    assert result.pictures[0].shape == (4, 4, 3), 'one hop: as it was'
    assert PartsInferencer(stand_in, own)(image, asked).pictures is None


def test_picture_has_the_outlines_of_the_whole():
    def with_regions(image, queries, **options):
        result = stand_in(image, queries, **options)
        result.regions = [[], [SimpleNamespace(polygon=shapely.box(300, 200, 600, 400))], [], []]
        return result

    asked, own = whole_and_parts(['the road', 'the lake next to the road'])
    image = np.full((600, 900, 3), 128, np.uint8)
    picture = PartsInferencer(with_regions, own)(image, asked, pictures=True).pictures[1]
    rows, columns = np.nonzero((picture == OUTLINE).all(axis=2))
    scale = PICTURE_SIDE / 900
    assert abs(np.ptp(columns) - 300 * scale) <= 3 and abs(np.ptp(rows) - 200 * scale) <= 3
    assert columns.max() < PICTURE_SIDE, 'on the image, not on the maps'


def test_tool_draws_the_parts(tmp_path, capsys):
    config = write_run(tmp_path)
    tool = load_tool('infer')

    def infer(*words):
        model = ['--config', config, '--checkpoint', 'none', '--device', 'cpu', '--out', tmp_path / 'out']
        words = [tmp_path / '0.png', '--query', 'the meadow next to the river', *model, *words]
        return run(tool.main, tool.parse_args([str(word) for word in words]))

    assert infer() == 0
    file = tmp_path / 'out/0/01_the-meadow-next-to-the-river.png'
    alone = cv2.imread(str(file)).shape
    assert infer('--overwrite', '--decompose') == 0
    assert cv2.imread(str(file)).shape[1] > 1.5 * alone[1]
    assert [path.name for path in sorted(file.parent.glob('*.png'))][1:] == ['02_the-meadow.png', '03_the-river.png']
    record = json.loads((file.parent / 'result.json').read_text())
    assert record['settings']['parts'] == {'the meadow next to the river': ['the meadow', 'the river']}
    assert infer('--resume', '--decompose', 'meadow', 'river') == 2
    assert 'was made with parts' in capsys.readouterr().err
    assert infer('--overwrite', '--decompose', '--format', 'npy') == 2
    assert '--decompose draws pictures' in capsys.readouterr().err
