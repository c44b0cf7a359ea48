"""Test partitions drawn by hand: the project's JSON, labelme, COCO."""

from __future__ import annotations

import json

import pytest

from xemap.datasets.annotations import AnnotationFile
from xemap.errors import DataError, LayoutError
from xemap.preparation.converters import convert
from xemap.preparation.converters.polygons import CocoCaptionsConverter, LabelmeConverter, PolygonsConverter

TRIANGLE = [[1.5, 2.0], [20.25, 2.0], [20.25, 12.0]]
CLOSED_PAST_BORDER = [[30.0, 5.0], [64.5, 5.0], [64.5, 9.0], [30.0, 5.0]]


def drawn(**changes) -> dict:
    query = {'text': 'the pond', 'polygons': [TRIANGLE, CLOSED_PAST_BORDER]}
    image = {'image': 'a.png', 'queries': [{**query, **changes.pop('query', {})}], **changes.pop('image', {})}
    return {'format': 'xemap-polygons', 'version': 1, 'images': [image], **changes}


@pytest.fixture
def polygons(tmp_path, save_image):
    """Writes the project's JSON beside an image of 40 x 60, and makes the converter."""

    def write(content: dict, **options) -> PolygonsConverter:
        save_image(tmp_path / 'images/a.png')
        (tmp_path / 'set.json').write_text(json.dumps(content))
        return PolygonsConverter(tmp_path, 'set.json', 'images', **options)

    return write


def queries_of(converter, tmp_path) -> list:
    convert(converter, tmp_path / 'out')
    (record,) = AnnotationFile(tmp_path / 'out/train.arrow')
    return record.queries


@pytest.mark.parametrize(
    'attributes, hops, referents, multi_hop, multi_ref',
    [
        ({}, None, 2, None, True),
        ({'multi_hop': True, 'multi_ref': True}, 2, 2, True, True),
        ({'multi_hop': False, 'multi_ref': False}, 1, 1, False, False),
        ({'multi_hop': None, 'multi_ref': None}, None, 2, None, True),
    ],
)
def test_the_projects_format(polygons, tmp_path, attributes, hops, referents, multi_hop, multi_ref):
    converter = polygons(drawn(query={'text': ' the pond\n', **attributes}, image={'width': 60, 'height': 40}))
    (query,) = queries_of(converter, tmp_path)
    assert query.text == 'the pond' and (query.hops, query.referents) == (hops, referents)
    assert (query.multi_hop, query.multi_ref) == (multi_hop, multi_ref)
    assert [polygon.tolist() for polygon in query.region.polygons((40, 60))] == [TRIANGLE, CLOSED_PAST_BORDER]
    assert converter.report.counts == {'polygons_past_border': 1}


@pytest.mark.parametrize(
    'content, message',
    [
        ({'version': '5.2.1', 'shapes': []}, 'no "format": "xemap-polygons"'),
        (drawn(version=2), 'version 2; this xemap reads 1'),
        (drawn(query={'multihop': True}), "image 1 query 1 has the unknown key 'multihop'"),
        (drawn(image={'size': 3}), "image 1 has the unknown key 'size'"),
        (drawn(images=[{'image': 'a.png'}]), "image 1 has no list 'queries'"),
        (drawn(image={'image': 7}), 'image 1 has image 7'),
        (drawn(query={'polygons': [1, 2]}), "image 1 query 1 has no list 'polygons' of lists"),
    ],
)
def test_another_make_of_the_projects_format(polygons, content, message):
    with pytest.raises(LayoutError, match=message):
        polygons(content, skip_bad=True).items()


@pytest.mark.parametrize(
    'content, message, reason',
    [
        (drawn(query={'polygons': [TRIANGLE], 'multi_ref': True}), 'multi_ref with 1 polygon', 'bad_annotations'),
        (drawn(query={'multi_hop': 'yes'}), "multi_hop is 'yes'", 'bad_annotations'),
        (drawn(query={'text': None}), 'text None is empty', 'bad_annotations'),
        (drawn(image={'width': 61}), 'says 61 x None', 'bad_images'),
        (drawn(image={'image': 'b.png'}), r'b\.png does not exist', 'annotations_without_image'),
        (drawn(images=drawn()['images'] * 2), 'a.png is annotated twice', 'images_duplicated'),
    ],
)
def test_bad_entries_of_the_projects_format(polygons, tmp_path, content, message, reason):
    with pytest.raises(DataError, match=message):
        convert(polygons(content), tmp_path / 'out')
    converter = polygons(content, skip_bad=True)
    for item in converter.items():
        converter.record(item)
    assert converter.report.counts[reason] == 1


def test_images_outside_the_data_root(polygons):
    with pytest.raises(DataError, match='not below --data-root'):
        polygons(drawn(image={'image': '../../a.png'})).items()


def shape(label, points=TRIANGLE, **fields) -> dict:
    return {'label': label, 'points': points, 'group_id': None, 'shape_type': 'polygon', 'flags': {}, **fields}


