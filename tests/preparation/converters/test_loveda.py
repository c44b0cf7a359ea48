from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from tests.trees.loveda import FOLDERS, make
from xemap.datasets.annotations import AnnotationFile
from xemap.errors import DataError
from xemap.preparation.converters import convert
from xemap.preparation.converters.loveda import LoveDAConverter
from xemap.preparation.converters.splits import SplitRule

NAMES = {2: 'building', 3: 'road', 4: 'water', 5: 'barren', 6: 'forest', 7: 'agriculture'}


def compare_with_masks(records, root) -> int:
    """Every query is the pixels of its class, and no class of enough pixels has none; number of queries."""
    number = 0
    for record in records:
        labels = np.array(Image.open(root / record.image.replace('images_png', 'masks_png')))
        queries = {query.category: query for query in record.queries}
        for value, name in NAMES.items():
            pixels = labels == value
            assert (name in queries) == (pixels.mean() >= 2e-4), (record.image, name)
            if name in queries:
                np.testing.assert_array_equal(queries[name].region.mask(labels.shape), pixels)
                parts = np.bincount(ndimage.label(pixels, np.ones((3, 3)))[0].ravel())[1:]
                assert queries[name].referents == max(1, (parts >= 2e-4 * pixels.size).sum())
        number += len(queries)
        assert set(queries) <= set(NAMES.values())
    return number


def test_generated_tree(tmp_path):
    expected = make(tmp_path)
    report = convert(LoveDAConverter(tmp_path), tmp_path / 'out')
    assert dict(report.images) == expected['images']
    assert {split: sum(n.values()) for split, n in report.queries.items()} == expected['queries']
    assert report.counts == {'pixels_ignored': 12 * 10 * 96, 'queries_too_small': 12}
    records = [record for split in ('train', 'val') for record in AnnotationFile(tmp_path / f'out/{split}.arrow')]
    assert len({record.image for record in records}) == 12  # stems repeat
    assert {record.source for record in records} == {'loveda'}
    assert compare_with_masks(records, tmp_path) == 36


def test_division(tmp_path):
    make(tmp_path, images=5)
    by_seed = []
    for seed in (0, 0, 1):
        items = LoveDAConverter(tmp_path, split_seed=seed).items()
        by_seed.append({item.name for item in items if item.split == 'val'})
    assert by_seed[0] == by_seed[1] != by_seed[2] and all(len(names) == 3 for names in by_seed)
    moved = tmp_path / 'elsewhere/deep'
    moved.parent.mkdir()
    (tmp_path / 'loveda').rename(moved)
    val = {item.name for item in LoveDAConverter(tmp_path, 'elsewhere/deep').items() if item.split == 'val'}
    assert {name.replace('elsewhere/deep', 'loveda') for name in val} == by_seed[0]  # wherever the source lies
    official = LoveDAConverter(tmp_path, 'elsewhere/deep', official_split=True).items()
    assert all(item.split == ('val' if '/Val/' in item.name else 'train') for item in official)
    assert sum(item.split == 'val' for item in official) == 10


def test_division_of_the_full_size_is_the_papers(tmp_path):
    make(tmp_path, images=1)
    rule: SplitRule = LoveDAConverter(tmp_path).rule
    splits = list(rule.assign([f'{part}/{n}' for n in range(1048) for part in FOLDERS][:4191]).values())
    assert (splits.count('train'), splits.count('val')) == (3577, 614)


def test_unknown_label(tmp_path):
    make(tmp_path)
    file = tmp_path / 'loveda/Val/Rural/masks_png/1.png'
    labels = np.array(Image.open(file))
    labels[5, 5:9] = 9
    Image.fromarray(labels).save(file)
    message = r'Val/Rural/masks_png/1.png has 4 pixels of unknown id 9; loveda has id 0, .*id 7: copy the published'
    with pytest.raises(DataError, match=message):
        convert(LoveDAConverter(tmp_path), tmp_path / 'out')
    report = convert(LoveDAConverter(tmp_path, skip_bad=True), tmp_path / 'out')
    assert sum(report.images.values()) == 11 and report.counts['labels_unknown'] == 1
    assert 'images_without_queries' not in report.counts and 'bad_images' not in report.counts


