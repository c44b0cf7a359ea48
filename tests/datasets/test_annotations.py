"""The annotation file: what goes in comes out, and what is broken is named."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import xemap.datasets.annotations as module
from xemap.datasets.annotations import SCHEMA, AnnotationFile, merge_annotations, write_annotations
from xemap.errors import DataError
from xemap.structures import QUERY_KINDS, ImageRecord, MaskRegion, PolygonRegion, Query

COORDINATES = st.floats(-1e6, 1e6, allow_nan=False)
POLYGONS = st.lists(st.lists(st.tuples(COORDINATES, COORDINATES), min_size=2, max_size=5), max_size=3)
COUNTS = st.none() | st.integers(0, 100)


@st.composite
def records(draw) -> ImageRecord:
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    masks = hnp.arrays(bool, (height, width)).map(MaskRegion.from_mask)
    regions = st.builds(PolygonRegion, POLYGONS, st.booleans()) | masks
    query = st.builds(
        Query,
        text=st.text(max_size=20),
        region=regions,
        category=st.none() | st.text(max_size=5),
        kind=st.none() | st.sampled_from(QUERY_KINDS),
        hops=COUNTS,
        referents=COUNTS,
        distractors=st.none() | st.builds(PolygonRegion, POLYGONS),
        anchors=st.none() | st.builds(PolygonRegion, POLYGONS) | masks,
        needed=st.none() | st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4)), max_size=3).map(tuple),
        pair=st.none() | st.text(max_size=5),
    )
    fits = query.filter(lambda query: not query.absent or query.region.is_empty)
    queries = draw(st.lists(fits, max_size=4))
    return ImageRecord(draw(st.text(max_size=9)), width, height, draw(st.text(max_size=4)), queries)


def numbered(count: int) -> list[ImageRecord]:
    square = PolygonRegion([[0, 0, 3, 0, 3, 3]])
    queries_of_images = [[Query(f'thing {i} {k}', square) for k in range((i + 2) % 4)] for i in range(count)]
    return [ImageRecord(f'{i}.png', 10, 8, f'source{i % 3}', queries) for i, queries in enumerate(queries_of_images)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(records(), max_size=7), batch=st.integers(1, 4), info=st.dictionaries(st.text(), st.integers()))
def test_round_trip(tmp_path, rows, batch, info) -> None:
    path = tmp_path / 'a.arrow'
    counts = write_annotations(path, iter(rows), info, batch_size=batch)
    file = AnnotationFile(path)
    assert list(file) == rows and file.info == info
    assert [file[i - len(rows)] for i in range(len(rows))] == rows
    assert file.query_counts().tolist() == [len(row.queries) for row in rows]
    assert counts == {'images': len(rows), 'queries': sum(len(row.queries) for row in rows)}
    assert file.image_column('image').to_pylist() == [row.image for row in rows]
    assert file.query_column('text').to_pylist() == [query.text for row in rows for query in row.queries]
    assert file.query_column('hops').to_pylist() == [query.hops for row in rows for query in row.queries]
    assert list(pickle.loads(pickle.dumps(file))) == rows


def test_random_access_over_many_batches(tmp_path) -> None:
    rows = numbered(5000)
    write_annotations(tmp_path / 'a.arrow', rows)
    file = AnnotationFile(tmp_path / 'a.arrow')
    for i in (0, 2047, 2048, 4095, 4096, 4999, -1, -5000, np.int64(2500)):
        assert file[i] == rows[i]
    for i in (5000, -5001):
        with pytest.raises(IndexError, match='5000'):
            file[i]


def test_maps_the_file_and_does_not_load_it(tmp_path) -> None:
    square = PolygonRegion([np.random.default_rng(0).random((2000, 2))])
    row = ImageRecord('a', 9, 9, 's', [Query('a', square)] * 5)
    write_annotations(tmp_path / 'a.arrow', (row for _ in range(150)))
    assert os.path.getsize(tmp_path / 'a.arrow') > 20e6
    before = pa.total_allocated_bytes()
    file = AnnotationFile(tmp_path / 'a.arrow')
    file.query_counts(), file.query_column('text'), file[120]
    assert pa.total_allocated_bytes() - before < 1e6
    assert len(pickle.dumps(file)) < 1000


def test_nothing_is_left_when_writing_fails(tmp_path) -> None:
    path = tmp_path / 'a.arrow'
    write_annotations(path, numbered(3))

    def broken():
        yield from numbered(2)
        raise RuntimeError('stop')

    with pytest.raises(RuntimeError, match='stop'):
        write_annotations(path, broken())
    assert os.listdir(tmp_path) == ['a.arrow'] and len(AnnotationFile(path)) == 3


def test_what_must_not_be_written(tmp_path) -> None:
    row = numbered(1)[0]
    mask = Query('a mask', MaskRegion.from_mask(np.ones((10, 8), bool)))
    with pytest.raises(DataError, match=r'0\.png.*a mask.*\(10, 8\).*\(8, 10\)'):
        write_annotations(tmp_path / 'a.arrow', [replace(row, queries=[mask])])
    kind = Query('a', PolygonRegion([]), kind='two-hop')
    with pytest.raises(DataError, match='two-hop'):
        write_annotations(tmp_path / 'a.arrow', [replace(row, queries=[kind])])
    absent = Query('no lake', PolygonRegion([[0, 0, 3, 0, 3, 3]]), referents=0)
    with pytest.raises(DataError, match=r'0\.png: "no lake" has referents=0 and a region'):
        write_annotations(tmp_path / 'a.arrow', [replace(row, queries=[absent])])


def test_a_query_without_a_referent(tmp_path) -> None:
    record = replace(numbered(1)[0], queries=[Query('no lake', PolygonRegion([]), referents=0)])
    write_annotations(tmp_path / 'a.arrow', [record])
    (query,) = AnnotationFile(tmp_path / 'a.arrow')[0].queries
    assert query.absent and query.region.is_empty and query == record.queries[0]


def test_missing_file(tmp_path) -> None:
    with pytest.raises(DataError, match=r'none\.arrow does not exist'):
        AnnotationFile(tmp_path / 'none.arrow')


@pytest.mark.parametrize('share', [0, 0.001, 0.3, 0.9, 0.9999])
def test_truncated_file(tmp_path, share) -> None:
    path = tmp_path / 'a.arrow'
    write_annotations(path, numbered(500))
    path.write_bytes(path.read_bytes()[: int(os.path.getsize(path) * share)])
    with pytest.raises(DataError, match=r'a\.arrow is not a complete annotation file'):
        AnnotationFile(path)


def write_raw(path, schema: pa.Schema, rows: list[dict]) -> None:
    with pa.OSFile(str(path), 'wb') as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=schema))


ROW = {'image': 'a', 'width': 4, 'height': 4, 'source': 's', 'queries': []}


@pytest.mark.parametrize(
    'metadata, message',
    [
        ({}, 'version none'),
        ({'xemap_annotations': '99'}, 'version 99.*reads 1'),
        ({'xemap_annotations': '1', 'xemap_info': '{'}, 'information'),
        ({'xemap_annotations': '1', 'xemap_info': '5'}, 'information'),
    ],
)
def test_other_versions_and_broken_information(tmp_path, metadata, message) -> None:
    write_raw(tmp_path / 'a.arrow', SCHEMA.with_metadata(metadata), [ROW])
    with pytest.raises(DataError, match=message):
        AnnotationFile(tmp_path / 'a.arrow')


@pytest.mark.parametrize('missing', [('hand_drawn',), module._ADDED], ids=['hand_drawn', 'all'])
def test_files_from_before_a_field(tmp_path, missing) -> None:
    """Polygons of a query without a category were drawn for it, those of a category were made from labels."""
    square = [[0, 0, 3, 0, 3, 3]]
    queries = [Query('the shed', PolygonRegion(square, True)), Query('all cars', PolygonRegion(square), category='car')]
    records = [ImageRecord('a.png', 10, 8, 'a', queries)]
    older = pa.struct([field for field in module._QUERY if field.name not in missing])
    schema = SCHEMA.set(SCHEMA.get_field_index('queries'), pa.field('queries', pa.list_(older)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, 'SCHEMA', schema)
        write_annotations(tmp_path / 'old.arrow', records)
    file = AnnotationFile(tmp_path / 'old.arrow')
    assert list(file) == records and file.query_column('text').to_pylist() == ['the shed', 'all cars']
    merge_annotations([tmp_path / 'old.arrow'], tmp_path / 'new.arrow')
    assert list(AnnotationFile(tmp_path / 'new.arrow')) == records


def test_other_columns(tmp_path) -> None:
    schema = SCHEMA.remove(0).with_metadata({'xemap_annotations': '1'})
    write_raw(tmp_path / 'a.arrow', schema, [ROW])
    with pytest.raises(DataError, match='columns'):
        AnnotationFile(tmp_path / 'a.arrow')


QUERY = {'text': 'a', 'category': None, 'kind': None, 'hops': None, 'referents': None, 'polygons': None, 'rle': None}


@pytest.mark.parametrize('queries', [None, [QUERY], [{**QUERY, 'polygons': [[1.0]]}], [None]])
def test_incomplete_rows(tmp_path, queries) -> None:
    write_raw(tmp_path / 'a.arrow', SCHEMA.with_metadata({'xemap_annotations': '1'}), [{**ROW, 'queries': queries}])
    with pytest.raises(DataError, match=r'a\.arrow'):
        AnnotationFile(tmp_path / 'a.arrow')[0]


def test_damaged_bytes_do_not_crash_the_reader(tmp_path) -> None:
    """A row with offsets that point out of the file is refused; run apart because a failure is a crash."""
    write_annotations(tmp_path / 'good.arrow', numbered(40))
    code = """
