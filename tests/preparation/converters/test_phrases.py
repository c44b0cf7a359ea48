from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xemap.errors import DataError
from xemap.language.nouns import category_words, plural
from xemap.preparation.converters.phrases import PhraseTable


@pytest.mark.parametrize('category', ['StorageTank', 'storage_tank', 'storage-tank', ' Storage  Tank', 'storageTank'])
def test_category_names_become_words(category):
    assert category_words(category) == 'storage tank'


def test_abbreviations_and_numbers_stay_together():
    assert category_words('GSDMap') == 'gsd map'
    assert category_words('Level2Road') == 'level2 road'


@pytest.mark.parametrize(
    'noun, many',
    [
        ('storage tank', 'storage tanks'),
        ('bus', 'buses'),
        ('bench', 'benches'),
        ('city', 'cities'),
        ('highway', 'highways'),
        ('person', 'people'),
        ('military aircraft', 'military aircraft'),
        ('vehicles', 'vehicles'),
        ('grass', 'grasses'),
        ('box', 'boxes'),
    ],
)
def test_plural(noun, many):
    assert plural(noun) == many


def texts(table: PhraseTable, category: str, referents: int | None) -> set[str]:
    return {table.text(category, referents, f'{i}.jpg') for i in range(300)}


@pytest.fixture
def table(tmp_path):
    def write(content, **kwargs) -> PhraseTable:
        path = tmp_path / 'mine.json'
        path.write_text(json.dumps(content))
        return PhraseTable(path, **kwargs)

    return write


def test_one_is_singular_and_several_plural(table):
    mine = table(
        {
            'phrases': {'singular': ['the {name}'], 'plural': ['the {name}', 'all {name}']},
            'categories': {'Storage Tank': {'singular': ['tank'], 'plural': ['tanks', 'silos']}},
        }
    )
    assert texts(mine, 'storage_tank', 1) == {'the tank'}
    several = {'the tanks', 'all tanks', 'the silos', 'all silos'}
    assert texts(mine, 'storage_tank', 2) == several
    assert texts(mine, 'storage_tank', None) == several
    assert texts(mine, 'windMill', 1) == {'the wind mill'}
    assert texts(mine, 'windMill', 3) == {'the wind mills', 'all wind mills'}


def test_mass_names_serve_both_numbers(table):
    mine = table(
        {
            'phrases': {'singular': ['the {name}'], 'plural': ['all {name}'], 'mass': ['some {name}']},
            'categories': {'water': {'mass': ['water'], 'plural': ['lakes']}},
        }
    )
    assert texts(mine, 'water', 1) == {'some water'}
    assert texts(mine, 'water', 2) == {'some water', 'all lakes'}


def test_a_category_may_have_its_own_phrases(table):
    mine = table({'categories': {'water': {'mass': ['water'], 'phrases': {'mass': ['where the {name} is']}}}})
    assert texts(mine, 'water', 1) == {'where the water is'}


def test_own_table_replaces_by_category(table):
    mine = table({'categories': {'ship': {'singular': ['boat'], 'plural': ['boats']}}})
    assert all('boat' in text for text in texts(mine, 'ship', 1))
    assert texts(mine, 'airplane', 1) == texts(PhraseTable(), 'airplane', 1)


def test_packaged_table_has_variety_and_grammar():
    packaged = PhraseTable()
    assert len(texts(packaged, 'airplane', 4)) > 10
    assert all('airplanes' in text or 'planes' in text or 'aircraft' in text for text in texts(packaged, 'Airplane', 2))
    for text in texts(packaged, 'water', 2) | texts(packaged, 'building', 1):
        assert '{' not in text and text == text.strip()


def test_braces_are_text(table):
    mine = table({'phrases': {'singular': ['the {name} {0.__class__}']}})
    assert texts(mine, '{name.x}', 1) == {'the {name.x} {0.__class__}'}


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=20), st.text(max_size=30), st.integers(0, 9), st.sampled_from([1, 2, None]))
def test_wording_is_decided_by_seed_image_and_category(category, image, seed, referents):
    first = PhraseTable(seed=seed).text(category, referents, image)
    other = PhraseTable(seed=seed)
    other.text('something else', 3, 'between')
    assert other.text(category, referents, image) == first


def test_another_seed_gives_another_wording():
    one, two = PhraseTable(seed=1), PhraseTable(seed=2)
    differing = sum(one.text('ship', 2, f'{i}') != two.text('ship', 2, f'{i}') for i in range(100))
    assert differing > 50


@pytest.mark.parametrize(
    'content, message',
    [
        ([], 'JSON object'),
        ({'categorys': {}}, "unknown key 'categorys'"),
        ({'categories': []}, '"categories" must be an object'),
        ({'categories': {'ship': {'plurals': ['ships']}}}, "category 'ship' has unknown key 'plurals'"),
        ({'categories': {'ship': {'plural': 'ships'}}}, "'ship' plural must be a list"),
        ({'categories': {'ship': {'plural': []}}}, 'must be a list of texts'),
        ({'categories': {'ship': {'plural': [' ']}}}, 'not empty'),
        ({'phrases': {'plural': ['all of them']}}, "'all of them' must hold {name} once"),
    ],
)
def test_faulty_tables_are_refused(table, content, message):
    with pytest.raises(DataError, match=message) as error:
        table(content)
    assert 'mine.json' in str(error.value)


def test_table_that_is_missing_or_no_json(tmp_path):
    with pytest.raises(DataError, match='no.json cannot be read'):
        PhraseTable(tmp_path / 'no.json')
    (tmp_path / 'no.json').write_text('{')
    with pytest.raises(DataError, match='no.json cannot be read'):
        PhraseTable(tmp_path / 'no.json')
