"""VisDrone-DET: which boxes become queries, which lines are refused."""

from __future__ import annotations

import shutil

import pytest
from PIL import Image

from tests.trees.visdrone import make
from xemap.datasets.annotations import AnnotationFile
from xemap.errors import DataError, LayoutError
from xemap.preparation.converters import convert
from xemap.preparation.converters.visdrone import VisDroneConverter

TRAIN = 'VisDrone/VisDrone2019-DET-train'


@pytest.fixture
def root(tmp_path):
    make(tmp_path)
    return tmp_path


@pytest.fixture
def labels(root):
    return sorted((root / TRAIN / 'annotations').iterdir())[0]


def test_tree(root):
    expected = make(root / 'again', images=2, seed=1)
    converter = VisDroneConverter(root / 'again')
    report = convert(converter, root / 'out')
    assert dict(report.images) == expected['images']
    assert {split: sum(of.values()) for split, of in report.queries.items()} == expected['queries']
    # Of 4 images: an ignored region, score 0 and 'others' each; one box without area; one past the border.
    assert report.counts == {'objects_ignored': 12, 'objects_too_small': 4, 'polygons_clipped': 4}
    record = AnnotationFile(root / 'out/val.arrow')[0]
    assert record.image == 'VisDrone/VisDrone2019-DET-val/images/0000000_val_d_0000001.jpg'
    assert record.source == 'visdrone' and record.size == (120, 160)
    assert [(query.category, query.referents) for query in record.queries] == [('car', 2), ('pedestrian', 1)]
    cut = record.queries[0].region.polygons(record.size)[1]
    assert cut.min(0).tolist() == [150, 100] and cut.max(0).tolist() == [160, 112]


def test_boxes_are_left_top_width_height(root, labels):
    labels.write_text('10,20,30,40,1,9,0,0,\n\n')
    converter = VisDroneConverter(root)
    (query,) = converter.record(converter.items()[0]).queries
    assert query.category == 'bus'
    assert query.region.polygons((120, 160))[0].tolist() == [[10, 20], [40, 20], [40, 60], [10, 60]]


@pytest.mark.parametrize('line', ['4 0.5 0.5 0.25 0.1', '0 0.5 0.5 1e-3 0.1 0.97'])
def test_yolo_text_is_refused_by_name(root, labels, line):
    labels.write_text(f'10,20,30,40,1,9,0,0\n{line}\n')
    converter = VisDroneConverter(root, skip_bad=True)  # a layout is never skipped
    with pytest.raises(LayoutError, match=rf'{labels.name} line 2: .* is YOLO text'):
        converter.record(converter.items()[0])


@pytest.mark.parametrize(
    'line, message',
    [
        ('10,20,30,40,1,9,0', '7 fields'),
        ('10,20,30,40,1,9,0,0,0', '9 fields'),
        ('10,20,30,40,1,9,0,0,,', '9 fields'),
        ('10,20,30.5,40,1,9,0,0', 'not all whole numbers'),
        ('10,20,30,40,1,bus,0,0', 'not all whole numbers'),
    ],
)
def test_lines_of_another_make(root, labels, line, message):
    labels.write_text(f'\n{line}\n')
    converter = VisDroneConverter(root, skip_bad=True)
    with pytest.raises(LayoutError, match=f'line 2: .*{message}'):
        converter.record(converter.items()[0])


def test_bad_objects_are_named_or_skipped(root, labels):
    labels.write_text('10,20,30,40,1,12,0,0\n10,20,-3,40,1,4,0,0\n10,20,30,40,1,4,0,0\n')
    strict = VisDroneConverter(root)
    with pytest.raises(DataError, match='line 1: category 12'):
        strict.record(strict.items()[0])
    lenient = VisDroneConverter(root, skip_bad=True)
    assert len(lenient.record(lenient.items()[0]).queries) == 1
    assert lenient.report.counts == {'labels_unknown': 1, 'bad_annotations': 1}


def test_what_has_no_partner(root, labels):
    labels.rename(labels.with_name('other.txt'))
    with pytest.raises(DataError, match=r'other\.txt has no image'):
        VisDroneConverter(root).items()
    converter = VisDroneConverter(root, skip_bad=True)
    assert [item.split for item in converter.items()] == ['train'] * 2 + ['val'] * 3
    assert converter.report.counts == {'annotations_without_image': 1, 'images_not_annotated': 1}


