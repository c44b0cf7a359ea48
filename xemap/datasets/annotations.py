"""The annotation file: one format for every source and split, image-grouped and memory-mapped.

An Arrow IPC file, uncompressed, so that a process that opens it maps the pages and copies nothing;
ranks and workers on one node share them. One row per image:

========  ================  ==================================================================
column    type              meaning
========  ================  ==================================================================
image     string            path relative to the data set's root, ``/`` as separator
width     int32             pixels
height    int32             pixels
source    string            data set the image comes from
queries   list of struct    see below
========  ================  ==================================================================

A query is ``text`` (string), ``category`` (string, null = none), ``kind`` (string, null = unknown;
one of :data:`xemap.structures.QUERY_KINDS`), ``hops`` and ``referents`` (int32, null = unknown), and
its region: either ``polygons`` (list of flat float64 lists x0, y0, x1, y1… in pixels of the original
image) or ``rle`` (binary, COCO run-length counts for an image of the row's size); the other is null. A query without
a referent in the image has ``referents`` 0 and an empty list of polygons.
``hand_drawn`` (bool) says whether an annotator drew the polygons for this query, see
:class:`~xemap.structures.PolygonRegion`. In files from before this field, those of a query without a category count
as hand-drawn: queries that converters make from labels have one.

The last fields are null where nothing is known: ``distractor_polygons`` or ``distractor_rle``, a region as above (an
empty list = no distractors), ``anchor_polygons`` or ``anchor_rle`` likewise, ``needed`` (map from condition to words)
and ``pair`` (string), see :class:`~xemap.structures.Query`. Files from before a field are read as if it were null.

The schema's metadata holds ``xemap_annotations`` (the format's version) and ``xemap_info`` (JSON: a
free dictionary about the data set). Readers refuse other versions.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from xemap.datasets.arrow_layout import has_compressed_batch
from xemap.errors import DataError
from xemap.files import replacing
from xemap.raster.limits import WINDOW_PIXELS
from xemap.structures import QUERY_KINDS, ImageRecord, MaskRegion, PolygonRegion, Query, Region

FORMAT_VERSION = 1
_VERSION_KEY, _INFO_KEY = b'xemap_annotations', b'xemap_info'

_QUERY = pa.struct(
    [
        ('text', pa.string()),
        ('category', pa.string()),
        ('kind', pa.string()),
        ('hops', pa.int32()),
        ('referents', pa.int32()),
        ('polygons', pa.list_(pa.list_(pa.float64()))),
        ('rle', pa.binary()),
        ('hand_drawn', pa.bool_()),
        ('distractor_polygons', pa.list_(pa.list_(pa.float64()))),
        ('distractor_rle', pa.binary()),
        ('anchor_polygons', pa.list_(pa.list_(pa.float64()))),
        ('anchor_rle', pa.binary()),
        ('needed', pa.map_(pa.string(), pa.string())),
        ('pair', pa.string()),
    ]
)
_ADDED = ('hand_drawn', 'distractor_polygons', 'distractor_rle', 'anchor_polygons', 'anchor_rle', 'needed', 'pair')
"""Fields that a query of an older file may lack."""
SCHEMA = pa.schema(
    [
        ('image', pa.string()),
        ('width', pa.int32()),
        ('height', pa.int32()),
        ('source', pa.string()),
        ('queries', pa.list_(_QUERY)),
    ]
)

ROWS_A_BATCH = 2048

_DAMAGE = (pa.ArrowException, ValueError, TypeError, AttributeError, OverflowError, MemoryError)
"""What pyarrow and NumPy raise about bytes that make no sense."""

MAX_COORDINATES = 1 << 24
"""Most coordinates of all polygons of an image."""


def write_annotations(
    path: str | Path, records: Iterable[ImageRecord], info: dict | None = None, batch_size: int = ROWS_A_BATCH
) -> dict[str, int]:
    """Write an annotation file; it appears under ``path`` only when it is complete.

    Args:
        path: file to write, conventionally ``*.arrow``.
        records: consumed as a stream, so a generator may be larger than memory.
        info: JSON-serializable facts about the data set (name, split, options of the converter).
        batch_size: images that are written, and later read, together.

    Returns:
        ``{'images': …, 'queries': …}`` written.
    """
    schema = SCHEMA.with_metadata({_VERSION_KEY: str(FORMAT_VERSION), _INFO_KEY: json.dumps(info or {})})
    counts = {'images': 0, 'queries': 0}
    rows = iter(records)
    with replacing(path) as part, pa.OSFile(str(part), 'wb') as sink, pa.ipc.new_file(sink, schema) as writer:
        while batch := list(islice(rows, batch_size)):
            writer.write_batch(pa.RecordBatch.from_pylist([_to_row(r) for r in batch], schema=schema))
            counts['images'] += len(batch)
            counts['queries'] += sum(len(r.queries) for r in batch)
    return counts


def merge_annotations(paths: Sequence[str | Path], out: str | Path) -> dict[str, int]:
    """Write the images of several annotation files, one file after another, into one.

    Image paths are kept, so the files must have been made with the same data root.

    Args:
        paths: annotation files; an image may be in one of them only.
        out: file to write.

    Returns:
        ``{'images': …, 'queries': …}`` written.

    Raises:
        DataError: a file cannot be read, or an image is in two of them.
    """
    files = [AnnotationFile(path) for path in paths]
    seen: dict[str, Path] = {}
    for file in files:
        for image in file.image_column('image').to_pylist():
            if image in seen:
                raise DataError(f'{image} is in {seen[image]} and in {file.path}; merge each file once')
            seen[image] = file.path
    return write_annotations(out, chain(*files), {'merged': [{'file': f.path.name, **f.info} for f in files]})


class AnnotationFile:
    """Random access to an annotation file without loading it.

    Pickles as its path, so worker processes map the file anew instead of copying it.

    Args:
        path: an annotation file.

    Raises:
        DataError: the file is missing, truncated, no annotation file, or of another version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise DataError(
                f'annotation file {self.path} does not exist; tools/data/convert_dataset.py makes one of your data, '
                'tools/data/make_synthetic.py of synthetic scenes'
            )
        try:
            mapped = pa.memory_map(str(self.path))
            reader = pa.ipc.open_file(mapped)
            if has_compressed_batch(mapped.read_at(mapped.size(), 0)):
                raise ValueError('it is compressed; these files are not, so that they can be mapped')
            self._batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
        except (pa.ArrowException, struct.error, OSError, ValueError, OverflowError, MemoryError) as error:
            raise DataError(
                f'{self.path} is not a complete annotation file ({error}); convert the data set again'
            ) from error
        metadata = reader.schema.metadata or {}
        version = metadata.get(_VERSION_KEY, b'none').decode(errors='replace')
        if version != str(FORMAT_VERSION):
            raise DataError(
                f'{self.path} has annotation format version {version}, this xemap reads {FORMAT_VERSION}; '
                'convert the data set again with this version'
            )
        with self._damage_named():
            readable = _is_readable(reader.schema)
        if not readable:
            raise DataError(f'{self.path} has unexpected columns; convert the data set again')
        try:
            self.info: dict = dict(json.loads(metadata.get(_INFO_KEY, b'{}')))
        except (ValueError, TypeError, RecursionError) as error:
            raise DataError(f'{self.path} has broken information ({error}); convert the data set again') from error
        self._starts = np.cumsum([0] + [batch.num_rows for batch in self._batches])
        with self._damage_named():
            for batch in self._batches:
                _check_images(batch)

    def __reduce__(self):
        return AnnotationFile, (self.path,)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: int) -> ImageRecord:
        if not -len(self) <= index < len(self):
            raise IndexError(f'image {index} of {len(self)}')
        index %= len(self)
        batch = int(np.searchsorted(self._starts, index, side='right')) - 1
        with self._damage_named(f', row {index}'):
            return _from_row(_read_row(self._batches[batch], int(index - self._starts[batch])))

    def __iter__(self) -> Iterator[ImageRecord]:
        return (self[i] for i in range(len(self)))

    def image_column(self, name: str) -> pa.ChunkedArray:
        """One column of all images, mapped and not copied: ``image``, ``width``, ``height`` or ``source``."""
        return pa.chunked_array([batch.column(name) for batch in self._batches], SCHEMA.field(name).type)

    def query_column(self, name: str) -> pa.ChunkedArray:
        """One field of all queries, image after image, mapped and not copied; :meth:`query_counts` splits it.

        Raises:
            DataError: it is damaged.
        """
        chunks = [batch.column('queries').flatten().field(name) for batch in self._batches]
        with self._damage_named(f', {name}'):
            for chunk in chunks:
                chunk.validate(full=True)
        return pa.chunked_array(chunks, _QUERY.field(name).type)

    @contextmanager
    def _damage_named(self, place: str = '') -> Iterator[None]:
        try:
            yield
        except (*_DAMAGE, DataError) as error:
            problem = ' '.join(str(error).split())
            raise DataError(f'{self.path}{place}: {problem}; convert the data set again') from error

    def query_counts(self) -> np.ndarray:
        """Number of queries of every image, (len(self),) int32."""
        counts = [np.diff(batch.column('queries').offsets.to_numpy()) for batch in self._batches]
        return np.concatenate(counts).astype(np.int32) if counts else np.zeros(0, np.int32)


