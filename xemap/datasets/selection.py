"""Choosing queries: of an annotation file by its columns, without building records; of a sample by chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xemap.datasets.annotations import AnnotationFile
from xemap.errors import ConfigError
from xemap.structures import QUERY_KINDS

UNKNOWN = 'unknown'
"""Stands for the kind of a query that has none."""


def select_queries(
    annotations: AnnotationFile,
    *,
    sources: Sequence[str] | None = None,
    kinds: Sequence[str] | None = None,
    text: str | None = None,
    multi_hop: bool | None = None,
    multi_ref: bool | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Positions of the queries that pass all filters; None leaves a filter out.

    Args:
        annotations: the file.
        sources: data sets that the image may come from.
        kinds: some of :data:`~xemap.structures.QUERY_KINDS`, or ``'unknown'``.
        text: regular expression (RE2) that the text contains, in any case of letters.
        multi_hop, multi_ref: the paper's attributes; queries whose attribute is unknown fit neither True nor False.
        limit: at most this many, drawn at random from those that fit.
        seed: seed of that draw.

    Returns:
        (n,) int64, rising; position i is the i-th query of the file, image after image.

    Raises:
        ConfigError: a filter that means nothing here, or nothing fits.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f'limit={limit}; give at least 1 query')
    counts = annotations.query_counts()
    fits = np.ones(counts.sum(), bool)
    if sources is not None:
        column = annotations.image_column('source')
        _check('source', sources, sorted(pc.unique(column).to_pylist()))
        fits &= np.repeat(_to_numpy(pc.is_in(column, value_set=pa.array(sources, pa.string()))), counts)
    if kinds is not None:
        _check('kind', kinds, [*QUERY_KINDS, UNKNOWN])
        column = annotations.query_column('kind').fill_null(UNKNOWN)
        fits &= _to_numpy(pc.is_in(column, value_set=pa.array(kinds, pa.string())))
    if text is not None:
        try:
            fits &= _to_numpy(pc.match_substring_regex(annotations.query_column('text'), text, ignore_case=True))
        except pa.ArrowInvalid as error:
            raise ConfigError(
                f'text "{text}" is no regular expression ({error}); put \\ before (, [, *, + and ?'
            ) from None
    for name, several in (('hops', multi_hop), ('referents', multi_ref)):
        if several is not None:
            fits &= _to_numpy(pc.equal(pc.greater(annotations.query_column(name), 1), several))
    chosen = np.flatnonzero(fits)
    if not len(chosen):
        raise ConfigError(
            f'{annotations.path}: none of its {len(fits)} queries fits; '
            'tools/analysis/dataset_info.py shows what it has'
        )
    if limit is not None and len(chosen) > limit:
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, limit, replace=False))
    return chosen


def _check(name: str, chosen: Sequence[str], known: Sequence[str]) -> None:
    if missing := sorted(set(chosen) - set(known)):
        raise ConfigError(f'{name} {", ".join(missing)} is unknown here; there are {", ".join(known)}')


def _to_numpy(column: pa.ChunkedArray) -> np.ndarray:
    return column.fill_null(False).to_numpy()


def draw_queries(results: dict, most: int) -> None:
    """Keep at most so many of a sample's ``queries`` and ``query_ids``, drawn by its ``rng``, in their order.

    The two queries of a minimal pair are drawn together, as far as there is room for both.
    """
    queries, rng = results['queries'], results['rng']
    if len(queries) <= most:
        return
    if any(query.pair for query in queries):
        chosen = _draw_pairs([query.pair for query in queries], most, rng)
    else:
        chosen = np.sort(rng.choice(len(queries), most, replace=False))
    for key in ('queries', 'query_ids'):
        results[key] = [results[key][i] for i in chosen]


def _draw_pairs(pairs: Sequence[str | None], most: int, rng: np.random.Generator) -> np.ndarray:
    """``most`` positions, rising: those of a pair, or of a query without one, in random order, whole ones first."""
    groups: dict[str | int, list[int]] = {}
    for i, pair in enumerate(pairs):
        groups.setdefault(pair or i, []).append(i)
    members = list(groups.values())
    order = rng.permutation(len(members))
    whole: list[int] = []
    left_over: list[int] = []
    for k in order:
        (whole if len(whole) + len(members[k]) <= most else left_over).extend(members[k])
    return np.sort((whole + left_over)[:most])