import sys
import numpy as np
from xemap.datasets.annotations import AnnotationFile
from xemap.errors import DataError
good, rng = open(sys.argv[1], 'rb').read(), np.random.default_rng(0)
refused = 0
for trial in range(150):
    data = bytearray(good)
    start = int(rng.integers(8, len(data) - 8))
    data[start : start + 8] = rng.bytes(8)
    open(sys.argv[2], 'wb').write(data)
    try:
        for record in AnnotationFile(sys.argv[2]):
            for query in record.queries:
                query.region.polygons(record.size)
    except DataError:
        refused += 1
assert refused > 10, refused
"""
    command = [sys.executable, '-c', code, str(tmp_path / 'good.arrow'), str(tmp_path / 'bad.arrow')]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('level', ['queries', 'texts', 'polygons', 'rings', 'numbers'])
def test_offsets_that_lead_out_of_the_file_are_refused(tmp_path, level) -> None:
    """Lists and texts that claim more than there is; run apart because a failure is a crash."""
    write_annotations(tmp_path / 'good.arrow', numbered(40))
    code = """
import struct, sys
import numpy as np
from xemap.datasets.annotations import AnnotationFile
from xemap.errors import DataError
good_path, bad_path, level = sys.argv[1:]
good, rows = open(good_path, 'rb').read(), list(AnnotationFile(good_path))
counts = [len(row.queries) for row in rows]
texts = [len(query.text) for row in rows for query in row.queries]
lengths = {'queries': counts, 'texts': texts, 'polygons': [1] * len(texts), 'rings': [6] * len(texts)}
offsets = np.cumsum([0, *lengths['rings' if level == 'numbers' else level]]).astype('<i4').tobytes()
row = counts.index(3)
hurt = row if level == 'queries' else sum(counts[:row]) + 1  # within the row
data, at = bytearray(good), good.index(offsets) + 4 * hurt
data[at : at + 4] = struct.pack('<i', 10**8)
if level == 'numbers':  # in the header they are as many as the offset says
    at = good.index(struct.pack('<qq', 6 * len(texts), 0))
    data[at : at + 8] = struct.pack('<q', 10**9)
