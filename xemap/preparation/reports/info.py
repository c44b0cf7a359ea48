"""What is in an annotation file, in numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pycocotools import mask as coco_mask
from rich.table import Table

from xemap.datasets.annotations import AnnotationFile
from xemap.errors import DataError
from xemap.terminal import PlainConsole

PERCENTILES = (5, 25, 50, 75, 95)
MOST_SHOWN = 25


def describe_annotations(path: str | Path, samples: int = 5) -> dict[str, Any]:
    """Summarize an annotation file column by column, without building its records.

    Args:
        path: an annotation file.
        samples: number of queries to show, spread evenly over the file.

    Returns:
        A dictionary that JSON can hold: ``file``, ``info``, ``images``, ``images_without_queries``,
        ``queries``, ``sources`` (images and queries of each), ``kinds`` and ``categories`` (number of
        queries of each, 'unknown' where there is none), ``multi_hop`` and ``multi_ref`` (yes, no,
        unknown), ``regions`` (polygon or mask), ``queries_per_image`` and ``words_per_query`` (mean,
        min, max), ``region_share`` (percentiles of the region's share of the image; overlapping polygons
        count twice), ``samples``.

    Raises:
        DataError: the file is missing, broken or of another version.
    """
    annotations = AnnotationFile(path)
    counts = annotations.query_counts()
    texts = annotations.query_column('text')
    words = pc.list_value_length(pc.utf8_split_whitespace(pc.utf8_trim_whitespace(texts)))
    return {
        'file': str(path),
        'info': annotations.info,
        'images': len(annotations),
        'images_without_queries': int((counts == 0).sum()),
        'queries': int(counts.sum()),
        'sources': _by_source(annotations.image_column('source'), counts),
        'kinds': _value_counts(annotations.query_column('kind')),
        'categories': _value_counts(annotations.query_column('category')),
        'multi_hop': _value_counts(pc.greater(annotations.query_column('hops'), 1)),
        'multi_ref': _value_counts(pc.greater(annotations.query_column('referents'), 1)),
        'regions': _value_counts(pc.if_else(annotations.query_column('rle').is_valid(), 'mask', 'polygons')),
        'queries_per_image': _spread(counts),
        'words_per_query': _spread(words.to_numpy()),
        'region_share': _percentiles(region_shares(annotations)),
        'samples': _samples(annotations, counts, samples),
    }


def region_shares(annotations: AnnotationFile) -> np.ndarray:
    """Region area over image area of every query, (number of queries,) float64 in [0, 1]."""
    sizes = [annotations.image_column(name).to_numpy() for name in ('height', 'width')]
    heights, widths = (np.repeat(side, annotations.query_counts()) for side in sizes)
    areas = _polygon_areas(annotations.query_column('polygons').combine_chunks())
    rle = annotations.query_column('rle')
    for i in np.flatnonzero(rle.is_valid().to_numpy()):
        code = {'size': [int(heights[i]), int(widths[i])], 'counts': rle[int(i)].as_py()}
        areas[i] = coco_mask.area(code)
    return np.minimum(areas / (heights.astype(np.float64) * widths), 1)


def _polygon_areas(polygons: pa.ListArray) -> np.ndarray:
    """Shoelace area of every query's polygons together; 0 where it has none."""
    rings = polygons.flatten()
    lengths = pc.list_value_length(rings).to_numpy()
    if (lengths % 2).any():
        raise DataError('a polygon has an odd number of coordinates; convert the data set again')
    x, y = rings.flatten().to_numpy().reshape(-1, 2).T
    ends = np.cumsum(lengths // 2)
    following = np.arange(len(x)) + 1
    filled = lengths > 0
    following[ends[filled] - 1] = ends[filled] - lengths[filled] // 2
    ring = np.repeat(np.arange(len(rings)), lengths // 2)
    doubled = np.bincount(ring, x * y[following] - x[following] * y, minlength=len(rings))
    return np.bincount(pc.list_parent_indices(polygons).to_numpy(), np.abs(doubled) / 2, minlength=len(polygons))


def _by_source(sources: pa.ChunkedArray, counts: np.ndarray) -> dict[str, dict[str, int]]:
    table = (
        pa.table({'source': sources, 'queries': counts})
        .group_by('source')
        .aggregate([('queries', 'count'), ('queries', 'sum')])
    )
    rows = sorted(table.to_pylist(), key=lambda row: -row['queries_sum'])
    return {row['source']: {'images': row['queries_count'], 'queries': row['queries_sum']} for row in rows}


def _value_counts(column: pa.ChunkedArray) -> dict[str, int]:
    names = {None: 'unknown', True: 'yes', False: 'no'}
    rows = sorted(pc.value_counts(column).to_pylist(), key=lambda row: (-row['counts'], str(row['values'])))
    return {names.get(row['values'], row['values']): row['counts'] for row in rows}


def _spread(values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return {}
    return {'mean': round(float(values.mean()), 3), 'min': int(values.min()), 'max': int(values.max())}


def _percentiles(values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return {}
    return {f'p{p}': float(f'{v:.4g}') for p, v in zip(PERCENTILES, np.percentile(values, PERCENTILES))}


def _samples(annotations: AnnotationFile, counts: np.ndarray, number: int) -> list[dict[str, Any]]:
    number = max(0, number)
    ends, total = np.cumsum(counts), int(counts.sum())
    shown = []
    for position in np.unique(np.linspace(0, total - 1, min(number, total)).astype(int)):
        row = int(np.searchsorted(ends, position, side='right'))
        record = annotations[row]
        query = record.queries[int(position - (ends[row] - counts[row]))]
        shown.append({'image': record.image, 'text': query.text, 'kind': query.kind, 'category': query.category})
    return shown


def print_description(description: dict[str, Any]) -> None:
    """Print what :func:`describe_annotations` returns as tables."""
    console = PlainConsole()

    def table(title: str, columns: list[str], rows: list[tuple]) -> None:
        if not rows:
            return
        shown = Table(title=title, title_justify='left')
        for i, column in enumerate(columns):
            shown.add_column(column, justify='left' if i == 0 else 'right', overflow='fold')
        for row in rows:
            shown.add_row(*(str(value) for value in row))
        console.print(shown)

    total = description['queries']
    table(description['file'], ['', 'number'], [
        ('images', description['images']),
        ('images without queries', description['images_without_queries']),
        ('queries', total),
        *((f'info: {key}', value) for key, value in description['info'].items()),
    ])  # fmt: skip
    table('sources', ['source', 'images', 'queries'], [(k, *v.values()) for k, v in description['sources'].items()])
    for key in ('kinds', 'multi_hop', 'multi_ref', 'regions', 'categories'):
        rows = [(name, count, f'{count / total:.1%}') for name, count in description[key].items()]
        rest = len(rows) - MOST_SHOWN
        title = key.replace('_', '-') + (f' (the {MOST_SHOWN} most frequent, {rest} more)' if rest > 0 else '')
        table(title, [key.replace('_', '-'), 'queries', 'share'], rows[:MOST_SHOWN])
    table('spread', ['', 'mean', 'min', 'max'], [
        (key.replace('_', ' '), *description[key].values()) for key in ('queries_per_image', 'words_per_query')
        if description[key]
    ])  # fmt: skip
    shares = description['region_share']
    table("region's share of the image", list(shares), [tuple(f'{v:.3%}' for v in shares.values())] if shares else [])
    columns = ['text', 'kind', 'category', 'image']
    table('samples', columns, [tuple(sample[c] or '' for c in columns) for sample in description['samples']])
