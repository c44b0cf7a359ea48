from __future__ import annotations

import zipfile

import numpy as np
import pytest
from PIL import Image

from xemap.errors import ConfigError, DataError
from xemap.inference.sources import find_images
from xemap.raster.raster_file import open_raster, read_header


@pytest.fixture
def tree(tmp_path):
    for name in ('b.png', 'a.tif', 'sub/c.jpg', 'sub/deep/d.TIF'):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((3, 4, 3), 9, np.uint8)).save(path)
    (tmp_path / 'sub/notes.txt').write_text('no image')
    return tmp_path


def names(tree, *words, lists=()):
    images = find_images([f'{tree}/{word}' for word in words], lists)
    return [path.removeprefix(f'{tree}/') for path in images]


def test_folders_and_patterns(tree):
    everything = ['a.tif', 'b.png', 'sub/c.jpg', 'sub/deep/d.TIF']
    assert names(tree, '') == everything
    assert names(tree, '**/*.[jp]*g') == ['b.png', 'sub/c.jpg']
    assert names(tree, 'b.png', 'sub', '*.png') == ['b.png', 'sub/c.jpg', 'sub/deep/d.TIF']
    assert names(tree, 'missing.png') == ['missing.png']  # whoever opens it says so


def test_lists(tree):
    (tree / 'list.txt').write_text(f'sub/c.jpg\n\n{tree}/b.png\n/vsizip/x.zip/y.tif\n')
    assert find_images([], [tree / 'list.txt']) == [f'{tree}/sub/c.jpg', f'{tree}/b.png', '/vsizip/x.zip/y.tif']


@pytest.mark.parametrize('words, message', [(['*.gif'], 'fits no file'), (['empty'], 'holds no image')])
def test_nothing_found(tree, words, message):
    (tree / 'empty').mkdir()
    with pytest.raises(DataError, match=message):
        names(tree, *words)


def test_no_image_or_one_twice(tree):
    with pytest.raises(ConfigError, match='no image'):
        find_images([])
    with pytest.raises(ConfigError, match='twice'):
        names(tree, 'b.png', 'b.png')


@pytest.mark.parametrize('name', ['a.tif', 'b.png'])
def test_names_of_gdal(tree, name):
    with zipfile.ZipFile(tree / 'x.zip', 'w') as archive:
        archive.write(tree / name, name)
    source = f'/vsizip/{tree}/x.zip/{name}'
    assert find_images([source]) == [source] and read_header(source).size == (3, 4)
    with open_raster(source) as raster:
        assert (raster.read().rgb == 9).all()
