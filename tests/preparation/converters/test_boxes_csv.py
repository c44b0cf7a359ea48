from __future__ import annotations

import numpy as np
import pytest

from xemap.datasets.annotations import AnnotationFile
from xemap.errors import DataError
from xemap.preparation.converters import BoxesCsvConverter, convert
from xemap.preparation.converters.boxes_csv import MAX_GEOMETRY_CHARACTERS
from xemap.structures import PolygonRegion

HEADER = 'id,image_id,geometry,class\n'


def records(converter) -> dict:
    made = [converter.record(item) for item in converter.items()]
    return {record.image: record for record in made if record}


def test_one_query_a_category_and_image(csv_tree):
    converter = BoxesCsvConverter(csv_tree, 'objects.csv', 'images')
    made = records(converter)
    assert list(made) == ['images/a.jpg', 'images/b.jpg']
    record = made['images/a.jpg']
    assert record.size == (40, 60) and record.source == 'tree'
    planes, car = record.queries
    assert (planes.category, planes.referents, planes.kind, planes.hops) == ('Plane', 2, 'one-hop', 1)
    assert planes.region == PolygonRegion(
        [[(2, 3), (12, 3), (12, 9), (2, 9)], [(30, 20), (40, 20), (40, 30), (30, 30)]]
    )
    assert (car.category, car.referents) == ('small_car', 1)
    assert planes.text.endswith(('planes', 'aircraft')) and 'small car' in car.text and 'cars' not in car.text
    (cut,) = made['images/b.jpg'].queries[0].region.polygons((40, 60))
    assert cut.min(0).tolist() == [50, 0] and cut.max(0).tolist() == [60, 10]
    assert converter.report.counts == {'polygons_clipped': 1, 'images_not_annotated': 1}


def test_other_column_names(csv_tree):
    (csv_tree / 'other.csv').write_text('label;x\n')
    (csv_tree / 'other.csv').write_text('\ufefflabel,file,points\r\nPlane,a,"[[1, 1], [5, 1], [5, 5.5]]"\r\n')
    converter = BoxesCsvConverter(
        csv_tree, 'other.csv', 'images',
        image_column='file', geometry_column='points', class_column='label', image_suffix='.jpg',
    )  # fmt: skip
    assert records(converter)['images/a.jpg'].queries[0].region == PolygonRegion([[1, 1, 5, 1, 5, 5.5]])


@pytest.mark.parametrize(
    'row, message',
    [
        ('9,a.jpg,"[(1, 1), (5, 1)]",Plane', 'line 2: polygon with 2 vertices'),
        ('9,a.jpg,"[(1, 1), (5, 1), (1, 1)]",Plane', 'line 2: polygon with 2 vertices'),
        ('9,a.jpg,"[(1, 1), (5, 1), (5",Plane', 'line 2: geometry .* is no list of points'),
        ('9,a.jpg,"__import__(\'os\').getcwd()",Plane', 'line 2: geometry .* is no list of points'),
        ('9,a.jpg,"5",Plane', 'line 2: geometry .* is no list of points'),
        ('9,a.jpg,"[(1, 1), (1e999, 1), (3, 3)]",Plane', 'line 2: polygon with a coordinate that is not finite'),
        ('9,a.jpg,,Plane', 'line 2: geometry is empty'),
        ('9,a.jpg,"[(1, 1), (5, 1), (5, 5)]"', 'line 2: class is empty'),
        ('9,no.jpg,"[(1, 1), (5, 1), (5, 5)]",Plane', 'images/no.jpg does not exist'),
        ('9,../../x.jpg,"[(1, 1), (5, 1), (5, 5)]",Plane', 'not below --data-root'),
        (f'9,a.jpg,"{"(" * 5000}",Plane', 'is no list of points'),
        (f'9,a.jpg,"[{"1, " * MAX_GEOMETRY_CHARACTERS}]",Plane', 'no UTF-8 CSV|characters'),
    ],
)
def test_bad_rows_are_named(csv_tree, row, message):
    (csv_tree / 'objects.csv').write_text(f'{HEADER}{row}\n')
    with pytest.raises(DataError, match=message):
        records(BoxesCsvConverter(csv_tree, 'objects.csv', 'images'))


