"""Numbers that papers print of their data sets: words, classes, regions, pixels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from rich.table import Table

from xemap.datasets.annotations import AnnotationFile
from xemap.preparation.reports.info import region_shares

WORD = re.compile(r"[a-z0-9]+(?:['-][a-z0-9]+)*")

PUBLISHED: dict[str, dict[str, float]] = {
    'airslt': {
        'images': 22,
        'queries': 59,
        'words_per_query': 11.20,
        'vocabulary': 160,
        'regions_per_query': 1.75,
        'region_share': 0.068,
    },
    'dior_rsvg': {'images': 17402, 'queries': 38320, 'words_per_query': 7.47, 'vocabulary': 100, 'categories': 20},
    'rrsis_d': {'queries': 17402, 'categories': 20},
    'refsegrs': {'queries': 4420},
    'risbench': {'queries': 52472, 'words_per_query': 14.31, 'vocabulary': 4431, 'categories': 26},
}
"""By source, of all its splits together: Table I of the SeLo paper, section III of the RSVG and RISBench papers."""

ROWS = {
    'images': 'images',
    'queries': 'queries',
    'words_per_query': 'words per query',
    'vocabulary': 'different words',
    'categories': 'categories',
    'regions_per_query': 'regions per query',
    'region_share': "region's share of the image",
    'width': 'width, pixels',
    'height': 'height, pixels',
    'megapixels': 'megapixels of all images',
}


def count_statistics(paths: Sequence[str | Path]) -> dict[str, Any]:
    """Statistics of annotation files together, from their columns alone.

    Args:
        paths: annotation files, such as all splits of a data set.

    Returns:
        A dictionary that JSON can hold, with the keys of :data:`ROWS`: numbers of images (each counts once, however
        many files name it), queries, different words and categories; means of words and regions per query, of the
        region's share of its image, of width and height; None where nothing is known. A word is letters and digits,
        in lower case, with inner hyphens and apostrophes. A region is a polygon, or a referent of a mask. Further
        ``sources`` and ``category_counts``, numbers of queries.

    Raises:
        DataError: a file is missing, broken or of another version.
    """
    vocabulary: Counter[str] = Counter()
    categories: Counter[str] = Counter()
    sources: Counter[str] = Counter()
    sizes: dict[str, tuple[int, int]] = {}
    words, regions, shares = [], [], []
    for path in paths:
        annotations = AnnotationFile(path)
        columns = (annotations.image_column(name).to_pylist() for name in ('image', 'height', 'width', 'source'))
        for (image, height, width, source), queries in zip(zip(*columns), annotations.query_counts().tolist()):
            sizes[image] = height, width
            sources[source] += queries
        for text in annotations.query_column('text').to_pylist():
            tokens = WORD.findall(text.lower())
            words.append(len(tokens))
            vocabulary.update(tokens)
        categories.update(name for name in annotations.query_column('category').to_pylist() if name is not None)
        number = pc.list_value_length(annotations.query_column('polygons'))
        known = pc.coalesce(number, annotations.query_column('referents'))
        regions.append(known.drop_null().to_numpy())
        shares.append(region_shares(annotations))
    height, width = np.array(list(sizes.values()), np.float64).reshape(-1, 2).T
    return {
        'images': len(sizes),
        'queries': len(words),
        'words_per_query': _mean(words),
        'vocabulary': len(vocabulary),
        'categories': len(categories) or None,
        'regions_per_query': _mean(np.concatenate(regions)),
        'region_share': _mean(np.concatenate(shares)),
        'width': _mean(width),
        'height': _mean(height),
        'megapixels': round(float((height * width).sum() / 1e6), 3),
        'sources': dict(sources.most_common()),
        'category_counts': dict(categories.most_common()),
    }


def statistics_table(statistics: dict[str, Any]) -> Table:
    """What :func:`count_statistics` returns, beside the published numbers where all queries are of one source."""
    source = next(iter(statistics['sources'])) if len(statistics['sources']) == 1 else ''
    published = PUBLISHED.get(source, {})
    table = Table(title='all files together')
    table.add_column('')
    table.add_column('number', justify='right')
    if published:
        table.add_column(f'{source} published', justify='right')
    for key, title in ROWS.items():
        cells = [_shown(statistics[key]), *([_shown(published.get(key))] if published else [])]
        table.add_row(title, *cells)
    return table


def _mean(values) -> float | None:
    return round(float(np.mean(values)), 4) if len(values) else None


def _shown(value: float | None) -> str:
    return '' if value is None else f'{value:,}'
