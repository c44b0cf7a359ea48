"""Files by stem, and images beside their labels."""

from __future__ import annotations

import pytest

from xemap.errors import DataError
from xemap.preparation.converters import Converter


class Folder(Converter):
    def items(self):
        return []


@pytest.fixture
def tree(tmp_path, save_image):
    save_image(tmp_path / 'images/sub/b.PNG')
    save_image(tmp_path / 'images/a.jpg')
    for name in ('a.txt', 'sub/b.TXT', 'a.other'):
        path = tmp_path / 'labels' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('')
    return tmp_path


def test_pairs_in_the_order_of_the_images(tree):
    converter = Folder(tree)
    images, labels = converter.files(tree / 'images'), converter.files(tree / 'labels', ('.txt',))
    assert list(images) == ['a', 'b'] and list(labels) == ['a', 'b']
    pairs = [(key, image.name, label.name) for key, image, label in converter.pairs(images, labels)]
    assert pairs == [('a', 'a.jpg', 'a.txt'), ('b', 'b.PNG', 'b.TXT')]
    item = converter.item(images['b'], labels['b'], 'val')
    assert (item.name, item.split) == ('images/sub/b.PNG', 'val')


def test_two_files_of_one_key(tree, save_image):
    save_image(tree / 'images/sub/a.tif')
    with pytest.raises(DataError, match="same stem 'a'"):
        Folder(tree).files(tree / 'images')
    converter = Folder(tree, skip_bad=True)
    assert converter.files(tree / 'images')['a'].name == 'a.jpg'
    assert converter.report.counts == {'images_duplicated': 1}
    by_path = Folder(tree).files(tree / 'images', key=lambda path: path.relative_to(tree).as_posix())
    assert list(by_path) == ['images/a.jpg', 'images/sub/a.tif', 'images/sub/b.PNG']


def test_one_of_a_pair_is_missing(tree):
    (tree / 'labels/a.txt').rename(tree / 'labels/c.txt')

    def pairs(converter):
        return list(converter.pairs(converter.files(tree / 'images'), converter.files(tree / 'labels', ('.txt',)), 'X'))

    with pytest.raises(DataError, match=r"X .*c\.txt has no image 'c'"):
        pairs(Folder(tree))
    (tree / 'labels/c.txt').unlink()
    with pytest.raises(DataError, match=r"image .*a\.jpg has no X 'a'"):
        pairs(Folder(tree))
    converter = Folder(tree, skip_bad=True)
    assert [key for key, _, _ in pairs(converter)] == ['b']
    assert converter.report.counts == {'images_not_annotated': 1}


@pytest.mark.parametrize('folder', ['nowhere', 'labels'])
def test_folder_missing_or_empty(tree, folder):
    with pytest.raises(DataError, match=f'{folder} is missing or holds no image'):
        Folder(tree).files(tree / folder)
    converter = Folder(tree, skip_bad=True)
    assert converter.files(tree / folder) == {} and converter.report.counts == {'lists_empty': 1}


def test_boxes(tree):
    converter = Folder(tree, skip_bad=True)
    instance = converter.box_instance('car', (10, 5, 100, 20), (40, 60), 'line 1')
    (polygon,) = instance.region.polygons((40, 60))
    assert sorted(map(tuple, polygon)) == [(10, 5), (10, 25), (60, 5), (60, 25)]
    for box in ((10, 5, -1, 4), (1, 2, 3), (1, 2, float('nan'), 4)):
        assert converter.box_instance('car', box, (40, 60), 'line 2') is None
    assert converter.report.counts == {'polygons_clipped': 1, 'bad_annotations': 3}
    with pytest.raises(DataError, match='line 2: box .* none of them negative'):
        Folder(tree).box_instance('car', (1, 2, 3, -4), (40, 60), 'line 2')
