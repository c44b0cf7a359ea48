from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.trees import potsdam, vaihingen
from tests.trees.tiles import ISPRS_RGB, six_class_tile, without_boundaries
from xemap.datasets.annotations import AnnotationFile
from xemap.errors import DataError, LayoutError
from xemap.preparation.converters import convert
from xemap.preparation.converters.isprs import PotsdamConverter, VaihingenConverter

NAMES = {1: 'impervious surface', 2: 'building', 3: 'low vegetation', 4: 'tree', 5: 'car'}
SOURCES = pytest.mark.parametrize('tree, source', [(potsdam, PotsdamConverter), (vaihingen, VaihingenConverter)])


def records_of(out) -> list:
    return [record for file in sorted(out.glob('*.arrow')) for record in AnnotationFile(file)]


def compare(record, classes: np.ndarray) -> None:
    """Queries are exactly the pixels of the classes 1 to 5."""
    masks = {query.category: query.region.mask(record.size) for query in record.queries}
    assert set(masks) == {name for value, name in NAMES.items() if (classes == value).any()}
    for value, name in NAMES.items():
        if name in masks:
            np.testing.assert_array_equal(masks[name], classes == value)


@SOURCES
def test_generated_tree(tmp_path, tree, source):
    expected = tree.make(tmp_path)
    report = convert(source(tmp_path), tmp_path / 'out')
    assert dict(report.images) == expected['images']
    assert {split: sum(n.values()) for split, n in report.queries.items()} == expected['queries']
    records = records_of(tmp_path / 'out')
    assert len(records) == 6
    for record in records:
        x0 = int(record.image.split('_')[-2])
        compare(record, six_class_tile()[:512, x0 : x0 + 512])
        assert record.image.startswith(f'crops/{source.name}/') and (tmp_path / record.image).is_file()


def test_off_colors_of_one_tile_become_the_nearest_and_are_counted(tmp_path):
    potsdam.make(tmp_path)
    labels = np.array(Image.open(tmp_path / 'potsdam/5_Labels_all/top_potsdam_4_12_label.tif'))[:512, :1024]
    exact = (labels[..., None, :] == ISPRS_RGB).all(-1).any(-1)
    report = convert(PotsdamConverter(tmp_path), tmp_path / 'out')
    assert report.counts == {'pixels_nearest': int((~exact).sum())} and not exact.all()


def test_off_colors_are_unknown_elsewhere(tmp_path):
    potsdam.make(tmp_path)
    path = tmp_path / 'potsdam/5_Labels_all/top_potsdam_2_10_label.tif'
    labels = np.array(Image.open(path))
    labels[3, 600:607] = (254, 255, 255)
    Image.fromarray(labels).save(path)
    message = r'2_10_label.tif crop 512, 0 has 7 pixels of unknown #FEFFFF; potsdam has #FFFFFF, .*: copy the published'
    with pytest.raises(DataError, match=message):
        convert(PotsdamConverter(tmp_path), tmp_path / 'out')
    report = convert(PotsdamConverter(tmp_path, skip_bad=True), tmp_path / 'out')
    assert report.counts['labels_unknown'] == 1 and sum(report.images.values()) == 5


def test_boundaries_are_ignored(tmp_path):
    potsdam.make(tmp_path, images=2)
    report = convert(PotsdamConverter(tmp_path, labels='5_Labels_all_noBoundary'), tmp_path / 'out')
    classes = without_boundaries(six_class_tile())
    assert report.counts == {'pixels_ignored': 2 * int((classes[:512, :1024] == 0).sum())}
    for record in records_of(tmp_path / 'out'):
        x0 = int(record.image.split('_')[-2])
        compare(record, classes[:512, x0 : x0 + 512])


def test_official_division():
    listed = (
        '2_10 2_11 2_12 3_10 3_11 3_12 4_10 4_11 4_12 5_10 5_11 5_12 6_10 6_11 6_12 6_7 6_8 6_9 '
        '7_10 7_11 7_12 7_7 7_8 7_9'
    )
    assert PotsdamConverter.train_tiles == set(listed.split())
    assert VaihingenConverter.train_tiles == {
        '1',
        '3',
        '5',
        '7',
        '11',
        '13',
        '15',
        '17',
        '21',
        '23',
        '26',
        '28',
        '30',
        '32',
        '34',
        '37',
    }


