"""RefCOCO and its variants: pickles that are not trusted, file names, splits, regions."""

from __future__ import annotations

import json
import pickle
import shutil

import numpy as np
import pytest

from tests.trees.refcoco import SIZE, VARIANTS, make, python2_pickle
from xemap.datasets.annotations import AnnotationFile
from xemap.errors import DataError, LayoutError
from xemap.preparation.converters import convert
from xemap.preparation.converters.refcoco import RefCocoConverter
from xemap.preparation.converters.refer import load_refs
from xemap.structures import MaskRegion, PolygonRegion


@pytest.fixture
def root(tmp_path):
    make(tmp_path)
    return tmp_path


@pytest.fixture
def edit(root):
    """Changes the refs and the instances of the variant ``refcoco``, and returns a converter of it alone."""

    def change(change_refs=None, change_instances=None, **options) -> RefCocoConverter:
        folder = root / 'RefCOCO/refcoco'
        refs = load_refs(folder / 'refs(unc).p')
        instances = json.loads((folder / 'instances.json').read_text())
        if change_refs:
            change_refs(refs)
        if change_instances:
            change_instances(instances)
        (folder / 'refs(unc).p').write_bytes(python2_pickle(refs))
        (folder / 'instances.json').write_text(json.dumps(instances))
        return RefCocoConverter(root, variants={'refcoco': 'unc'}, **options)

    return change


def test_tree(tmp_path):
    expected = make(tmp_path, images=3)
    report = convert(RefCocoConverter(tmp_path), tmp_path / 'out')
    assert dict(report.images) == expected['images']
    assert {split: sum(of.values()) for split, of in report.queries.items()} == expected['queries']
    assert report.counts == {
        'queries_of_test': 3 * 2 * 3,
        'queries_of_val_images': 2 * 3,
        # In each ref one sentence twice; and that sentence again in every other variant of the same split.
        'queries_duplicated': 3 * 12 + 12 + 10,
    }
    train, val = (AnnotationFile(tmp_path / f'out/{split}.arrow') for split in ('train', 'val'))
    assert {record.image for record in train}.isdisjoint(record.image for record in val)
    record = train[0]
    assert record.image == 'RefCOCO/train2014/COCO_train2014_000000000001.jpg' and record.size == SIZE
    assert [(query.text, query.category) for query in record.queries[:5]] == [
        ('thing 2 on the left', 'car'), ('thing 2 of refcoco', 'car'), ('thing 2 of refcoco+', 'car'),
        ('thing 2 of refcocog', 'car'), ('thing 3 on the left', 'dog'),
    ]  # fmt: skip
    for query in record.queries:
        assert (query.kind, query.hops, query.referents) == (None, None, 1)
    car, dog = record.queries[0].region, record.queries[4].region
    assert isinstance(car, PolygonRegion) and len(car.polygons(SIZE)) == 2
    assert isinstance(dog, MaskRegion) and dog.area == 600
    assert all(query.region == car for query in record.queries[:4])


def test_the_image_is_that_of_the_id(root, edit):
    """The name that a ref gives does not exist, and may even be that of another image."""

    def mislead(refs):
        refs[0]['file_name'] = 'COCO_train2014_000000000002.jpg'

    converter = edit(mislead)
    item = converter.items()[0]
    assert item.image.name == 'COCO_train2014_000000000000.jpg'
    assert 'thing 0 on the left' in [query.text for query in converter.record(item).queries]


@pytest.mark.parametrize('protocol', [0, 1, 2])
def test_pickles_of_python_2(tmp_path, protocol):
    refs = [
        {
            'ref_id': 1,
            'ann_id': 2**33,
            'image_id': 3,
            'split': 'val',
            'sentences': [{'sent': 'caf\xe9'}],
            'box': (1.5, None),
        }
    ]
    file = tmp_path / 'refs(unc).p'
    file.write_bytes(python2_pickle(refs, protocol) if protocol else pickle.dumps(refs, 0))
    assert load_refs(file) == refs
    # The bytes of a Python 2 str are in the file as they are.
    assert protocol == 0 or b'caf\xe9' in file.read_bytes()


class Runs:
    def __init__(self, call, *args) -> None:
        self.call, self.args = call, args

    def __reduce__(self):
        return self.call, self.args


@pytest.mark.parametrize('protocol', [0, 2, 4])
def test_pickles_run_nothing(tmp_path, protocol):
    import os

    mark = tmp_path / 'made'
    file = tmp_path / 'refs(unc).p'
    file.write_bytes(pickle.dumps([Runs(os.mkdir, str(mark))], protocol))
    with pytest.raises(LayoutError, match=r'refs\(unc\)\.p is no pickle of plain .*it asks for (posix|nt)\.mkdir'):
        load_refs(file)
    assert not mark.exists()
    file.write_bytes(pickle.dumps([Runs(eval, f'open({str(mark)!r}, "w")')], protocol))
    with pytest.raises(LayoutError, match=r'it asks for (__builtin__|builtins)\.eval'):
        load_refs(file)
    assert not mark.exists()


