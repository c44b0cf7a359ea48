from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from xemap.errors import DataError
from xemap.preparation.converters import CocoConverter
from xemap.structures import MaskRegion, PolygonRegion

SIZE = (40, 60)


def queries(converter) -> dict:
    (record,) = [converter.record(item) for item in converter.items()]
    assert record.size == SIZE and record.image == 'images/a.png'
    return {query.category: query for query in record.queries}


def test_polygons_boxes_and_masks(coco_tree, coco_content):
    converter = CocoConverter(coco_tree(coco_content), 'instances.json', 'images')
    made = queries(converter)
    assert made['ship'].region == PolygonRegion([[1, 1, 9, 1, 9, 5, 1, 5], [20, 10, 30, 10, 30, 15, 20, 15]])
    assert made['ship'].referents == 2
    tank = np.zeros(SIZE, bool)
    tank[5:15, 3] = True
    np.testing.assert_array_equal(made['storage_tank'].region.mask(SIZE), tank)
    assert made['storage_tank'].referents == 1 and 'tanks' not in made['storage_tank'].text


def test_crowd_is_a_region_of_unknown_number(coco_tree, coco_content):
    converter = CocoConverter(coco_tree(coco_content), 'instances.json', 'images')
    crowd = queries(converter)['person']
    expected = np.zeros(SIZE, bool)
    expected[30:, 50:] = True
    np.testing.assert_array_equal(crowd.region.mask(SIZE), expected)
    assert crowd.referents is None and crowd.multi_ref is None and 'people' in crowd.text
    assert converter.report.counts == {'crowds': 1}


def test_compressed_and_plain_run_lengths_are_the_same(coco_tree, coco_content):
    first = queries(CocoConverter(coco_tree(coco_content), 'instances.json', 'images'))
    packed = copy.deepcopy(coco_content)
    for annotation in packed['annotations'][2:]:
        rle = coco_mask.frPyObjects(annotation['segmentation'], *SIZE)
        annotation['segmentation'] = {'size': rle['size'], 'counts': rle['counts'].decode()}
    second = queries(CocoConverter(coco_tree(packed), 'instances.json', 'images'))
    assert first == second


def test_instances_with_masks_and_polygons_become_one_mask(coco_tree, coco_content):
    coco_content['annotations'][2]['category_id'] = 1
    ships = queries(CocoConverter(coco_tree(coco_content), 'instances.json', 'images'))['ship']
    polygons = PolygonRegion([[1, 1, 9, 1, 9, 5, 1, 5], [20, 10, 30, 10, 30, 15, 20, 15]]).mask(SIZE)
    polygons[5:15, 3] = True
    assert isinstance(ships.region, MaskRegion) and ships.referents == 3
    np.testing.assert_array_equal(ships.region.mask(SIZE), polygons)


def test_boxes_only(coco_tree, coco_content):
    coco_content['annotations'] = coco_content['annotations'][:1]
    coco_content['annotations'][0]['bbox'] = [-4, 0, 10, 10]
    made = queries(CocoConverter(coco_tree(coco_content), 'instances.json', 'images', boxes_only=True))
    assert made['ship'].region.mask(SIZE)[5, :8].tolist() == [True] * 7 + [False]


def test_ignored_objects_are_counted(coco_tree, coco_content):
    coco_content['annotations'][0]['ignore'] = 1
    converter = CocoConverter(coco_tree(coco_content), 'instances.json', 'images')
    assert queries(converter)['ship'].referents == 1
    assert converter.report.counts['objects_ignored'] == 1


def _set(entry: str, index: int, key: str, value):
    def change(content):
        content[entry][index][key] = value

    return change