def test_two_files_of_one_stem(root, labels):
    image = root / TRAIN / f'images/{labels.stem}.jpg'
    Image.open(image).save(image.with_suffix('.png'))
    with pytest.raises(DataError, match='same stem'):
        VisDroneConverter(root).items()
    converter = VisDroneConverter(root, skip_bad=True)
    assert len(converter.items()) == 6 and converter.report.counts == {'images_duplicated': 1}


def test_an_image_that_was_cut_off(root):
    image = root / 'VisDrone/VisDrone2019-DET-train/images/0000000_train_d_0000001.jpg'
    image.write_bytes(image.read_bytes()[:2000])
    with pytest.raises(DataError, match='0000000_train_d_0000001.jpg is truncated'):
        convert(VisDroneConverter(root), root / 'out')
    report = convert(VisDroneConverter(root, skip_bad=True), root / 'out')
    assert report.images == {'train': 2, 'val': 3} and report.counts['bad_images'] == 1


def test_a_split_without_a_query(root):
    for file in (root / 'VisDrone/VisDrone2019-DET-val/annotations').iterdir():
        file.write_text('')
    with pytest.raises(DataError, match="split 'val' has 3 images and no query; look at its annotations"):
        convert(VisDroneConverter(root), root / 'out')
    report = convert(VisDroneConverter(root, skip_bad=True), root / 'out')
    assert report.images == {'train': 3} and report.counts['lists_empty'] == 1
    assert [file.name for file in (root / 'out').iterdir()] == ['train.arrow']
    for file in (root / 'VisDrone/VisDrone2019-DET-train/annotations').iterdir():
        file.write_text('')
    with pytest.raises(DataError, match="split 'val' has 3 images and no query"):
        convert(VisDroneConverter(root, skip_bad=True), root / 'out')


def test_without_any_image_the_error_says_why(root):
    for split in ('train', 'val'):
        shutil.rmtree(root / f'VisDrone/VisDrone2019-DET-{split}/images')
    with pytest.raises(DataError, match='no image to convert; .*VisDrone2019-DET-train/images is missing'):
        convert(VisDroneConverter(root, skip_bad=True), root / 'out')


def test_missing_folders(root):
    shutil.rmtree(root / 'VisDrone/VisDrone2019-DET-val')
    with pytest.raises(DataError, match='VisDrone2019-DET-val/images is missing'):
        VisDroneConverter(root).items()
    converter = VisDroneConverter(root, skip_bad=True)
    assert {item.split for item in converter.items()} == {'train'} and converter.report.counts['lists_empty'] == 2
    with pytest.raises(DataError, match='visdrone: folder .*elsewhere does not exist'):
        VisDroneConverter(root, 'elsewhere')


def test_a_file_that_is_no_text(root, labels):
    labels.write_bytes(b'\xff\xfe1,2')
    converter = VisDroneConverter(root, skip_bad=True)
    with pytest.raises(LayoutError, match='no UTF-8 text'):
        converter.record(converter.items()[0])


def test_an_unreadable_image_is_named_or_skipped(root, labels):
    (root / TRAIN / f'images/{labels.stem}.jpg').write_bytes(b'no image')
    with pytest.raises(DataError, match='truncated or no known image'):
        convert(VisDroneConverter(root), root / 'out')
    report = convert(VisDroneConverter(root, skip_bad=True), root / 'out')
    assert report.images['train'] == 2 and report.counts['bad_images'] == 1


def test_real_annotations(shared_dir, tmp_path):
    """Against the lines of each category, counted apart from the converter."""
    folder = tmp_path / TRAIN
    shutil.copytree(shared_dir / 'data/visdrone/annotations', folder / 'annotations')
    (folder / 'images').mkdir()
    for file in (folder / 'annotations').iterdir():
        Image.new('RGB', (1920, 1080)).save(folder / f'images/{file.stem}.jpg')
    (tmp_path / 'VisDrone/VisDrone2019-DET-val').mkdir()
    converter = VisDroneConverter(tmp_path, skip_bad=True)
    first, second = (converter.record(item) for item in converter.items())
    assert {query.category: query.referents for query in first.queries} == {
        'awning tricycle': 17, 'bicycle': 2, 'car': 14, 'motor': 50, 'pedestrian': 9, 'people': 39,
        'tricycle': 19, 'truck': 1, 'van': 2,  # 30 people and the pedestrians, 2 tricycles and those with an awning
    }  # fmt: skip
    assert {query.category: query.referents for query in second.queries} == {
        'awning tricycle': 2, 'car': 21, 'motor': 23, 'pedestrian': 7, 'people': 24,
        'tricycle': 4, 'truck': 3, 'van': 5,
    }  # fmt: skip
    assert converter.report.counts == {'lists_empty': 2, 'objects_ignored': 2}