@SOURCES
def test_division_by_tile(tmp_path, tree, source):
    tree.make(tmp_path, images=6)
    items = source(tmp_path).items()
    if source is PotsdamConverter:
        expected = {'2_10': 'train', '2_13': 'val', '4_12': 'train', '3_13': 'val', '2_11': 'train', '4_13': 'val'}
        splits = {'_'.join(item.annotation.image.stem.split('_')[2:4]): item.split for item in items}
    else:
        expected = {
            'area1': 'train',
            'area2': 'val',
            'area3': 'train',
            'area4': 'val',
            'area5': 'train',
            'area6': 'val',
        }
        splits = {item.annotation.image.stem.split('_')[-1]: item.split for item in items}
    assert splits == expected and len(items) == 12


def test_vaihingen_shows_no_true_colors():
    assert PotsdamConverter.true_color and not VaihingenConverter.true_color


def test_vaihingen_labels_of_participants_and_eroded(tmp_path):
    vaihingen.make(tmp_path, images=2)
    complete = tmp_path / 'vaihingen/ISPRS_semantic_labeling_Vaihingen_ground_truth_COMPLETE'
    complete.rename(tmp_path / 'vaihingen/gts_for_participants')
    assert len(VaihingenConverter(tmp_path).items()) == 4
    eroded = (tmp_path / 'vaihingen/gts_for_participants').rename(tmp_path / 'vaihingen/eroded')
    for path in list(eroded.iterdir()):
        path.rename(path.with_name(f'{path.stem}_noBoundary.tif'))
    assert len(VaihingenConverter(tmp_path, labels='eroded').items()) == 4


def test_other_files_are_refused(tmp_path):
    potsdam.make(tmp_path)
    folder = tmp_path / 'potsdam/2_Ortho_RGB'
    (folder / 'top_potsdam_2_10_RGB.tif').rename(folder / 'top_potsdam_2_10_IRRG.tif')
    with pytest.raises(LayoutError, match='top_potsdam_2_10_IRRG.tif is not named'):
        PotsdamConverter(tmp_path, skip_bad=True).items()


def test_two_labels_of_one_tile(tmp_path):
    potsdam.make(tmp_path)
    folder = tmp_path / 'potsdam/5_Labels_all'
    (folder / 'top_potsdam_2_10_label_noBoundary.tif').write_bytes((folder / 'top_potsdam_2_10_label.tif').read_bytes())
    with pytest.raises(DataError, match="2_10_label.tif and .*_noBoundary.tif have the same stem '2_10'; keep one"):
        PotsdamConverter(tmp_path).items()
    converter = PotsdamConverter(tmp_path, skip_bad=True)
    assert len(converter.items()) == 6 and converter.report.counts == {'images_duplicated': 1}


def test_crops_with_ids(tmp_path, save_image):
    ids = without_boundaries(six_class_tile())[:512, :512]
    for part, stem in (('train', '2_10_0_0_512_512'), ('val', '2_13_512_0_1024_512')):
        save_image(tmp_path / f'potsdam/img_dir/{part}/{stem}.png', (512, 512))
        save_image(tmp_path / f'potsdam/ann_dir/{part}/{stem}.png', pixels=ids)
    report = convert(PotsdamConverter(tmp_path), tmp_path / 'out')
    assert dict(report.images) == {'train': 1, 'val': 1}
    assert report.counts == {'pixels_ignored': 2 * int((ids == 0).sum())}
    for record in records_of(tmp_path / 'out'):
        compare(record, ids)
    assert record.image == 'potsdam/img_dir/val/2_13_512_0_1024_512.png' and not (tmp_path / 'crops').exists()


@pytest.mark.parametrize(
    'source, crop, split',
    [
        (PotsdamConverter, '2_10_0_0_512_512.png', 'train'),
        (VaihingenConverter, 'area1_0_0_512_512.png', 'train'),
    ],
)
def test_real_crops(shared_dir, tmp_path, source, crop, split):
    report = convert(source(shared_dir / 'data'), tmp_path)
    assert dict(report.images) == {split: 1}
    (record,) = AnnotationFile(tmp_path / f'{split}.arrow')
    assert record.image == f'{source.name}/img/{crop}'
    ids = np.array(Image.open(shared_dir / f'data/{source.name}/ann_ids/{crop}'))
    assert set(np.unique(ids)) == {0, *NAMES}
    compare(record, ids)
