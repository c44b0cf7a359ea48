"""Annotation files that are damaged or made up to do harm: a DataError within seconds, never a crash."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from xemap.datasets.annotations import SCHEMA, AnnotationFile, write_annotations
from xemap.errors import DataError
from xemap.structures import ImageRecord, MaskRegion, PolygonRegion, Query

QUERY = {'text': 'a', 'category': None, 'kind': None, 'hops': None, 'referents': None, 'polygons': [[0.0] * 6],
         'rle': None}  # fmt: skip
ROW = {'image': 'a.png', 'width': 4, 'height': 4, 'source': 's', 'queries': [QUERY]}


def records(count: int) -> list[ImageRecord]:
    rng = np.random.default_rng(0)
    made = []
    for i in range(count):
        mask = MaskRegion.from_mask(rng.random((9, 12)) < 0.4)
        corners = PolygonRegion([rng.random((4, 2)) * 9, rng.random((3, 2)) * 9])
        queries = [Query('the lake', mask, 'lake', 'one-hop', 1, 1), Query('all cars — 車', corners, hops=2)]
        made.append(ImageRecord(f'images/{i:04d}.png', 12, 9, f'source {i % 3}', queries[: i % 3]))
    return made


@pytest.mark.slow
def test_flipped_bits(tmp_path):
    """A thousand files, each read completely by another process, because a failure is a crash."""
    write_annotations(tmp_path / 'good.arrow', records(12))
    program, first, unclean = Path(__file__).with_name('flip_bits.py'), 0, []
    while first < 1000:
        words = [program, tmp_path / 'good.arrow', tmp_path / 'bad.arrow', first, 1000]
        done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            break
        trial = int(done.stdout.split()[-1])
        unclean.append((trial, done.returncode, done.stderr[-400:]))
        first = trial + 1
    assert not unclean, f'{len(unclean)} unclean: {unclean[:3]}'


def write_raw(path, rows, **options):
    schema = SCHEMA.with_metadata({'xemap_annotations': '1'})
    options = pa.ipc.IpcWriteOptions(**options)
    with pa.OSFile(str(path), 'wb') as sink, pa.ipc.new_file(sink, schema, options=options) as writer:
        writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=schema))
    return path


@pytest.mark.parametrize(
    'row, message',
    [
        ({'image': None}, 'image'),
        ({'width': None}, 'width'),
        ({'source': None}, 'source'),
        ({'queries': None}, 'no list of queries'),
        ({'queries': [{**QUERY, 'text': None}]}, 'text'),
        ({'queries': [None]}, 'queries'),
        ({'width': -4}, 'size -4 x 4'),
        ({'height': 0}, 'size 4 x 0'),
        ({'width': 2**31 - 1, 'height': 2**31 - 1}, 'size 2147483647 x 2147483647'),
        ({'queries': [{**QUERY, 'polygons': [[0.0, float('nan')] * 3]}]}, 'not finite'),
    ],
)
def test_rows_that_make_no_sense(tmp_path, row, message):
    path = write_raw(tmp_path / 'a.arrow', [ROW, {**ROW, **row}])
    with pytest.raises(DataError, match=r'a\.arrow.*' + message):
        AnnotationFile(path)[1]


@pytest.mark.parametrize('compression', ['zstd', 'lz4'])
def test_compressed_files_are_refused_before_they_are_unpacked(tmp_path, compression):
    path = write_raw(tmp_path / 'a.arrow', [ROW] * 300, compression=compression)
    content = path.read_bytes()
    size, huge = struct.pack('<q', 4 * 300), struct.pack('<q', 1 << 36)  # of the widths
    assert content.count(size) > 0
    for damaged in (content, content.replace(size, huge)):
        path.write_bytes(damaged)
        allocated = pa.total_allocated_bytes()
        with pytest.raises(DataError, match=r'a\.arrow .*it is compressed'):
            AnnotationFile(path)
        assert pa.total_allocated_bytes() - allocated < 1e6


def test_very_many_vertices(tmp_path):
    flat = pa.array(np.zeros(40_000_000))
    rings = pa.ListArray.from_arrays([0, len(flat)], flat)
    kinds = {field.name: field.type for field in SCHEMA.field('queries').type.value_type}
    fields = {name: pa.array([QUERY.get(name)], kind) for name, kind in kinds.items()}
    fields['polygons'] = pa.ListArray.from_arrays([0, 1], rings)
    queries = pa.ListArray.from_arrays([0, 1], pa.StructArray.from_arrays(list(fields.values()), names=list(fields)))
    columns = [pa.array(['a']), pa.array([4], pa.int32()), pa.array([4], pa.int32()), pa.array(['s']), queries]
    schema = SCHEMA.with_metadata({'xemap_annotations': '1'})
    with pa.OSFile(str(tmp_path / 'a.arrow'), 'wb') as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    start = time.perf_counter()
    with pytest.raises(DataError, match='40000000 coordinates'):
        AnnotationFile(tmp_path / 'a.arrow')[0]
    assert time.perf_counter() - start < 2


def test_opening_follows_the_images_not_the_queries(tmp_path):
    write_annotations(tmp_path / 'a.arrow', records(3) * 20_000)
    start = time.perf_counter()
    file = AnnotationFile(tmp_path / 'a.arrow')
    assert len(file) == 60_000 and time.perf_counter() - start < 0.3