@pytest.fixture
def labelme(tmp_path, save_image):
    def write(shapes: list, skip_bad=False, **fields) -> LabelmeConverter:
        save_image(tmp_path / 'marked/a.png')
        content = {'version': '5.2.1', 'flags': {}, 'imagePath': 'a.png', 'imageHeight': 40, 'imageWidth': 60}
        (tmp_path / 'marked/a.json').write_text(json.dumps({**content, 'shapes': shapes, **fields}))
        return LabelmeConverter(tmp_path, 'marked', skip_bad=skip_bad)

    return write


def test_labelme(labelme, tmp_path):
    box = [[30.0, 20.0], [10.0, 5.5]]
    converter = labelme(
        [
            shape('the road', flags={'multi_hop': False}),
            shape('houses by the road', flags={'multi_hop': True}, group_id=3),
            shape('houses by the road', CLOSED_PAST_BORDER, flags={'multi_hop': False}, group_id=3),
            shape('houses by the road ', box, shape_type='rectangle'),
            shape('a field', description='multi_hop'),
            shape('a barn'),
        ],
        imagePath='..\\marked\\a.png',
    )
    road, houses, field, barn = queries_of(converter, tmp_path)
    assert (road.text, road.hops, road.referents) == ('the road', 1, 1)
    assert (houses.text, houses.hops, houses.referents) == ('houses by the road', 2, 2)
    drawn_box = [[30.0, 20.0], [10.0, 20.0], [10.0, 5.5], [30.0, 5.5]]
    assert [p.tolist() for p in houses.region.polygons((40, 60))] == [TRIANGLE, CLOSED_PAST_BORDER, drawn_box]
    assert (field.hops, barn.hops) == (2, None)


@pytest.mark.parametrize(
    'shapes, fields, message',
    [
        ([shape('x', [[1, 1], [5, 5]], shape_type='circle')], {}, r'a\.json shape 1 is a circle'),
        ([shape('')], {}, "shape 1: text '' is empty"),
        ([shape('x', [[1, 1], [5, 5]])], {}, '2 vertices'),
        ([shape('x')], {'imageWidth': 600}, 'says 600 x 40'),
        ([shape('x')], {'imagePath': 'b.png'}, r'b\.png does not exist'),
    ],
)
def test_bad_labelme_files(labelme, tmp_path, shapes, fields, message):
    with pytest.raises(DataError, match=message):
        convert(labelme(shapes, **fields), tmp_path / 'out')


@pytest.mark.parametrize(
    'shapes, fields, message',
    [
        ([shape('x')], {'imagePath': None}, 'no imagePath'),
        ([shape('x', flags=[1])], {}, 'which is no object'),
        ([{'label': 'x'}], {}, "shape 1 has no list 'points'"),
        ([shape('x', 'ab')], {}, "shape 1 has no list 'points'"),
    ],
)
def test_files_that_labelme_does_not_write(labelme, shapes, fields, message):
    with pytest.raises(LayoutError, match=message):
        labelme(shapes, skip_bad=True, **fields).items()


def test_coco_annotations_as_expressions(coco_tree, coco_content, tmp_path):
    first, second, code, crowd = coco_content['annotations']
    past_border = [50.0, 30.0, 70.5, 30.0, 70.5, 44.0]
    first.update(caption=' the moored ships ', multi_hop=False, segmentation=[past_border])
    second.update(caption='the moored ships', attributes={'multi_hop': True, 'occluded': False})
    crowd.update(category_id=2)
    converter = CocoCaptionsConverter(coco_tree(coco_content), 'instances.json', 'images')
    ships, tanks = queries_of(converter, tmp_path)
    assert (ships.text, ships.hops, ships.referents) == ('the moored ships', 2, 2)
    assert ships.region.hand_drawn
    exact, box = ships.region.polygons((40, 60))
    assert exact.reshape(-1).tolist() == past_border
    assert box.tolist() == [[20, 10], [30, 10], [30, 15], [20, 15]]
    assert (tanks.text, tanks.hops, tanks.referents) == ('storage_tank', None, None)
    assert tanks.region.area == 10 + 100 and not converter.report.counts.keys() - {'crowds'}


@pytest.mark.parametrize(
    'change, message',
    [
        ({'caption': ' '}, 'annotation 1: text'),
        ({'multi_hop': 1}, 'annotation 1 multi_hop is 1'),
        ({'segmentation': [[1, 1, 2, 2]]}, 'annotation 1: polygon with 2 vertices'),
    ],
)
def test_bad_coco_expressions(coco_tree, coco_content, tmp_path, change, message):
    coco_content['annotations'][0].update(change)
    root = coco_tree(coco_content)
    with pytest.raises(DataError, match=message):
        convert(CocoCaptionsConverter(root, 'instances.json', 'images'), tmp_path / 'out')
    report = convert(CocoCaptionsConverter(root, 'instances.json', 'images', skip_bad=True), tmp_path / 'out')
    assert report.counts['bad_annotations'] == 1


def test_coco_polygons_outside_the_image_are_dropped(coco_tree, coco_content, tmp_path):
    coco_content['annotations'][0]['segmentation'] = [[100, 100, 120, 100, 120, 120]]
    converter = CocoCaptionsConverter(coco_tree(coco_content), 'instances.json', 'images')
    ship, *_ = queries_of(converter, tmp_path)
    assert ship.referents == 1 and converter.report.counts['polygons_outside'] == 1