def _to_row(record: ImageRecord) -> dict:
    return {
        'image': record.image,
        'width': record.width,
        'height': record.height,
        'source': record.source,
        'queries': [_to_struct(query, record) for query in record.queries],
    }


def _to_struct(query: Query, record: ImageRecord) -> dict:
    region = query.region
    if query.kind is not None and query.kind not in QUERY_KINDS:
        raise DataError(f'{record.image}: kind "{query.kind}" of "{query.text}"; use one of {QUERY_KINDS} or None')
    if query.absent and not region.is_empty:
        raise DataError(
            f'{record.image}: "{query.text}" has referents=0 and a region; give an empty one, PolygonRegion([]), '
            'or the number of referents'
        )
    polygons, rle = _encoded(region, query, record)
    distractor_polygons, distractor_rle = _encoded(query.distractors, query, record)
    anchor_polygons, anchor_rle = _encoded(query.anchors, query, record)
    return {
        'text': query.text,
        'category': query.category,
        'kind': query.kind,
        'hops': query.hops,
        'referents': query.referents,
        'polygons': polygons,
        'rle': rle,
        'hand_drawn': isinstance(region, PolygonRegion) and region.hand_drawn,
        'distractor_polygons': distractor_polygons,
        'distractor_rle': distractor_rle,
        'anchor_polygons': anchor_polygons,
        'anchor_rle': anchor_rle,
        'needed': query.needed,
        'pair': query.pair,
    }