def test_masks_of_colors_are_no_class_numbers(tmp_path):
    make(tmp_path)
    colored = np.zeros((96, 96, 3), np.uint8)
    colored[..., 0] = 255
    Image.fromarray(colored).save(tmp_path / 'loveda/Train/Urban/masks_png/0.png')
    with pytest.raises(DataError, match='Train/Urban/masks_png/0.png has colors, .* loveda has ids; loveda has id 0'):
        convert(LoveDAConverter(tmp_path), tmp_path / 'out')


def test_no_query_for_nothing_but_background(tmp_path):
    make(tmp_path)
    labels = np.zeros((96, 96), np.uint8)
    labels[:, 40:] = 1
    Image.fromarray(labels).save(tmp_path / 'loveda/Train/Rural/masks_png/2.png')
    report = convert(LoveDAConverter(tmp_path), tmp_path / 'out')
    assert sum(report.images.values()) == 11 and report.counts['images_without_queries'] == 1


def remove_mask(folder):
    (folder / 'masks_png/0.png').unlink()


def remove_image(folder):
    (folder / 'images_png/0.png').unlink()


def repeat_stem(folder):
    (folder / 'images_png/0.jpg').write_bytes((folder / 'images_png/0.png').read_bytes())


def empty(folder):
    for path in folder.glob('*_png/*'):
        path.unlink()


def damage(folder):
    (folder / 'masks_png/0.png').write_bytes(b'no image')


def shrink(folder):
    Image.new('L', (90, 96), 2).save(folder / 'masks_png/0.png')


@pytest.mark.parametrize(
    'spoil, reason, counted, left, message',
    [
        (remove_mask, 'images_not_annotated', 1, 11, 'image .*Train/Rural/images_png/0.png has no mask'),
        (remove_image, 'annotations_without_image', 1, 11, 'mask .*Train/Rural/masks_png/0.png has no image'),
        (repeat_stem, 'images_duplicated', 1, 12, '0.jpg and .*0.png have the same stem'),
        (empty, 'lists_empty', 2, 9, 'Train/Rural/images_png is missing or holds no image'),
        (damage, 'bad_images', 1, 11, 'Train/Rural/masks_png/0.png is truncated or no known image'),
        (shrink, 'bad_images', 1, 11, 'is 96 x 96 pixels and its mask .* 90 x 96'),
    ],
)
def test_what_is_wrong_is_fatal_or_counted(tmp_path, spoil, reason, counted, left, message):
    make(tmp_path)
    spoil(tmp_path / 'loveda/Train/Rural')
    with pytest.raises(DataError, match=message):
        convert(LoveDAConverter(tmp_path), tmp_path / 'out')
    report = convert(LoveDAConverter(tmp_path, skip_bad=True), tmp_path / 'out')
    assert report.counts[reason] == counted and sum(report.images.values()) == left


def test_missing_folders(tmp_path):
    with pytest.raises(DataError, match='loveda does not exist'):
        LoveDAConverter(tmp_path)
    (tmp_path / 'loveda').mkdir()
    with pytest.raises(DataError, match='Train/Urban/images_png is missing or holds no image'):
        LoveDAConverter(tmp_path).items()
    converter = LoveDAConverter(tmp_path, skip_bad=True)
    assert converter.items() == [] and converter.report.counts == {'lists_empty': 8}


def test_real_images(shared_dir, tmp_path):
    (tmp_path / 'loveda/Train').mkdir(parents=True)
    (tmp_path / 'loveda/Train/Urban').symlink_to(shared_dir / 'data/loveda')
    converter = LoveDAConverter(tmp_path, skip_bad=True, official_split=True)
    report = convert(converter, tmp_path / 'out')
    assert report.counts['lists_empty'] == 6 and dict(report.images) == {'train': 3}
    records = list(AnnotationFile(tmp_path / 'out/train.arrow'))
    assert compare_with_masks(records, tmp_path) == 12
