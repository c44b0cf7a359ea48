"""AIR-SLT: captions and vertices exactly as published."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tests.trees.airslt import make
from xemap.datasets.annotations import AnnotationFile
from xemap.errors import DataError, LayoutError
from xemap.preparation.converters import convert
from xemap.preparation.converters.airslt import AirSltConverter


@pytest.fixture
def root(tmp_path):
    make(tmp_path)
    return tmp_path


def edit(root, change) -> None:
    file = root / 'airslt/annotations/anno.json'
    content = json.loads(file.read_text())
    file.write_text(json.dumps(change(content)))


def test_texts_and_polygons_are_the_files_own(root):
    report = convert(AirSltConverter(root), root / 'out')
    assert report.images == {'test': 3} and sum(report.queries['test'].values()) == 6
    assert report.counts == {'polygons_past_border': 3}
    entries = json.loads((root / 'airslt/annotations/anno.json').read_text())
    file = AnnotationFile(root / 'out/test.arrow')
    queries = [query for record in file for query in record.queries]
    for query, entry in zip(queries, entries):
        assert query.text == entry['caption'].strip()
        stored = query.region.polygons(file[0].size)
        assert [polygon.tolist() for polygon in stored] == entry['points']
        assert query.region.hand_drawn
        assert (query.kind, query.hops, query.category) == (None, None, None)
        assert query.referents == len(entry['points'])
    assert file[1].image == 'airslt/imgs/1.jpg' and file[1].size == (90, 121) and file[1].source == 'airslt'


def test_images_that_are_absent_or_too_many(root):
    (root / 'airslt/imgs/1.jpg').rename(root / 'airslt/imgs/other.jpg')
    with pytest.raises(DataError, match=r'entry 3: image .*1\.jpg does not exist'):
        AirSltConverter(root).items()
    converter = AirSltConverter(root, skip_bad=True)
    assert [item.image.name for item in converter.items()] == ['0.jpg', '2.jpg']
    assert converter.report.counts == {'annotations_without_image': 1, 'images_not_annotated': 1}


def test_annotations_of_another_version_of_the_image(root):
    Image.new('RGB', (20, 20)).save(root / 'airslt/imgs/0.jpg')
    with pytest.raises(DataError, match='entry 1: a polygon of .* wholly outside the image of 20 x 20'):
        convert(AirSltConverter(root), root / 'out')


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda entries: {'images': entries}, 'anno.json is no list of entries'),
        (lambda entries: [entries[0], {**entries[1], 'points': 'x'}], "entry 2 has no list 'points'"),
        (lambda entries: [entries[0], {'caption': 'a'}], "entry 2 has no str 'jpg_name'"),
        (lambda entries: [[1]], "entry 1 has no str 'caption'"),
    ],
)
def test_another_make_is_fatal_even_when_bad_entries_are_skipped(root, change, message):
    edit(root, change)
    with pytest.raises(LayoutError, match=message):
        AirSltConverter(root, skip_bad=True).items()


@pytest.mark.parametrize(
    'field, value, message',
    [
        ('caption', ' \n', 'entry 1: text .* is empty'),
        ('points', [], 'entry 1: no polygon'),
        ('points', [[[1, 1], [2, 2]]], 'entry 1.*2 vertices'),
        ('points', [[[1, 1], [2, 2], [3, float('nan')]]], 'entry 1.*not finite'),
        ('points', [[[1, 1], [2, 2], [3, 10**400]]], 'entry 1.*no list of x, y numbers'),
    ],
)
def test_bad_entries(root, field, value, message):
    edit(root, lambda entries: [{**entries[0], field: value}, *entries[1:]])
    with pytest.raises(DataError, match=message):
        convert(AirSltConverter(root), root / 'out')
    report = convert(AirSltConverter(root, skip_bad=True), root / 'out')
    assert report.counts['bad_annotations'] == 1 and sum(report.queries['test'].values()) == 5


def test_an_image_without_annotation(root):
    Image.new('RGB', (9, 9)).save(root / 'airslt/imgs/new.jpg')
    with pytest.raises(DataError, match=r'new\.jpg has no annotation'):
        AirSltConverter(root).items()
    converter = AirSltConverter(root, skip_bad=True)
    assert len(converter.items()) == 3 and converter.report.counts == {'images_not_annotated': 1}


def test_without_annotations(root):
    (root / 'airslt/annotations/anno.json').unlink()
    with pytest.raises(DataError, match=r'neither .*annotations/anno\.json nor .*anno\.json exists'):
        AirSltConverter(root).items()


def test_the_published_file(shared_dir, tmp_path):
    published = shared_dir / 'data/airslt/anno.json'
    entries = json.loads(published.read_text())
    folder = tmp_path / 'airslt'
    (folder / 'imgs').mkdir(parents=True)
    (folder / 'anno.json').write_bytes(published.read_bytes())
    for name in {entry['jpg_name'] for entry in entries}:  # the images are not published here; only their size counts
        vertices = [vertex for e in entries if e['jpg_name'] == name for polygon in e['points'] for vertex in polygon]
        width, height = np.ceil(np.max(vertices, axis=0)).astype(int)
        Image.new('1', (int(width), int(height))).save(folder / 'imgs' / name, 'PNG')
    report = convert(AirSltConverter(tmp_path), tmp_path / 'out')
    assert report.images == {'test': 22} and sum(report.queries['test'].values()) == 59 and not report.counts
    stored = {}
    for record in AnnotationFile(tmp_path / 'out/test.arrow'):
        for query in record.queries:
            stored[record.image, query.text] = [p.tolist() for p in query.region.polygons(record.size)]
    assert stored == {(f'airslt/imgs/{e["jpg_name"]}', e['caption'].strip()): e['points'] for e in entries}
    assert sum(map(len, stored.values())) == 103
    repeated = [p for polygons in stored.values() for p in polygons if p[-1] == p[-2] or p[-1] == p[0]]
    assert len(repeated) == 18
    with pytest.raises(DataError, match=r'image .*\.jpg does not exist'):
        (folder / 'imgs/0.jpg').unlink()
        AirSltConverter(tmp_path).items()
