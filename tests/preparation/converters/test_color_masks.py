from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from xemap.datasets.annotations import AnnotationFile
from xemap.errors import ConfigError, DataError
from xemap.preparation.converters import ClassTable, ColorMasksConverter, convert

DUBAI = {
    '#3C1098': 'building',
    '#8429F6': 'land',
    '#6EC1E4': 'road',
    '#FEDD3A': 'vegetation',
    '#E2A929': 'water',
    '#9B9B9B': None,
    '#000000': None,
}


def converter_of(root, **options) -> ColorMasksConverter:
    return ColorMasksConverter(root, 'image', 'mask', ClassTable(root / 'classes.json'), **options)


def records(converter) -> dict:
    made = [converter.record(item) for item in converter.items()]
    return {record.image: record for record in made if record}


def test_regions_and_referents(mask_tree):
    converter = converter_of(mask_tree, min_area=0.001)  # 2.4 pixels
    made = records(converter)
    (buildings,) = made['image/a.jpg'].queries
    expected = np.zeros((40, 60), bool)
    expected[5:10, 5:15] = expected[20:24, 30:35] = True
    np.testing.assert_array_equal(buildings.region.mask((40, 60)), expected)
    assert (buildings.category, buildings.referents, buildings.kind, buildings.hops) == ('building', 2, 'one-hop', 1)
    (water,) = made['image/b.jpg'].queries
    assert water.region.mask((40, 60)).all() and water.referents == 1
    assert converter.report.counts == {'queries_too_small': 1, 'pixels_ignored': 2400 - 70 - 1}


def test_specks_are_a_matter_of_min_area(mask_tree):
    assert [q.category for q in records(converter_of(mask_tree, min_area=0))['image/a.jpg'].queries] == [
        'building',
        'water',
    ]
    buildings = records(converter_of(mask_tree, min_area=21 / 2400))['image/a.jpg'].queries[0]
    assert buildings.referents == 1 and buildings.region.area == 70  # the small part is still of the class


def test_colors_of_one_name_are_one_category(mask_tree):
    table = json.loads((mask_tree / 'classes.json').read_text())
    table[1]['name'] = 'building'
    (mask_tree / 'classes.json').write_text(json.dumps(table))
    (query,) = records(converter_of(mask_tree, min_area=0))['image/a.jpg'].queries
    assert query.region.area == 71 and query.referents == 3


def test_suffix_and_one_folder(mask_tree):
    for stem in 'ab':
        (mask_tree / f'mask/{stem}.png').rename(mask_tree / f'image/{stem}_label.PNG')
    table = ClassTable(mask_tree / 'classes.json')
    converter = ColorMasksConverter(mask_tree, 'image', 'image', table, mask_suffix='_label')
    assert list(records(converter)) == ['image/a.jpg', 'image/b.jpg']
    with pytest.raises(ConfigError, match='images and masks are both'):
        ColorMasksConverter(mask_tree, 'image', 'image', table)


def test_sizes_must_agree(mask_tree, save_image):
    save_image(mask_tree / 'image/b.jpg', (41, 60))
    with pytest.raises(DataError, match=r'b.jpg is 60 x 41 pixels and its mask .*b.png 60 x 40'):
        records(converter_of(mask_tree))


def test_unknown_color_names_file_and_count(mask_tree):
    pixels = np.array(Image.open(mask_tree / 'mask/b.png'))
    pixels[0, :5] = (0xE2, 0xA9, 0x2B)
    Image.fromarray(pixels).save(mask_tree / 'mask/b.png')
    with pytest.raises(DataError, match=r'b.png has 5 pixels of unknown #E2A92B; add .* to .*classes.json'):
        records(converter_of(mask_tree))
    tolerant = converter_of(mask_tree, tolerance=2)
    assert records(tolerant)['image/b.jpg'].queries[0].region.area == 2400
    assert tolerant.report.counts['pixels_nearest'] == 5


