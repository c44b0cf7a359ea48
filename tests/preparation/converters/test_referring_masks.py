"""RRSIS-D, RefSegRS and RISBench: their layouts, and what is known to go wrong in them."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from PIL import Image

from tests.tools.command import run_tool
from tests.tools.small_run import ROOT
from tests.trees import refsegrs, risbench, rrsis_d
from tests.trees.refcoco import python2_pickle
from xemap.datasets import XeMapDataset
from xemap.datasets.annotations import AnnotationFile
from xemap.errors import DataError, LayoutError
from xemap.preparation.converters import convert
from xemap.preparation.converters.refer import load_refs
from xemap.preparation.converters.rrsis_d import RrsisDConverter
from xemap.preparation.converters.triplets import RefSegRSConverter, RisBenchConverter

SOURCES = {'rrsis_d': (rrsis_d, RrsisDConverter), 'refsegrs': (refsegrs, RefSegRSConverter),
           'risbench': (risbench, RisBenchConverter)}  # fmt: skip


@pytest.mark.parametrize('name', SOURCES)
def test_tree(tmp_path, name):
    tree, converter = SOURCES[name]
    expected = tree.make(tmp_path)
    report = convert(converter(tmp_path), tmp_path / 'out')
    assert dict(report.images) == expected['images']
    made = report.as_dict()['splits']
    assert {split: part['queries'] for split, part in made.items()} == expected['queries']
    assert {split: part['published'] for split, part in made.items()} == dict(converter.published)
    for split in expected['images']:
        for record in AnnotationFile(tmp_path / f'out/{split}.arrow'):
            assert record.source == name
            for query in record.queries:
                assert query.text[0].isupper() or query.text == 'road'
                assert query.region.mask(record.size).any() and (query.kind, query.hops) == (None, None)


def test_the_published_counts_are_the_papers():
    assert sum(RrsisDConverter.published.values()) == 17402
    assert sum(RefSegRSConverter.published.values()) == 4420
    assert sum(RisBenchConverter.published.values()) == 52472


def test_rrsis_d_masks_of_another_size_and_category_keys(tmp_path):
    rrsis_d.make(tmp_path)
    converter = RrsisDConverter(tmp_path)
    first, second = (converter.record(item) for item in converter.items()[2:4])
    assert (first.size, second.size) == ((48, 65), (48, 64))
    assert converter.report.counts == {'masks_resized': 1}
    assert [record.queries[0].category for record in (first, second)] == ['ship', 'ship']
    assert first.queries[0].text == 'The ship 0, on the left.' and first.queries[0].referents == 1
    code = json.loads((tmp_path / 'RRSIS-D/rrsisd/instances.json').read_text())['annotations'][0]
    x0, y0, x1, y1 = code['bbox']
    rows, columns = np.nonzero(first.queries[0].region.mask((48, 65)))
    # Column c of 65 shows column floor(c * 64 / 65) of the mask.
    shown = [c for c in range(65) if x0 <= c * 64 // 65 < x1]
    assert sorted(set(columns)) == shown and (rows.min(), rows.max() + 1) == (y0, y1)


def test_rrsis_d_several_parts_are_united(tmp_path):
    rrsis_d.make(tmp_path)
    file = tmp_path / 'RRSIS-D/rrsisd/instances.json'
    content = json.loads(file.read_text())
    one, other = (content['annotations'][i]['segmentation'][0] for i in (2, 3))
    content['annotations'][2]['segmentation'] = [one, other]  # they overlap
    content['annotations'][3]['segmentation'] = [one, {'size': [4, 4], 'counts': [8, 8]}]
    file.write_text(json.dumps(content))
    converter = RrsisDConverter(tmp_path)
    items = {item.image.stem: item for item in converter.items()}
    made = converter.record(items['00002']).queries[0].region.mask(rrsis_d.SIZE)
    from xemap.structures import MaskRegion

    assert (made == (MaskRegion(one).mask(rrsis_d.SIZE) | MaskRegion(other).mask(rrsis_d.SIZE))).all()
    with pytest.raises(DataError, match=r'ref 3 has run-length codes of several sizes'):
        converter.record(items['00003'])


def test_rrsis_d_pickles_run_nothing(tmp_path):
    rrsis_d.make(tmp_path)

    class Runs:
        def __reduce__(self):
            import os

            return os.mkdir, (str(tmp_path / 'made'),)

    (tmp_path / 'RRSIS-D/rrsisd/refs(unc).p').write_bytes(pickle.dumps([Runs()]))
    with pytest.raises(LayoutError, match='it asks for posix.mkdir'):
        RrsisDConverter(tmp_path, skip_bad=True).items()
    assert not (tmp_path / 'made').exists()


def test_rrsis_d_missing_image(tmp_path):
    rrsis_d.make(tmp_path)
    (tmp_path / 'RRSIS-D/images/rrsisd/JPEGImages/00003.jpg').unlink()
    with pytest.raises(DataError, match=r'ref 3: image .*00003.jpg does not exist'):
        RrsisDConverter(tmp_path).items()
    converter = RrsisDConverter(tmp_path, skip_bad=True)
    assert len(converter.items()) == 5 and converter.report.counts == {'annotations_without_image': 1}


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda refs, _: refs[2]['sentences'][0].update(raw=' '), 'ref 2 has an empty sentence'),
        (lambda _, objects: objects[2].update(categories_id=[7]), 'ref 2: .* its category do not go together'),
        (lambda _, objects: objects[3].update(category_id={'id': 7}), 'ref 3: .* its category do not go together'),
        (
            lambda _, objects: objects[2].update(segmentation=[{'size': [65535, 65535], 'counts': [65535 * 65535]}]),
            'ref 2 has a mask of 65535 x 65535 pixels, more than the 268 million',
        ),
    ],
    ids=['empty', 'category-list', 'category-dict', 'huge'],
)
def test_rrsis_d_faults_are_named_or_skipped(tmp_path, change, message):
    rrsis_d.make(tmp_path)
    folder = tmp_path / 'RRSIS-D/rrsisd'
    refs, instances = load_refs(folder / 'refs(unc).p', 'raw'), json.loads((folder / 'instances.json').read_text())
    change(refs, instances['annotations'])
    (folder / 'refs(unc).p').write_bytes(python2_pickle(refs))
    (folder / 'instances.json').write_text(json.dumps(instances))
    with pytest.raises(DataError, match=message):
        convert(RrsisDConverter(tmp_path), tmp_path / 'out')
    report = convert(RrsisDConverter(tmp_path, skip_bad=True), tmp_path / 'out')
    assert report.counts['bad_annotations'] == 1 and dict(report.images)['val'] == 1
    assert len(XeMapDataset('val.arrow', str(tmp_path / 'out'))) == 1


def test_risbench_in_the_refer_layout(tmp_path):
    rrsis_d.make(tmp_path)
    folder = tmp_path / 'RISBench'
    (tmp_path / 'RRSIS-D').rename(folder)
    (folder / 'rrsisd').rename(folder / 'risbench')
    (folder / 'images/rrsisd/JPEGImages').rename(folder / 'img_rgb')
    words = 'rrsis-d --folder RISBench --refs risbench --images img_rgb --source risbench'
    assert words in (ROOT / 'docs/data.md').read_text()
    done = run_tool('convert_dataset', *words.split(), '--data-root', tmp_path, '--out', tmp_path / 'out', '--json')
    assert done.returncode == 0, done.stderr
    splits = json.loads(done.stdout)['splits'].values()
    assert [part.get('published') for part in splits] == [None] * 3  # the counts are RRSIS-D's
    assert AnnotationFile(tmp_path / 'out/val.arrow')[0].source == 'risbench'


def test_risbench_scenes_and_equal_files(tmp_path):
    risbench.make(tmp_path)
    converter = RisBenchConverter(tmp_path)
    val = [item for item in converter.items() if item.split == 'val']
    assert [item.image.name for item in val] == ['train_0_2.png', 'train_1_2.png']
    assert converter.report.counts == {'scenes_in_two_splits': 2}
    report = convert(RisBenchConverter(tmp_path, join_equal=True), tmp_path / 'joined')
    assert dict(report.images) == {'train': 2, 'val': 2, 'test': 2}
    record = AnnotationFile(tmp_path / 'joined/train.arrow')[0]
    assert [query.text for query in record.queries] == ['The ship 0 of train scene 0.', 'The ship 1 of train scene 0.']
    for number, query in enumerate(record.queries):
        rows = np.nonzero(query.region.mask(record.size).any(1))[0]
        assert (rows[0], rows[-1]) == (10 * number, 10 * number + 8) and query.referents == 1


def test_masks_of_other_values_sizes_and_modes(tmp_path):
    refsegrs.make(tmp_path)
    folder = tmp_path / 'RefSegRS/masks'
    mask = np.zeros((48, 64), np.uint8)
    mask[0, 0], mask[1, 1], mask[2, 2], mask[3, 3] = 255, 51, 50, 1
    Image.fromarray(mask).save(folder / '0.tif')
    Image.fromarray(np.repeat(mask[..., None], 3, 2)).save(folder / '1.tif')
    Image.fromarray(mask[:, :32]).save(folder / '2.tif')
    Image.fromarray(np.zeros_like(mask)).save(folder / '3.tif')
    converter = RefSegRSConverter(tmp_path)
    records = [converter.record(item) for item in converter.items()]
    for record in records[:2]:
        assert np.argwhere(record.queries[0].region.mask((48, 64))).tolist() == [[0, 0], [1, 1]]
    assert np.argwhere(records[2].queries[0].region.mask((48, 64))).tolist() == [[0, 0], [0, 1], [1, 2], [1, 3]]
    assert records[3] is None
    # Two sentences each of the images 0 and 2, one of 1 and 3.
    assert converter.report.counts == {
        'pixels_between': 3 * 2 + 3 + 3 * 2,
        'masks_resized': 2,
        'objects_too_small': 1,
        'images_without_queries': 1,
    }


@pytest.mark.parametrize(
    'line, error, message',
    [
        ('1', LayoutError, "line 1: '1' is no file name and a sentence"),
        ('../1 road', LayoutError, 'is no file name and a sentence'),
        ('77 road', DataError, "line 1: '77' has no image or no mask"),
    ],
)
def test_faulty_lists(tmp_path, line, error, message):
    refsegrs.make(tmp_path)
    (tmp_path / 'RefSegRS/output_phrase_val.txt').write_text(f'{line}\n')
    with pytest.raises(error, match=message):
        RefSegRSConverter(tmp_path).items()


def test_a_missing_file(tmp_path):
    refsegrs.make(tmp_path)
    (tmp_path / 'RefSegRS/masks/0.tif').unlink()
    with pytest.raises(DataError, match=r"image .*0\.tif has no mask '0'"):
        RefSegRSConverter(tmp_path).items()
    (tmp_path / 'RefSegRS/output_phrase_test.txt').unlink()
    with pytest.raises(DataError, match='output_phrase_test.txt cannot be read'):
        RefSegRSConverter(tmp_path, skip_bad=True).items()