FAULTS = [
    (_set('images', 0, 'width', 61), 'a.png is 60 x 40 pixels, .* says 61 x 40'),
    (_set('images', 0, 'file_name', 'no.png'), 'no.png does not exist'),
    (_set('images', 0, 'file_name', '../../x.png'), 'not below --data-root'),
    (_set('images', 0, 'file_name', None), 'image 7 has file_name None'),
    (_set('annotations', 0, 'image_id', 8), 'annotation 1 names image 8'),
    (_set('annotations', 0, 'image_id', None), 'annotation 1 has image_id None'),
    (_set('annotations', 0, 'category_id', 9), 'annotation 1 has category_id 9'),
    (_set('annotations', 0, 'segmentation', [[1, 1, 2, 2]]), 'annotation 1: polygon with 2 vertices'),
    (_set('annotations', 0, 'segmentation', [[1, 1, 2, 2, 3]]), 'annotation 1: polygon of shape'),
    (_set('annotations', 0, 'segmentation', 'abc'), 'annotation 1 has a segmentation that is neither'),
    (_set('annotations', 1, 'bbox', [1, 2, 3]), r'annotation 2 has no segmentation, and bbox \[1, 2, 3\]'),
    (_set('annotations', 1, 'bbox', [1, 2, -3, 4]), 'none of them negative'),
    (_set('annotations', 2, 'segmentation', {'size': [60, 40], 'counts': [2400]}), r'size \[60, 40\], the image has'),
    (_set('annotations', 2, 'segmentation', {'size': [40, 60], 'counts': [125, 10]}), 'do not add up to 40 x 60'),
    (_set('annotations', 2, 'segmentation', {'size': [40, 60], 'counts': [2500, -100]}), 'do not add up'),
    (_set('annotations', 2, 'segmentation', {'size': [40, 60], 'counts': 'ooooooooo'}), 'do not add up'),
    (_set('annotations', 2, 'segmentation', {'size': [40, 60], 'counts': 'é'}), 'do not add up'),
    (_set('annotations', 2, 'segmentation', {'size': [40, 60]}), 'neither a string nor a list'),
    (_set('categories', 0, 'name', 3), 'category 1 has name 3'),
    (lambda content: content.pop('categories'), "no list 'categories'"),
    (lambda content: content['images'].append(content['images'][0]), 'is there twice'),
    (lambda content: content['images'].append('x'), "entry of 'images' is no object"),
]


@pytest.mark.parametrize('fault, message', FAULTS)
def test_faults_are_named(coco_tree, coco_content, fault, message):
    fault(coco_content)
    with pytest.raises(DataError, match=message):
        queries(CocoConverter(coco_tree(coco_content), 'instances.json', 'images'))


def test_bad_annotations_are_skipped_when_asked(coco_tree, coco_content):
    for fault, _ in (FAULTS[4], FAULTS[10], FAULTS[13]):
        fault(coco_content)
    converter = CocoConverter(coco_tree(coco_content), 'instances.json', 'images', skip_bad=True)
    assert list(queries(converter)) == ['person']
    assert converter.report.counts['bad_annotations'] == 3


def test_no_json(coco_tree, coco_content):
    root = coco_tree(coco_content)
    with pytest.raises(DataError, match='no.json cannot be read'):
        CocoConverter(root, 'no.json').items()
    (root / 'instances.json').write_text(json.dumps(coco_content)[:100])
    with pytest.raises(DataError, match='no complete JSON'):
        CocoConverter(root, 'instances.json').items()


def test_real_vhr10_annotations(shared_dir, tmp_path, save_image):
    file = shared_dir / 'data/vhr10_annotations_only/annotations.json'
    content = json.loads(file.read_text())
    content['images'] = content['images'][:12]
    kept = {image['id'] for image in content['images']}
    content['annotations'] = [a for a in content['annotations'] if a['image_id'] in kept]
    for image in content['images']:
        save_image(tmp_path / image['file_name'], (image['height'], image['width']))
    (tmp_path / 'some.json').write_text(json.dumps(content))
    converter = CocoConverter(tmp_path, 'some.json')
    made = [converter.record(item) for item in converter.items()]
    assert sum(query.referents for record in made if record for query in record.queries) == len(content['annotations'])


def test_real_boxes_on_real_images(shared_dir):
    converter = CocoConverter(shared_dir / 'data/sahi_terrain', 'terrain2_coco.json')
    (record,) = [converter.record(item) for item in converter.items()]
    assert record.size == (682, 1024) and [(q.category, q.referents) for q in record.queries] == [('car', 5)]


def test_an_image_that_is_there_twice_is_left_out(coco_tree, coco_content):
    coco_content['images'].append(coco_content['images'][0])
    converter = CocoConverter(coco_tree(coco_content), 'instances.json', 'images', skip_bad=True)
    assert len(converter.items()) == 1 and converter.report.counts == {'images_duplicated': 1}