@pytest.mark.parametrize(
    'content, message',
    [
        (b'', 'no pickle'),
        (b'\x80\x02]q\x00(', 'no pickle'),
        (b'{"not": "a pickle"}', 'no pickle'),
        (pickle.dumps([np.float64(1.0)], 2), 'it asks for numpy'),
        (pickle.dumps({'refs': []}, 2), 'holds a dict'),
        (pickle.dumps([{'ref_id': 1}], 2), "entry 1 has no int 'ann_id'"),
        (pickle.dumps([[1]], 2), "entry 1 has no int 'ref_id'"),
        (
            pickle.dumps([{'ref_id': 1, 'ann_id': 2, 'image_id': 3, 'split': 'val', 'sentences': [{'raw': 'x'}]}], 2),
            "entry 1, a sentence has no str 'sent'",
        ),
    ],
)
def test_refs_of_another_make(tmp_path, content, message):
    file = tmp_path / 'refs(unc).p'
    file.write_bytes(content)
    with pytest.raises(LayoutError, match=message):
        load_refs(file)


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda content: content.pop('annotations'), "has no list 'annotations'"),
        (lambda content: content['annotations'][0].pop('image_id'), "entry 1 of 'annotations' has no int 'image_id'"),
        (lambda content: content['images'].append(7), "entry 8 of 'images' has no int 'id'"),
    ],
)
def test_instances_of_another_make(edit, change, message):
    with pytest.raises(LayoutError, match=message):
        edit(None, change, skip_bad=True).items()


@pytest.mark.parametrize(
    'change_refs, change_instances, message, counts',
    [
        (lambda refs: refs[2].update(ann_id=99), None, 'annotation 99', {'bad_annotations': 1}),
        (lambda refs: refs[2].update(image_id=1000), None, 'ref 14: image 1000', {'bad_annotations': 1}),
        (lambda refs: refs[2]['sentences'][1].update(sent=' '), None, 'empty sentence', {'bad_annotations': 1}),
        (None, lambda c: c['images'].append(c['images'][0]), 'id 1000 twice', {'images_duplicated': 1}),
        (None, lambda c: c['annotations'][2].update(segmentation=[]), 'ref 14 has no poly', {'bad_annotations': 1}),
        (None, lambda c: c['annotations'][2].update(segmentation=[[1, 1, 5, 5]]), '2 vertices', {'bad_annotations': 1}),
        (
            None,
            lambda c: c['annotations'][3]['segmentation'].update(counts=[7]),
            'ref 21 has run-length counts that do not add up',
            {'bad_annotations': 1},
        ),
        (None, lambda c: c['images'][1].update(width=101), 'is 100 x 80 pixels, .* 101 x 80', {'bad_images': 1}),
        (
            None,
            lambda c: c['images'][1].update(file_name='no.jpg'),
            r'image .*no\.jpg does not exist',
            {'annotations_without_image': 1},
        ),
    ],
)
def test_faults_are_named_or_skipped(root, edit, change_refs, change_instances, message, counts):
    with pytest.raises(DataError, match=message):
        convert(edit(change_refs, change_instances), root / 'out')
    report = convert(RefCocoConverter(root, variants={'refcoco': 'unc'}, skip_bad=True), root / 'out')
    assert {reason: number for reason, number in report.counts.items() if not reason.startswith('queries_')} == counts


def test_an_image_outside_the_data_root(root, edit):
    (root.parent / 'outside.jpg').write_bytes((root / 'RefCOCO/train2014/COCO_train2014_000000000000.jpg').read_bytes())
    with pytest.raises(DataError, match='not below --data-root'):
        edit(None, lambda content: content['images'][0].update(file_name='../../../outside.jpg')).items()


def test_run_length_codes_in_a_list_and_empty_ones(edit):
    def change(content):
        shapes = content['annotations']
        shapes[3]['segmentation'] = [shapes[3]['segmentation']]
        shapes[2]['segmentation'] = {'size': list(SIZE), 'counts': [SIZE[0] * SIZE[1]]}

    converter = edit(None, change)
    (record,) = (converter.record(item) for item in converter.items() if '000001.jpg' in item.name)
    assert {query.category for query in record.queries} == {'dog'} and record.queries[0].region.area == 600
    assert converter.report.counts['objects_too_small'] == 1


def test_missing_files(root):
    shutil.rmtree(root / 'RefCOCO/refcoco+')
    with pytest.raises(DataError, match=r'refcoco\+ does not exist'):
        RefCocoConverter(root).items()
    converter = RefCocoConverter(root, skip_bad=True)
    assert len(converter.items()) == 6 and converter.report.counts['lists_empty'] == 1
    (root / 'RefCOCO/refcoco/refs(unc).p').unlink()
    with pytest.raises(DataError, match=r'refs\(unc\)\.p cannot be read'):
        RefCocoConverter(root, skip_bad=True).items()


def test_other_divisions(root):
    file = root / 'RefCOCO/refcocog/refs(umd).p'
    file.rename(file.with_name('refs(google).p'))
    variants = {**VARIANTS, 'refcocog': 'google'}
    assert len(RefCocoConverter(root, variants=variants).items()) == 6
