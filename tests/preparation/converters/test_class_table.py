from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from xemap.errors import DataError
from xemap.preparation.converters.class_table import ClassTable

COLORS = [
    {'color': '#ff0000', 'name': 'roof'},
    {'color': '0000FF', 'name': 'water'},
    {'color': '#000000', 'ignore': True},
]


@pytest.fixture
def write(tmp_path):
    def table(content, name: str = 'table.json') -> ClassTable:
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return ClassTable(path)

    return table


def test_json_and_csv_are_the_same(write):
    first = write(COLORS)
    second = write('color,name,ignore\n#FF0000,roof,\n#0000ff,water,no\n000000,,true\n', 'table.csv')
    assert (first.names, first.values, first.ignored) == (second.names, second.values, second.ignored)
    assert first.names == ['roof', 'water', 'ignored'] and first.ignored == [False, False, True]


@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'P'])
def test_colors_in_every_mode(write, mode):
    table = write(COLORS)
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[0, :] = (255, 0, 0)
    pixels[3, 2] = (0, 0, 255)
    image = Image.fromarray(pixels)
    image = image.quantize(4) if mode == 'P' else image.convert(mode)
    assert image.mode == mode
    classes, guessed = table.classes(table.mask_values(image, 'm'), 'm')
    expected = np.full((4, 6), 2)
    expected[0, :], expected[3, 2] = 0, 1
    np.testing.assert_array_equal(classes, expected)
    assert guessed == 0


@pytest.mark.parametrize('bits', [1, 2, 4, 8])
def test_indexed_png_of_few_bits(write, tmp_path, bits):
    indices = np.array([[0, 1], [1, 0]], np.uint8)
    image = Image.new('P', (2, 2))
    image.putdata(indices.reshape(-1).tolist())
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.save(tmp_path / 'm.png', bits=bits)
    table = write(COLORS)
    with Image.open(tmp_path / 'm.png') as mask:
        classes, _ = table.classes(table.mask_values(mask, 'm'), 'm')
    np.testing.assert_array_equal(classes, indices)


def test_unknown_color_says_what_to_do(write):
    table = write(COLORS)
    values = np.full((3, 3), 0xFF0000)
    values[0] = 0x123456
    values[1, 0] = 0x777777
    with pytest.raises(DataError) as error:
        table.classes(values, 'folder/m.png')
    message = str(error.value)
    assert 'folder/m.png has 3 pixels of unknown #123456 and 1 more unknown values' in message
    assert '"color": "#123456"' in message and 'table.json' in message and '--tolerance' in message


def test_nearest_color_within_tolerance(write):
    table = write(COLORS)
    values = np.array([[0xFF0000, 0xFC0003, 0x0004FF], [0x010101, 0x000000, 0x0000FF]])
    classes, guessed = table.classes(values, 'm', tolerance=5)
    assert classes.tolist() == [[0, 0, 1], [2, 2, 1]] and guessed == 3
    assert table.classes(values[:, :1], 'm', tolerance=5)[1] == 1
    with pytest.raises(DataError, match='1 pixels of unknown #0004FF'):
        table.classes(values, 'm', tolerance=3.9)


def test_ids_in_every_mode(write):
    table = write([{'id': 0, 'ignore': True}, {'id': 3, 'name': 'tree'}, {'id': 300, 'name': 'car'}])
    gray = np.array([[0, 3], [3, 0]], np.uint8)
    indexed = Image.new('P', (2, 2))
    indexed.putdata(gray.reshape(-1).tolist())
    for image in (Image.fromarray(gray), Image.fromarray(np.repeat(gray[..., None], 3, 2)), indexed):
        classes, _ = table.classes(table.mask_values(image, 'm'), 'm')
        assert classes.tolist() == [[0, 1], [1, 0]]
    deep = Image.fromarray(np.array([[300, 3]], np.uint16))
    assert table.classes(table.mask_values(deep, 'm'), 'm')[0].tolist() == [[2, 1]]
    with pytest.raises(DataError, match='1 pixels of unknown id 7; add {"id": 7'):
        table.classes(np.array([[7, 0]]), 'm')


def test_mask_and_table_of_different_kind(write):
    colored = Image.fromarray(np.array([[[255, 0, 0]]], np.uint8))
    with pytest.raises(DataError, match='m has colors'):
        write([{'id': 1, 'name': 'tree'}]).mask_values(colored, 'm')
    with pytest.raises(DataError, match='m has I;16 pixels'):
        write(COLORS).mask_values(Image.fromarray(np.zeros((2, 2), np.uint16)), 'm')
    with pytest.raises(DataError, match='values from -1'):
        write([{'id': 1, 'name': 'tree'}]).mask_values(Image.fromarray(np.full((2, 2), -1, np.int32)), 'm')


@pytest.mark.parametrize(
    'content, message',
    [
        ('{', 'neither'),
        ({'classes': []}, 'must be a list'),
        ([], 'is empty'),
        ([{'color': '#12345', 'name': 'a'}], "entry 1 has color '#12345'"),
        ([{'color': '#123456'}], 'entry 1 has no name'),
        ([{'color': '#123456', 'title': 'a'}], "unknown key 'title'"),
        ([{'color': '#123456', 'name': 'a'}, {'id': 3, 'name': 'b'}], 'entry 2 must have a color or an id'),
        ([{'name': 'b'}], 'entry 1 must have a color or an id'),
        ([{'id': 70000, 'name': 'a'}], "entry 1 has id '70000'"),
        ([{'id': -1, 'name': 'a'}], "entry 1 has id '-1'"),
        ([{'id': 1, 'name': 'a'}, {'id': 1, 'name': 'b'}], 'entry 2 has id 1 a second time'),
        ([{'id': 1, 'name': 'a', 'ignore': 'perhaps'}], "ignore 'perhaps'"),
    ],
)
def test_faulty_tables_are_refused(write, content, message):
    with pytest.raises(DataError, match=message) as error:
        write(content)
    assert 'table.json' in str(error.value)


def test_faulty_csv_is_refused(write):
    with pytest.raises(DataError, match='table.csv line 2 has another number of columns'):
        write('color,name\n#112233,a,b\n', 'table.csv')
    with pytest.raises(DataError, match='table.csv is empty'):
        write('', 'table.csv')