def _encoded(region: Region | None, query: Query, record: ImageRecord) -> tuple[list | None, bytes | None]:
    """Polygons or run lengths of a region; neither of None."""
    if region is None:
        return None, None
    if not isinstance(region, MaskRegion):
        return [polygon.reshape(-1).tolist() for polygon in region.polygons(record.size)], None
    if tuple(region.rle['size']) != record.size:
        raise DataError(
            f'{record.image}: mask of "{query.text}" has size {tuple(region.rle["size"])}, '
            f'the image {record.size} (height, width); fix the record before writing it'
        )
    return None, region.rle['counts']


def _is_readable(schema: pa.Schema) -> bool:
    """A file's columns are those of :data:`SCHEMA`, but for fields that older files lack."""
    if schema.equals(SCHEMA):
        return True
    at = SCHEMA.get_field_index('queries')
    if 'queries' not in schema.names or not pa.types.is_list(schema.field('queries').type):
        return False
    present = schema.field('queries').type.value_type
    names = {field.name for field in present} if pa.types.is_struct(present) else set()
    older = pa.struct([field for field in _QUERY if field.name not in _ADDED or field.name in names])
    return schema.equals(SCHEMA.set(at, pa.field('queries', pa.list_(older))))


def _check_images(batch: pa.RecordBatch) -> None:
    """Check what stands once per image: every column is there, names and lists lie within the file.

    Takes time for every image, not for every query; what belongs to the queries is checked when it is read.
    """
    batch.validate()  # buffers are as long as they have to be
    for name in ('image', 'width', 'height', 'source'):
        column = batch.column(name)
        column.validate(full=True)
        if column.null_count:
            raise DataError(f'an image has no {name}')
    if not _all_there(batch.column('queries')):
        raise DataError('an image has no list of queries')
    _values(batch.column('queries'))