def test_pairs_must_be_complete(mask_tree, save_image):
    save_image(mask_tree / 'mask/c.png')
    with pytest.raises(DataError, match='mask .*c.png has no image'):
        converter_of(mask_tree).items()
    save_image(mask_tree / 'image/d.png')
    converter = converter_of(mask_tree, skip_bad=True)
    assert len(records(converter)) == 2
    assert converter.report.counts.items() >= {('images_not_annotated', 1), ('annotations_without_image', 1)}
    (mask_tree / 'mask/c.png').unlink()
    with pytest.raises(DataError, match='image .*d.png has no mask'):
        converter_of(mask_tree).items()


@pytest.mark.parametrize('victim', ['image/b.jpg', 'mask/b.png'])
def test_damaged_files(mask_tree, victim):
    path = mask_tree / victim
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(DataError, match=f'{path.name} is truncated or no known image'):
        records(converter_of(mask_tree))
    converter = converter_of(mask_tree, skip_bad=True)
    assert list(records(converter)) == ['image/a.jpg'] and converter.report.counts['bad_images'] == 1


def test_truncated_mask(mask_tree):
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    Image.fromarray(noise).save(mask_tree / 'mask/b.png')
    path = mask_tree / 'mask/b.png'
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match='b.png is truncated or no known image'):
        records(converter_of(mask_tree))


def test_tolerance_is_for_colors(tmp_path, mask_tree):
    (tmp_path / 'ids.json').write_text('[{"id": 1, "name": "a"}]')
    with pytest.raises(ConfigError, match='distance between colors'):
        ColorMasksConverter(mask_tree, 'image', 'mask', ClassTable(tmp_path / 'ids.json'), tolerance=3)


@pytest.fixture
def dubai_table(tmp_path):
    def write(colors: dict) -> ClassTable:
        entries = [{'color': c, 'name': n} if n else {'color': c, 'ignore': True} for c, n in colors.items()]
        (tmp_path / 'classes.json').write_text(json.dumps(entries))
        return ClassTable(tmp_path / 'classes.json')

    return write


def test_real_dubai(shared_dir, tmp_path, dubai_table):
    converter = ColorMasksConverter(shared_dir / 'data/dubai_seg', 'image', 'mask', dubai_table(DUBAI))
    items = converter.items()
    assert len(items) == 56
    chosen = [item for item in items if item.image.stem.endswith(('t2', 't4', '006t6'))]  # indexed, and RGB
    converter.items = lambda: chosen  # type: ignore[method-assign]
    report = convert(converter, tmp_path)
    assert report.images['train'] == len(chosen)
    for record in AnnotationFile(tmp_path / 'train.arrow'):
        stem = record.image.split('/')[-1][:-4]
        pixels = np.array(Image.open(shared_dir / f'data/dubai_seg/mask/{stem}.png').convert('RGB'))
        for query in record.queries:
            color = next(c for c, name in DUBAI.items() if name == query.category)
            expected = (pixels == tuple(bytes.fromhex(color[1:]))).all(-1)
            np.testing.assert_array_equal(query.region.mask(record.size), expected)


def test_real_dubai_has_a_color_beyond_the_six(shared_dir, dubai_table):
    known = {color: name for color, name in DUBAI.items() if color != '#000000'}
    converter = ColorMasksConverter(shared_dir / 'data/dubai_seg', 'image', 'mask', dubai_table(known))
    (item,) = [item for item in converter.items() if item.image.stem == 'image_part_006t6']
    with pytest.raises(DataError, match='image_part_006t6.png has 185 pixels of unknown #000000'):
        converter.record(item)


def test_real_mismatched_pairs(shared_dir, dubai_table):
    root = shared_dir / 'data/dubai_seg_mismatched'
    converter = ColorMasksConverter(root, 'image', 'mask', dubai_table(DUBAI), skip_bad=True)
    assert not records(converter)
    (skipped,) = [v for k, v in converter.report.as_dict()['counts'].items() if k == 'bad_images']
    assert skipped['count'] == 28
    assert sum('do not belong together' in example for example in skipped['examples']) >= 10
    strict = ColorMasksConverter(root, 'image', 'mask', dubai_table(DUBAI))
    with pytest.raises(DataError):
        records(strict)
