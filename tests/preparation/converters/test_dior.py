"""DIOR and DIOR-R: lists, boxes, names, and the paper's division."""

from __future__ import annotations

import shutil

import pytest
from PIL import Image

from tests.trees.dior import make, upright, voc
from xemap.datasets.annotations import AnnotationFile
from xemap.errors import ConfigError, DataError, LayoutError
from xemap.preparation.converters import convert
from xemap.preparation.converters.dior import DiorConverter


@pytest.fixture
def root(tmp_path):
    make(tmp_path)
    return tmp_path


@pytest.fixture
def main(root):
    return root / 'DIOR/ImageSets/Main'


@pytest.mark.parametrize('boxes', ['oriented', 'horizontal'])
def test_tree(tmp_path, boxes):
    expected = make(tmp_path, images=7)
    report = convert(DiorConverter(tmp_path, boxes=boxes), tmp_path / 'out')
    assert dict(report.images) == expected['images'] == {'train': 10, 'val': 4}
    assert {split: sum(of.values()) for split, of in report.queries.items()} == expected['queries']
    assert report.counts == {'polygons_clipped': 14}
    record = AnnotationFile(tmp_path / 'out/train.arrow')[0]
    assert record.image.startswith('DIOR/JPEGImages-trainval/') and record.source == 'dior'
    station, vehicles = record.queries
    assert (station.category, station.referents) == ('expressway toll station', 1)
    assert (vehicles.category, vehicles.referents) == ('vehicle', 2)
    # The second vehicle runs past the left border.
    assert vehicles.region.polygons(record.size)[1].min(0).tolist() == [0, 70]
    corners = station.region.polygons(record.size)[0]
    aligned = len(set(corners[:, 0].tolist())) == 2
    assert aligned == (boxes == 'horizontal')


def test_division(root, main):
    ids = [f'{number:05d}' for number in range(1, 2001)]
    (main / 'train.txt').write_text('\n'.join(ids[::2]))
    (main / 'val.txt').write_text('\n'.join(ids[1::2]))

    def splits(**options) -> dict[str, str]:
        return DiorConverter(root, **options).listed_ids()

    divided = splits()
    assert sorted(divided) == ids
    assert list(divided.values()).count('val') == round(2000 * 3725 / 11725)
    assert divided == splits() != splits(split_seed=1)
    official = splits(official_split=True)
    assert {key for key, split in official.items() if split == 'val'} == set(ids[1::2])


def test_full_size_division_is_that_of_table_1(root, main):
    (main / 'train.txt').write_text('\n'.join(f'{number:05d}' for number in range(1, 5863)))
    (main / 'val.txt').write_text('\n'.join(f'{number:05d}' for number in range(5863, 11726)))
    splits = list(DiorConverter(root).listed_ids().values())
    assert (splits.count('train'), splits.count('val')) == (8000, 3725)


def test_official_split(root):
    items = DiorConverter(root, official_split=True).items()
    assert [(item.split, item.image.stem) for item in items] == [
        ('train', '00001'), ('train', '00004'), ('train', '00007'),
        ('val', '00002'), ('val', '00005'), ('val', '00008'),
    ]  # fmt: skip


@pytest.mark.parametrize('line', ['00001.jpg', '../00001', '00001 1'])
def test_lists_of_another_make(root, main, line):
    with (main / 'val.txt').open('a') as file:
        file.write(f'{line}\n')
    with pytest.raises(LayoutError, match=r'val\.txt line 4: .* is no image id'):
        DiorConverter(root, skip_bad=True).items()


def test_faulty_lists(root, main):
    (main / 'val.txt').write_text('00001\n')
    with pytest.raises(DataError, match="line 1: image '00001' is listed twice"):
        DiorConverter(root).items()
    converter = DiorConverter(root, skip_bad=True)
    assert len(converter.items()) == 3
    assert converter.report.counts == {'images_duplicated': 1, 'images_in_no_split': 3}
    (main / 'val.txt').write_text('\n')
    with pytest.raises(DataError, match=r'val\.txt is empty'):
        DiorConverter(root).items()
    (main / 'val.txt').unlink()
    with pytest.raises(DataError, match=r'val\.txt cannot be read'):
        DiorConverter(root, skip_bad=True).items()


def test_what_is_missing(root):
    (root / 'DIOR/JPEGImages-trainval/00001.jpg').unlink()
    (root / 'DIOR/Annotations/Oriented Bounding Boxes/00002.xml').unlink()
    with pytest.raises(DataError, match='00001|00002'):
        DiorConverter(root).items()
    converter = DiorConverter(root, skip_bad=True)
    assert len(converter.items()) == 4
    assert converter.report.counts == {'annotations_without_image': 1, 'images_not_annotated': 1}


def test_faulty_annotations(root):
    file = root / 'DIOR/Annotations/Horizontal Bounding Boxes/00001.xml'
    file.write_text(voc('00001.jpg', [f'<name>zeppelin</name>{upright(1, 2, 30, 40)}']))

    def record(**options):
        converter = DiorConverter(root, boxes='horizontal', official_split=True, **options)
        return converter.record(converter.items()[0]), converter.report.counts

    with pytest.raises(DataError, match="object 1: category 'zeppelin'"):
        record()
    assert record(skip_bad=True) == (None, {'labels_unknown': 1, 'images_without_queries': 1})
    Image.new('RGB', (128, 100)).save(root / 'DIOR/JPEGImages-trainval/00001.jpg')
    with pytest.raises(DataError, match='is 128 x 100 pixels, .* says 128 x 96'):
        record()
    oriented = root / 'DIOR/Annotations/Oriented Bounding Boxes/00001.xml'
    shutil.copy(oriented, file)  # the other kind of boxes in this folder
    Image.new('RGB', (128, 96)).save(root / 'DIOR/JPEGImages-trainval/00001.jpg')
    with pytest.raises(LayoutError, match='no <bndbox> .*robndbox'):
        record(skip_bad=True)


def test_an_image_that_nothing_names(root):
    Image.new('RGB', (128, 96)).save(root / 'DIOR/JPEGImages-trainval/99999.jpg')
    with pytest.raises(DataError, match=r'99999\.jpg has no annotation .* no list names it'):
        DiorConverter(root).items()
    converter = DiorConverter(root, skip_bad=True)
    converter.items()
    assert converter.report.counts == {'images_not_annotated': 1}


def test_unknown_boxes(root):
    with pytest.raises(ConfigError, match="boxes 'round'"):
        DiorConverter(root, boxes='round')


def test_real_file(shared_dir, tmp_path):
    folder = tmp_path / 'DIOR'
    shutil.copytree(shared_dir / 'data/dior_r', folder)
    (folder / 'ImageSets/Main').mkdir(parents=True)
    shutil.copy(folder / 'demo.txt', folder / 'ImageSets/Main/train.txt')
    (folder / 'ImageSets/Main/val.txt').touch()
    converter = DiorConverter(tmp_path, images='JPEGImages', skip_bad=True)
    (item,) = converter.items()
    record = converter.record(item)
    assert record.size == (800, 800) and item.split == 'train'
    (query,) = record.queries
    assert (query.category, query.referents) == ('golf field', 1)
    assert query.region.polygons(record.size)[0].tolist() == [[133, 237], [684, 237], [684, 672], [133, 672]]