def test_geometry_is_never_executed(csv_tree):
    # Evaluated, this would be a fine polygon, and leave a file behind.
    made = csv_tree / 'made'
    code = f"[(1, 1), (5, 1), (5, 5 + len([open('{made}', 'w')]))]"
    (csv_tree / 'objects.csv').write_text(f'{HEADER}9,a.jpg,"{code}",Plane\n')
    with pytest.raises(DataError, match='line 2: geometry .* is no list of points'):
        records(BoxesCsvConverter(csv_tree, 'objects.csv', 'images'))
    assert not made.exists()


def test_bad_rows_are_skipped_when_asked(csv_tree):
    rows = [
        '9,a.jpg,"[(1, 1), (5, 1)]",Plane',
        '9,a.jpg,"[",Plane',
        '9,a.jpg,,Plane',
        '9,no.jpg,"[(1, 1), (5, 1), (5, 5)]",Plane',
    ]
    with (csv_tree / 'objects.csv').open('a') as file:
        file.write('\n'.join(rows))
    converter = BoxesCsvConverter(csv_tree, 'objects.csv', 'images', skip_bad=True)
    assert [len(record.queries) for record in records(converter).values()] == [2, 1]
    assert converter.report.counts['bad_annotations'] == 3 and converter.report.counts['bad_images'] == 1
    assert 'objects.csv line 6: polygon with 2 vertices' in str(converter.report.as_dict())


def test_objects_outside_or_without_area_are_dropped(csv_tree):
    (csv_tree / 'objects.csv').write_text(
        f'{HEADER}1,a.jpg,"[(70, 1), (80, 1), (80, 5)]",Plane\n2,a.jpg,"[(1, 1), (5, 5), (9, 9)]",Plane\n'
        '3,b.jpg,"[(1, 1), (5, 1), (5, 9)]",Plane\n'
    )
    converter = BoxesCsvConverter(csv_tree, 'objects.csv', 'images')
    assert list(records(converter)) == ['images/b.jpg']
    counts = converter.report.counts
    assert counts['polygons_outside'] == counts['objects_too_small'] == counts['images_without_queries'] == 1


def test_faulty_files(csv_tree):
    with pytest.raises(DataError, match='no.csv cannot be read'):
        BoxesCsvConverter(csv_tree, 'no.csv', 'images').items()
    (csv_tree / 'objects.csv').write_text('image_id,geometry\n')
    with pytest.raises(DataError, match="no column 'class'; its columns are image_id, geometry"):
        BoxesCsvConverter(csv_tree, 'objects.csv', 'images').items()
    (csv_tree / 'objects.csv').write_bytes(HEADER.encode() + b'\xff\xfe\x00')
    with pytest.raises(DataError, match='no UTF-8 CSV'):
        BoxesCsvConverter(csv_tree, 'objects.csv', 'images').items()


def test_real_airbus(shared_dir, tmp_path):
    root = shared_dir / 'data/airbus_aircraft'
    converter = BoxesCsvConverter(root, 'annotations_val.csv', 'val_images', category_map={'Truncated_airplane': ''})
    report = convert(converter, tmp_path)
    file = AnnotationFile(tmp_path / 'train.arrow')
    assert len(file) == 8 and report.counts['categories_dropped'] == 8
    assert sum(query.referents for record in file for query in record.queries) == 209
    for record in file:
        assert record.size == (2560, 2560)
        for polygon in record.queries[0].region.polygons(record.size):
            assert polygon.min() >= 0 and polygon.max() <= 2560
            assert np.ptp(polygon, axis=0).min() > 0