open(bad_path, 'wb').write(data)
refused = []
try:
    damaged = AnnotationFile(bad_path)
except DataError:
    assert level in ('queries', 'numbers')
    raise SystemExit
for i in range(len(rows)):
    try:
        assert damaged[i] == rows[i], i
    except DataError:
        refused.append(i)
assert refused == [row] and level not in ('queries', 'numbers'), refused
"""
    command = [sys.executable, '-c', code, str(tmp_path / 'good.arrow'), str(tmp_path / 'bad.arrow'), level]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_merged_files_hold_the_images_of_all_in_order(tmp_path) -> None:
    first, second = numbered(5), [replace(r, image=f'b/{r.image}') for r in numbered(3)]
    write_annotations(tmp_path / 'a.arrow', first, {'name': 'a'})
    write_annotations(tmp_path / 'b.arrow', second)
    counts = merge_annotations([tmp_path / 'a.arrow', tmp_path / 'b.arrow'], tmp_path / 'both.arrow')
    both = AnnotationFile(tmp_path / 'both.arrow')
    assert list(both) == first + second
    assert counts['images'] == 8
    assert both.info['merged'][0] == {'file': 'a.arrow', 'name': 'a'}


def test_an_image_in_two_files_is_not_merged(tmp_path) -> None:
    for name in 'ab':
        write_annotations(tmp_path / f'{name}.arrow', numbered(2))
    with pytest.raises(DataError, match=r'0\.png is in .*a\.arrow and in .*b\.arrow'):
        merge_annotations([tmp_path / 'a.arrow', tmp_path / 'b.arrow'], tmp_path / 'both.arrow')
    assert not (tmp_path / 'both.arrow').exists()
