"""DOTA v2.0: lines, folders, and crops of large images."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.trees.dota import make
from xemap.datasets.annotations import AnnotationFile
from xemap.errors import ConfigError, DataError, LayoutError
from xemap.preparation.converters import convert
from xemap.preparation.converters.dota import DotaConverter

SHIP = '10 20 30 20 30 40 10 40 ship 0'


@pytest.fixture
def root(tmp_path):
    make(tmp_path)
    return tmp_path


@pytest.fixture
def labels(root):
    return root / 'DOTA/train/labelTxt/P0000.txt'


def first(converter):
    return converter.record(converter.items()[0])


def test_tree(tmp_path):
    expected = make(tmp_path, images=4)
    report = convert(DotaConverter(tmp_path), tmp_path / 'out')
    assert dict(report.images) == expected['images']
    assert {split: sum(of.values()) for split, of in report.queries.items()} == expected['queries']
    assert report.counts == {'objects_difficult': 8, 'lines_skipped': 8, 'polygons_clipped': 8}
    assert 'P0000.txt line 6: no object at all' in str(report.as_dict())
    file = AnnotationFile(tmp_path / 'out/train.arrow')
    assert [record.image for record in file] == [f'DOTA/train/images/P000{n}.png' for n in range(4)]
    for record in file:  # RGB, RGBA, gray, RGB
        planes, vehicle = record.queries
        assert (planes.category, planes.referents) == ('plane', 2)
        assert (vehicle.category, vehicle.referents) == ('small vehicle', 1)
        assert planes.region.polygons(record.size)[1][:, 0].min() == 0
        assert vehicle.region.polygons(record.size)[0].tolist() == [[150, 20], [170, 20], [170, 30], [150, 30]]


@pytest.mark.parametrize('folder', ['labelTxt-v2.0', 'labelTxt-v2.0/DOTA-v2.0_train'])
def test_folders_of_labels(root, labels, folder):
    target = root / 'DOTA/train' / folder
    shutil.copytree(labels.parent, target)
    (target / labels.name).write_text(SHIP)  # only this is v2.0
    if 'DOTA' in folder:  # upright boxes lie beside it
        shutil.copytree(labels.parent, target.with_name('DOTA-v2.0_train_hbb'))
    assert [query.category for query in first(DotaConverter(root)).queries] == ['ship']


@pytest.mark.parametrize(
    'line',
    [
        f'{SHIP} 0',
        '0 0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.2',  # YOLO
        '10,20 30 20 30 40 10 40 4 ship 0',
        '10 20 30 20 30 40 10 x ship 0',
    ],
)
def test_lines_of_another_make(root, labels, line):
    labels.write_text(f'gsd:1\n{line}\n')
    with pytest.raises(LayoutError, match=r'P0000\.txt line 2: '):
        first(DotaConverter(root, skip_bad=True))


def test_bad_objects_are_named_or_skipped(root, labels):
    labels.write_text(f'{SHIP.replace("ship", "zeppelin")}\n{SHIP.replace("10 20 30", "nan 20 30")}\n{SHIP}\n')
    with pytest.raises(DataError, match="line 1: category 'zeppelin' is none of DOTA"):
        first(DotaConverter(root))
    converter = DotaConverter(root, skip_bad=True)
    (query,) = first(converter).queries
    assert query.referents == 1
    assert converter.report.counts == {'labels_unknown': 1, 'bad_annotations': 1}


def test_what_has_no_partner(root, labels):
    labels.rename(labels.with_name('other.txt'))
    with pytest.raises(DataError, match=r'other\.txt has no image'):
        DotaConverter(root).items()
    converter = DotaConverter(root, skip_bad=True)
    assert len(converter.items()) == 5
    assert converter.report.counts == {'annotations_without_image': 1, 'images_not_annotated': 1}


def test_an_unreadable_image_with_and_without_crops(root):
    (root / 'DOTA/train/images/P0000.png').write_bytes(b'no image')
    for crop_size in (None, 100):
        with pytest.raises(DataError, match=r'P0000\.png is truncated or no known image'):
            convert(DotaConverter(root, crop_size=crop_size), root / 'out')
        converter = DotaConverter(root, crop_size=crop_size, skip_bad=True)
        assert convert(converter, root / 'out').counts['bad_images'] == 1


def test_crops(root, labels):
    """A 200 x 160 image in crops of 100: two columns, two rows of which the second begins at 60."""
    labels.write_text(
        '10 20 30 20 30 40 10 40 ship 0\n'
        # 30 of 40 columns left of the cut: 25 % lie in the second crop.
        '70 5 110 5 110 15 70 15 plane 0\n'
        # Right of the second row's begin and the first's end: in both rows.
        '120 65 140 65 140 95 120 95 harbor 1\n'
        # Half of it outside the image. Of the part inside, all is in the crop; of all, a quarter.
        '190 80 250 80 250 130 190 130 airport 0\n'
    )
    converter = DotaConverter(root, crop_size=100)
    items = [item for item in converter.items() if 'P0000' in item.name]
    assert [item.name for item in items] == [
        f'crops/dota/train/P0000_{x}_{y}.png' for x, y in ((0, 0), (100, 0), (0, 60), (100, 60))
    ]
    assert not (root / 'crops').exists()
    made = [converter.record(item) for item in items]
    assert made[2] is None and not items[2].image.exists()  # nothing in it, so not written
    assert [[query.category for query in record.queries] for record in made if record] == [
        ['plane', 'ship'], ['airport', 'harbor'], ['airport', 'harbor'],
    ]  # fmt: skip
    assert converter.report.counts == {
        'polygons_clipped': 3, 'objects_cut_off': 1, 'objects_difficult': 1, 'images_without_queries': 1,
    }  # fmt: skip
    plane, _ = made[0].queries
    assert plane.region.polygons((100, 100))[0][:, 0].max() == 100
    _, harbor = made[3].queries
    assert harbor.region.polygons((100, 100))[0].tolist() == [[20, 5], [40, 5], [40, 35], [20, 35]]
    whole = cv2.imread(str(root / 'DOTA/train/images/P0000.png'))
    for record, (x, y) in ((made[0], (0, 0)), (made[1], (100, 0)), (made[3], (100, 60))):
        assert record.size == (100, 100)
        np.testing.assert_array_equal(cv2.imread(str(root / record.image)), whole[y : y + 100, x : x + 100])


def test_crops_hold_the_objects_of_the_whole_image(root):
    """Every crop's mask is that part of the image's mask, where nothing is dropped."""
    whole = {}
    converter = DotaConverter(root)
    for item in converter.items():
        record = converter.record(item)
        for query in record.queries:
            whole[item.image.stem, query.category] = query.region.mask(record.size)
    converter = DotaConverter(root, crop_size=64, min_visible=1e-9)
    compared = 0
    for item in converter.items():
        record = converter.record(item)
        if record is not None:
            stem, x, y = item.image.stem.split('_')
            for query in record.queries:
                part = whole[stem, query.category][int(y) : int(y) + 64, int(x) : int(x) + 64]
                # Rounding of vertices on the cut may shift its outline by a pixel.
                assert (query.region.mask(record.size) != part).sum() <= 0.1 * part.sum() + 12
                compared += 1
    assert compared > 12


def test_images_no_longer_than_a_crop_stay_whole(root):
    Image.new('RGB', (260, 100)).save(root / 'DOTA/val/images/P1000.png')
    items = DotaConverter(root, crop_size=200).items()
    assert [item.name for item in items if item.split == 'train'] == [
        f'DOTA/train/images/P000{n}.png' for n in range(3)
    ]
    crops = [item for item in items if 'crops' in item.name]
    assert [crop.name for crop in crops] == ['crops/dota/val/P1000_0_0.png', 'crops/dota/val/P1000_60_0.png']
    converter = DotaConverter(root, crop_size=200)
    assert converter.record(crops[0]).size == (100, 200)


@pytest.mark.parametrize('options', [{'crop_size': 0}, {'min_visible': 0}, {'min_visible': 1.5}])
def test_options_out_of_range(root, options):
    with pytest.raises(ConfigError, match='crops of 0|min_visible'):
        DotaConverter(root, **options)


def test_real_files(shared_dir, tmp_path):
    source = shared_dir / 'data/dota'
    train = tmp_path / 'DOTA/train'
    shutil.copytree(source / 'images', train / 'images')
    shutil.copytree(source / 'labelTxt', train / 'labelTxt')
    (tmp_path / 'DOTA/val').mkdir()
    converter = DotaConverter(tmp_path, skip_bad=True)
    made = {item.image.stem: converter.record(item) for item in converter.items()}
    assert converter.report.counts['annotations_without_image'] == 5
    assert {stem: {query.category: query.referents for query in record.queries} for stem, record in made.items()} == {
        'P0706': {'harbor': 5, 'ship': 531},
        'P1888': {'large vehicle': 50, 'small vehicle': 14},
    }
    assert made['P0706'].size == (1182, 1111)
    assert converter.report.counts['objects_difficult'] == 6
    assert 'lines_skipped' not in converter.report.counts

    converter = DotaConverter(tmp_path, crop_size=512, skip_bad=True)
    made = [record for item in converter.items() if (record := converter.record(item)) is not None]
    assert len(made) == 9 + 4
    ships = [query.referents for record in made for query in record.queries if query.category == 'ship']
    assert sum(ships) >= 531
    # Every ship is somewhere: the crops overlap, so none is cut below 30 % everywhere.
    assert converter.report.counts['objects_difficult'] == 6  # once a file, not once a crop
