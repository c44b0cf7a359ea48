"""No query's words cover more than its region; several wordings; text that is none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from xemap.errors import ConfigError, DataError
from xemap.language.nouns import category_words
from xemap.preparation.converters import CocoConverter, PhraseTable, convert, dota, inria, isprs, loveda, visdrone, voc
from xemap.preparation.expressions import ExpressionGenerator

BOXES = {'pedestrian': [1, 1, 4, 4], 'people': [10, 1, 4, 4], 'car': [20, 1, 6, 6]}


@pytest.fixture
def root(tmp_path) -> Path:
    Image.new('RGB', (60, 40)).save(tmp_path / 'a.png')
    names = list(BOXES)
    content = {
        'images': [{'id': 1, 'file_name': 'a.png'}],
        'categories': [{'id': number, 'name': name} for number, name in enumerate(names)],
        'annotations': [
            {'id': number, 'image_id': 1, 'category_id': number, 'bbox': BOXES[name]}
            for number, name in enumerate(names)
        ],
    }
    (tmp_path / 'a.json').write_text(json.dumps(content))
    return tmp_path


def queries_of(converter):
    (item,) = converter.items()
    return converter.record(item).queries


def test_people_are_pedestrians_as_well(root):
    queries = {query.category: query for query in queries_of(CocoConverter(root, 'a.json'))}
    assert {name: query.referents for name, query in queries.items()} == {'pedestrian': 1, 'people': 2, 'car': 1}
    mask = queries['people'].region.mask((40, 60))
    assert mask[2, 2] and mask[2, 12] and not mask[2, 22]
    assert not queries['pedestrian'].region.mask((40, 60))[2, 12]
    table = root / 'table.json'
    table.write_text('{"categories": {"people": {"plural": ["those who sit"]}}}')
    referents = {query.category: query.referents for query in queries_of(
        CocoConverter(root, 'a.json', phrases=PhraseTable(table)))}  # fmt: skip
    assert referents['people'] == 1  # an entry of one's own replaces what the package says of a category


SOURCES = {
    'visdrone': [name for name in visdrone.CATEGORIES if name not in visdrone.IGNORED],
    'dior': list(voc.DIOR_CATEGORIES.values()),
    'dota': sorted(dota.CATEGORIES),
    'loveda': [name for name in loveda.CLASSES.values() if name],
    'isprs': [name for name in isprs.COLORS.values() if name],
    'inria': list(inria.CLASSES.values()),
    'airbus': ['Airplane', 'Truncated_airplane'],
}
SYNONYMS = [{'person', 'people', 'pedestrian'}, {'bridge', 'overpass'}]
"""In a set, the words for each cover those after it, and "people" cover what the label "people" leaves out."""


@pytest.mark.parametrize('source', SOURCES)
def test_class_tables(source):
    """A name that ends in another category's words ("awning tricycle") is covered by them, in every wording."""
    phrases = PhraseTable()
    for category in SOURCES[source]:
        texts = {text for number in (1, 2) for text in phrases.texts(category, number, 'a', 100)}
        for other in SOURCES[source]:
            if other == category:
                continue
            names = {other_text for n in (1, 2) for other_text in phrases.texts(other, n, 'a', 100)}
            assert not texts & names, f'{category} and {other} have the same words'
            words, shorter = category_words(other).split(), category_words(category).split()
            if words[-len(shorter) :] == shorter:
                assert phrases.includes(category, other), f'{category} does not include {other}'
    if source == 'visdrone':
        assert phrases.includes('people', 'pedestrian') and phrases.includes('tricycle', 'awning tricycle')
    if source == 'dior':
        assert phrases.includes('bridge', 'overpass') and not phrases.includes('overpass', 'bridge')
    if source == 'dota':  # helicopters are aircraft, too
        assert not any('aircraft' in text for text in phrases.texts('plane', 2, 'a', 100))


def test_broad_categories_make_no_expressions(root):
    given = []

    class Generator(ExpressionGenerator):
        def queries(self, instances, size, name, pixels):
            given.extend(instance.category for instance in instances)
            return []

    queries_of(CocoConverter(root, 'a.json', expressions=Generator()))
    assert given == ['pedestrian', 'car']


def test_several_wordings(root):
    one = {query.category: query.text for query in queries_of(CocoConverter(root, 'a.json'))}
    queries = queries_of(CocoConverter(root, 'a.json', wordings=3))
    assert len(queries) == 9
    for category in BOXES:
        mine = [query for query in queries if query.category == category]
        assert len({query.text for query in mine}) == 3 and mine[0].text == one[category]
        assert all(query.region == mine[0].region for query in mine)
    # As many as the table has: 5 phrases for one car.
    assert len([q for q in queries_of(CocoConverter(root, 'a.json', wordings=99)) if q.category == 'car']) == 5
    with pytest.raises(ConfigError, match='wordings 0'):
        CocoConverter(root, 'a.json', wordings=0)


def test_half_a_surrogate_is_no_text(root):
    file = root / 'a.json'
    file.write_text(file.read_text().replace('"car"', '"car \\ud800"'))
    with pytest.raises(DataError, match=r'a\.png: .*\\ud800.* is no valid text'):
        convert(CocoConverter(root, 'a.json'), root / 'out')
    converter = CocoConverter(root, 'a.json', skip_bad=True)
    assert converter.record(converter.items()[0]) is None and converter.report.counts == {'bad_images': 1}


def test_the_folder_of_a_killed_conversion_goes_with_the_next_run(root):
    code = (
        'import os, signal, sys\n'
        'from xemap.preparation.converters import CocoConverter, convert\n'
        f'convert(CocoConverter({str(root)!r}, "a.json"), {str(root / "out")!r},\n'
        '        on_complete=lambda: os.kill(os.getpid(), signal.SIGKILL))\n'
    )
    done = subprocess.run([sys.executable, '-c', code], cwd=Path(__file__).parents[3])
    assert done.returncode == -9 and len(list((root / 'out').glob('.part-*'))) == 1
    alive = []
    # One that still works keeps its folder while another run starts and ends.
    convert(
        CocoConverter(root, 'a.json'), root / 'out',
        on_complete=lambda: alive.append((
            convert(CocoConverter(root, 'a.json', source='other'), root / 'out').files,
            len(list((root / 'out').glob('.part-*'))),
        )),
    )  # fmt: skip
    assert alive[0][1] == 1 and [path.name for path in (root / 'out').iterdir()] == ['train.arrow']
