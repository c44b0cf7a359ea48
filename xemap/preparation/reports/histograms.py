"""The paper's Figure 4 in numbers: queries, multi-hop and multi-ref queries per image, words per query."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xemap.datasets.annotations import AnnotationFile

HISTOGRAMS = ('queries_per_image', 'multi_hop_per_image', 'multi_ref_per_image', 'words_per_query')
"""Figure 4 (a) to (d)."""


def count_histograms(path: str | Path) -> dict[str, Any]:
    """The four histograms of an annotation file, from its columns alone.

    Args:
        path: an annotation file.

    Returns:
        A dictionary that JSON can hold: ``file``, ``images``, ``queries``, ``multi_hop`` and ``multi_ref``
        (queries: yes, no, unknown), and for each of :data:`HISTOGRAMS` ``counts`` (number of images, or of
        queries in the last, at each value, as a mapping with rising keys), ``mean``, ``median`` and ``max``
        (None where there is nothing to count). An image is left out of the multi-hop or multi-ref histogram
        where that attribute is unknown for all its queries.

    Raises:
        DataError: the file is missing, broken or of another version.
    """
    annotations = AnnotationFile(path)
    counts = annotations.query_counts()
    owner = np.repeat(np.arange(len(counts)), counts)
    result: dict[str, Any] = {'file': str(path), 'images': len(counts), 'queries': len(owner)}
    values = {'queries_per_image': counts}
    for name, column in (('multi_hop', 'hops'), ('multi_ref', 'referents')):
        several = pc.greater(annotations.query_column(column), 1)
        known, yes = several.is_valid().to_numpy(), several.fill_null(False).to_numpy()
        result[name] = {'yes': int(yes.sum()), 'no': int((known & ~yes).sum()), 'unknown': int((~known).sum())}
        per_image = np.bincount(owner[yes], minlength=len(counts))
        values[f'{name}_per_image'] = per_image[np.bincount(owner[known], minlength=len(counts)) > 0]
    values['words_per_query'] = word_counts(annotations.query_column('text'))
    return {**result, **{name: _describe(values[name]) for name in HISTOGRAMS}}


def word_counts(texts: pa.ChunkedArray) -> np.ndarray:
    """Number of words between white space of every text, (n,) int64."""
    words = pc.list_value_length(pc.utf8_split_whitespace(pc.utf8_trim_whitespace(texts)))
    return words.to_numpy().astype(np.int64)


def _describe(values: np.ndarray) -> dict[str, Any]:
    counts = np.bincount(values)
    return {
        'counts': {int(value): int(counts[value]) for value in np.flatnonzero(counts)},
        'mean': round(float(values.mean()), 3) if len(values) else None,
        'median': float(np.median(values)) if len(values) else None,
        'max': int(values.max()) if len(values) else None,
    }