def _all_there(array: pa.Array) -> bool:
    return not array.null_count and (array.buffers()[0] is None or array.is_valid().to_numpy(False).all())


def _read_row(batch: pa.RecordBatch, at: int) -> dict:
    """Row ``at`` as what :func:`_to_row` made, checked: a damaged file must not send the reader to foreign memory.

    Arrow's full validation of a row runs over the queries of its whole batch, so arrays are cut to the row first.
    """
    row = batch.slice(at, 1)
    row.validate()  # buffers are as long as they have to be
    columns = dict(zip(row.schema.names, row.columns))
    queries = _values(columns['queries'])
    if columns.pop('queries').null_count or queries.null_count:
        raise DataError('its queries are missing')
    fields = {field.name: queries.field(i) for i, field in enumerate(queries.type)}
    outlines = [name for name in ('polygons', 'distractor_polygons', 'anchor_polygons') if name in fields]
    for name in outlines:
        coordinates = _values(_values(fields[name]))
        if len(coordinates) > MAX_COORDINATES:
            raise DataError(f'its polygons have {len(coordinates)} coordinates, more than {MAX_COORDINATES}')
    if fields['text'].null_count:
        raise DataError('a query has no text')
    for array in (*columns.values(), *(array for name, array in fields.items() if name not in outlines)):
        array.validate(full=True)
    of_queries = zip(*(array.to_pylist() for array in fields.values()))
    return {
        **{name: array[0].as_py() for name, array in columns.items()},
        'queries': [dict(zip(fields, values)) for values in of_queries],
    }


def _values(lists: pa.ListArray) -> pa.Array:
    """The values of a slice of lists one after another, once it is known that they are where the lists say."""
    offsets, values = lists.offsets.to_numpy(), lists.values
    if offsets[0] < 0 or offsets[-1] > len(values) or (offsets[1:] < offsets[:-1]).any():
        raise DataError('its lists lead out of the file')
    return values[offsets[0] : offsets[-1]]


def _from_row(row: dict) -> ImageRecord:
    size = [row['height'], row['width']]
    if min(size) < 1 or size[0] * size[1] > WINDOW_PIXELS:
        raise DataError(f'an image of size {size[1]} x {size[0]}')
    queries = []
    for query in row.pop('queries'):
        polygons, rle = query.pop('polygons'), query.pop('rle')
        hand_drawn = query.pop('hand_drawn', None)
        if hand_drawn is None:
            hand_drawn = query['category'] is None
        region = PolygonRegion(polygons, hand_drawn) if rle is None else MaskRegion({'size': size, 'counts': rle})
        distractors, anchors = (
            _decoded(query.pop(f'{name}_polygons', None), query.pop(f'{name}_rle', None), size)
            for name in ('distractor', 'anchor')
        )
        needed = query.pop('needed', None)
        queries.append(
            Query(
                region=region,
                distractors=distractors,
                anchors=anchors,
                needed=None if needed is None else tuple(needed),
                **query,
            )
        )
    return ImageRecord(queries=queries, **row)


def _decoded(polygons: list | None, counts: bytes | None, size: list[int]) -> Region | None:
    if counts is not None:
        return MaskRegion({'size': size, 'counts': counts})
    return None if polygons is None else PolygonRegion(polygons)
