from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from tests.trees.inria import CITIES, make
from xemap.datasets.annotations import AnnotationFile
from xemap.errors import DataError, LayoutError
from xemap.preparation.converters import convert, crops
from xemap.preparation.converters.inria import InriaConverter
from xemap.raster.image_io import image_size

GT = 'AerialImageDataset/train/gt'
IMAGES = 'AerialImageDataset/train/images'


def test_generated_tree(tmp_path):
    expected = make(tmp_path)
    report = convert(InriaConverter(tmp_path), tmp_path / 'out')
    assert dict(report.images) == expected['images'] == {'train': 2, 'val': 1}
    assert report.counts == {'images_without_queries': 3}  # a crop of each tile has no building
    for split in ('train', 'val'):
        for record in AnnotationFile(tmp_path / f'out/{split}.arrow'):
            assert record.image.startswith('crops/inria/') and record.size == (512, 512)
            stem, x0, y0 = record.image[len('crops/inria/') : -len('.png')].rsplit('_', 2)
            window = np.s_[int(y0) : int(y0) + 512, int(x0) : int(x0) + 512]
            tile = np.array(Image.open(tmp_path / IMAGES / f'{stem}.tif'))[window]
            np.testing.assert_array_equal(np.array(Image.open(tmp_path / record.image)), tile)
            labels = np.array(Image.open(tmp_path / GT / f'{stem}.tif').convert('L'))[window]
            (query,) = record.queries
            np.testing.assert_array_equal(query.region.mask((512, 512)), labels == 255)
            assert (query.category, query.referents) == ('building', 1)


def test_a_full_tile_has_81_crops(tmp_path):
    make(tmp_path, images=2)
    Image.new('L', (5000, 5000)).save(tmp_path / IMAGES / 'austin1.tif', compression='tiff_lzw')
    items = InriaConverter(tmp_path).items()
    assert sum(item.annotation.image.stem == 'austin1' for item in items) == 81
    assert not (tmp_path / 'crops').exists()  # written as they are converted


def test_tiles_and_masks_are_decoded_once(tmp_path, monkeypatch):
    make(tmp_path)
    opened: list[str] = []
    monkeypatch.setattr(TiffImageFile, 'load_end', lambda self: opened.append(str(self.filename)))
    read = crops.read_image
    monkeypatch.setattr(crops, 'read_image', lambda path: opened.append(str(path)) or read(path))
    converter = InriaConverter(tmp_path, crop_size=64)
    items = converter.items()
    assert len(items) == 3 * 16 * 8
    for item in items:
        converter.record(item)
    assert sorted(opened) == sorted(str(path) for part in (GT, IMAGES) for path in (tmp_path / part).iterdir())


def test_division_by_tile(tmp_path):
    root = tmp_path / 'AerialImageDataset/train'
    for part in ('images', 'gt'):
        (root / part).mkdir(parents=True)
    for city in CITIES:
        for number in range(1, 37):
            for part in ('images', 'gt'):
                Image.new('L', (10, 10)).save(root / part / f'{city}{number}.tif')

    def val(**options):
        items = InriaConverter(tmp_path, crop_size=5, **options).items()
        assert len(items) == 180 * 4
        tiles = [item.annotation.image.stem for item in items if item.split == 'val']
        assert all(tiles.count(tile) == 4 for tile in tiles)  # a tile is never divided
        return set(tiles)

    assert val() == val() != val(split_seed=1)
    assert len(val()) == len(val(split_seed=1)) == 2
    assert val(official_split=True) == {f'{city}{number}' for city in CITIES for number in range(1, 6)}


@pytest.mark.parametrize('wrong', [np.uint8(1), np.uint8(254), (255, 0, 0)])
def test_unknown_labels_concern_their_crop_alone(tmp_path, wrong):
    make(tmp_path, images=4)
    path = tmp_path / GT / 'chicago1.tif'  # of three bands
    labels = np.array(Image.open(path))
    labels[500, 1000] = wrong
    Image.fromarray(labels).save(path)
    strict = InriaConverter(tmp_path)
    with pytest.raises(DataError, match='chicago1.tif crop 512, 0 has '):
        [strict.record(item) for item in strict.items()]
    converter = InriaConverter(tmp_path, skip_bad=True)
    records = [converter.record(item) for item in converter.items()]
    assert sum(record is not None for record in records) == 4
    assert converter.report.counts == {'labels_unknown': 1, 'images_without_queries': 3}


@pytest.mark.parametrize('part', [GT, IMAGES])
def test_a_damaged_tile_is_reported_once(tmp_path, part):
    make(tmp_path)
    path = tmp_path / part / 'austin1.tif'
    content = path.read_bytes()
    path.write_bytes(b'no image' if part == IMAGES else content[: len(content) // 2])
    with pytest.raises(DataError, match='austin1.tif'):
        convert(InriaConverter(tmp_path), tmp_path / 'out')
    report = convert(InriaConverter(tmp_path, skip_bad=True), tmp_path / 'out')
    assert report.counts['bad_images'] == 1 and sum(report.images.values()) == 2


def test_mask_of_another_size(tmp_path):
    make(tmp_path)
    Image.new('L', (1040, 529)).save(tmp_path / GT / 'austin1.tif')
    with pytest.raises(DataError, match='1040 x 530 pixels and its mask .*austin1.tif 1040 x 529'):
        convert(InriaConverter(tmp_path), tmp_path / 'out')


def test_a_tile_below_the_crop_size(tmp_path):
    make(tmp_path)
    with pytest.raises(DataError, match='austin1.tif of 1040 x 530 pixels holds no crop of 600'):
        InriaConverter(tmp_path, crop_size=600).items()


def test_other_cities_have_no_masks(tmp_path):
    make(tmp_path)
    (tmp_path / IMAGES / 'austin1.tif').rename(tmp_path / IMAGES / 'sfo1.tif')
    with pytest.raises(LayoutError, match='sfo1.tif is no tile of austin'):
        InriaConverter(tmp_path, skip_bad=True).items()


def test_missing_mask_and_missing_image(tmp_path):
    make(tmp_path, images=4)
    (tmp_path / GT / 'austin1.tif').unlink()
    (tmp_path / IMAGES / 'kitsap1.tif').unlink()
    with pytest.raises(DataError, match='kitsap1.tif has no image'):
        InriaConverter(tmp_path).items()
    converter = InriaConverter(tmp_path, skip_bad=True)
    assert len(converter.items()) == 4
    assert converter.report.counts == {'images_not_annotated': 1, 'annotations_without_image': 1}


def test_crops_folder_and_a_second_run(tmp_path, monkeypatch):
    make(tmp_path)
    first = convert(InriaConverter(tmp_path, crops='elsewhere'), tmp_path / 'out')
    assert len(list((tmp_path / 'elsewhere').iterdir())) == 6
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / 'elsewhere').iterdir()}
    (record,) = AnnotationFile(tmp_path / 'out/val.arrow')
    assert image_size(tmp_path / record.image) == (512, 512) and record.image.startswith('elsewhere/')
    content = (tmp_path / 'out/train.arrow').read_bytes()
    second = convert(InriaConverter(tmp_path, crops='elsewhere'), tmp_path / 'out')
    assert second.images == first.images and (tmp_path / 'out/train.arrow').read_bytes() == content
    assert {path: path.stat().st_mtime_ns for path in before} == before
