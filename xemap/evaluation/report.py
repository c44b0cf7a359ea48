"""From rows of queries to tables for people, CSV and JSON for programs.

A row is a dict: :data:`ROW_FIELDS`, then the columns of the metrics that scored the query. Everything here is a
function of rows, so reports can be made anew from stored ones.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from xemap.errors import DataError
from xemap.evaluation.scores import CONFIDENCE, Estimate, Row, Score, declaration, estimate
from xemap.files import replacing
from xemap.structures import QUERY_KINDS, PolygonRegion, Query

ROW_FIELDS = (
    *('sample_idx', 'query_id', 'image', 'source', 'text', 'category', 'kind'),
    *('hops', 'referents', 'multi_hop', 'multi_ref', 'distractors', 'needed'),
    *('regions', 'area_share', 'region_size', 'problem'),
)
"""``distractors`` says whether other objects of the category are in the image, ``needed`` which conditions beside the
category the sentence needs; ``regions`` says how the region was made, see :data:`REGION_MAKES`; ``area_share`` is its
share of the image's area, ``region_size`` the bin of that; ``problem`` says why the query has no score (None where it
has). What is unknown of a query is None."""

REGION_MAKES = {'labels': 'made from labels, united', 'hand-drawn': 'hand-drawn, even-odd rule'}

REGION_SIZES = (('< 0.1 %', 0.001), ('0.1 - 1 %', 0.01), ('1 - 10 %', 0.1), ('>= 10 %', math.inf))
"""Bins of a region's share of the image's area: name, and the share below which it holds."""

UNKNOWN = 'unknown'

GROUPS = {
    'kind': (*QUERY_KINDS, UNKNOWN),
    'source': (),
    'hops': ('1', '2', '3', '4'),
    'multi_hop': ('yes', 'no', UNKNOWN),
    'multi_ref': ('yes', 'no', UNKNOWN),
    'distractors': ('yes', 'no', UNKNOWN),
    'needed': ('category',),
    'region_size': tuple(name for name, _ in REGION_SIZES),
}
"""Fields by which a report splits the rows, and the order of their values; others follow sorted."""

HALF_INTERVAL = f'± half the {CONFIDENCE:.0%} interval, bootstrap over images'


def query_row(sample: Mapping[str, Any], query_id: int, query: Query) -> Row:
    """What a row says of a query, whatever its answer.

    Args:
        sample: with ``sample_idx``, ``img_path`` and ``source``.
        query_id: place of the query in its image.
        query: the query.
    """
    region = query.region
    make = 'hand-drawn' if isinstance(region, PolygonRegion) and region.hand_drawn else 'labels'
    return {
        'sample_idx': int(sample['sample_idx']),
        'query_id': query_id,
        'image': str(sample['img_path']),
        'source': sample['source'],
        'text': query.text,
        'category': query.category,
        'kind': query.kind,
        'hops': query.hops,
        'referents': query.referents,
        'multi_hop': query.multi_hop,
        'multi_ref': query.multi_ref,
        'distractors': None if query.distractors is None else not query.distractors.is_empty,
        'needed': None if query.needed is None else ' + '.join(dict.fromkeys(n for n, _ in query.needed)) or 'category',
        'regions': None if region.is_empty else make,
    }


def region_size_bin(share: float) -> str:
    """Name of the bin of :data:`REGION_SIZES` for a share in [0, 1]."""
    return next(name for name, limit in REGION_SIZES if share < limit)


def merge_rows(rows: Iterable[Row]) -> list[Row]:
    """Each query once, by ``sample_idx`` and ``query_id``, sorted; of equal ones the first stays.

    Raises:
        DataError: two different queries with the same key.
    """
    merged: dict[tuple[int, int], Row] = {}
    for row in rows:
        _require_same(merged.setdefault(_key(row), row), row)
    return [merged[key] for key in sorted(merged)]


def join_rows(parts: Sequence[Sequence[Row]]) -> list[Row]:
    """One row per query with the columns of several metrics; their different problems stand together.

    Args:
        parts: the rows of each metric, see :func:`merge_rows`.
    """
    joined: dict[tuple[int, int], Row] = {}
    for rows in parts:
        for row in rows:
            first = joined.setdefault(_key(row), dict(row))
            _require_same(first, row)
            problems = [problem for problem in (first['problem'], row['problem']) if problem]
            known = {name: value for name, value in first.items() if value is not None}
            first |= {**row, **known, 'problem': '; '.join(dict.fromkeys(problems)) or None}
    return [joined[key] for key in sorted(joined)]


def summarize(
    rows: Sequence[Row], scores: Sequence[Score], references: Mapping[str, Sequence[Score]] | None = None
) -> dict[str, Any]:
    """Scores of all queries and of groups of them.

    Args:
        rows: each query once, see :func:`merge_rows`.
        scores: what to compute; queries for which the first has no value count as unscored.
        references: scores of reference answers, by key.

    Returns:
        - ``overall``: value by score (None where there is none); ``intervals``, [low, high] by score;
          ``queries``, the number of scored ones; ``unscored``; of each reference the first score, as ``floor_rmi``.
        - one entry per reference, ``floor`` …: the same over the same queries.
        - ``by_kind``, ``by_source``, ``by_hops``, ``by_multi_hop``, ``by_multi_ref``, ``by_region_size``: for each
          value that occurs, the fields of ``overall``.
        - ``problems``: number of unscored queries by reason; ``regions``: number of queries by how their region was
          made; ``scores``: see :func:`~xemap.evaluation.scores.declaration`.
    """
    references = references or {}
    summary: dict[str, Any] = {'overall': _aggregate(rows, scores, references)}
    scored = _scored(rows, scores)
    for key, of_reference in references.items():
        values = _entry(estimate(of_reference, scored), len(scored))
        if any(values[score.name] is not None for score in of_reference):
            summary[key] = values
    for group, order in GROUPS.items():
        members: dict[str, list[Row]] = {}
        for row in rows:
            members.setdefault(_label(row.get(group)), []).append(row)
        labels = sorted(members, key=lambda label: (order.index(label) if label in order else len(order), label))
        summary[f'by_{group}'] = {label: _aggregate(members[label], scores, references) for label in labels}
    summary['problems'] = _counts(row['problem'] for row in rows)
    summary['regions'] = _counts(row.get('regions') for row in rows)
    summary['scores'] = declaration(scores)
    return summary


def format_table(
    summary: dict[str, Any],
    scores: Sequence[Score],
    references: Mapping[str, str] | None = None,
    title: str | None = None,
) -> str:
    """A summary as a plain-text table: overall, references, groups, and what was not scored.

    Args:
        summary: the result of :func:`summarize`.
        scores: the columns.
        references: name in the table of each reference.
        title: stands above.
    """
    from rich import box
    from rich.table import Table

    from xemap.terminal import PlainConsole

    shown = [score for score in scores if summary['overall'].get(score.name) is not None] or list(scores)
    table = Table(box=box.ASCII)
    table.add_column('', no_wrap=True)
    for score in shown:
        arrow = '' if score.higher_is_better else ' (less is better)'
        table.add_column(f'{score.label}{arrow}', justify='right', no_wrap=not arrow)
    for heading in ('queries', 'unscored'):
        table.add_column(heading, justify='right', no_wrap=True)

    def add(name: str, values: dict[str, Any]) -> None:
        cells = [format_cell(values.get(score.name), values['intervals'].get(score.name)) for score in shown]
        table.add_row(name, *cells, str(values['queries']), str(values.get('unscored', '')))

    add('all queries', summary['overall'])
    for key, name in (references or {}).items():
        if key in summary:
            add(name, summary[key])
    for group in GROUPS:
        if set(summary[f'by_{group}']) - {UNKNOWN}:
            table.add_section()
            for label, values in summary[f'by_{group}'].items():
                add(f'{group.replace("_", " ")}: {label}', values)
    text = io.StringIO()
    PlainConsole(file=text, width=60 + 16 * (len(shown) + 2), color_system=None).print(table)
    lines = [] if title is None else [title]
    lines += [line.rstrip() for line in text.getvalue().splitlines()]
    lines.append(HALF_INTERVAL)
    makes = ', '.join(f'{REGION_MAKES.get(make, make)}: {count}' for make, count in summary['regions'].items())
    lines += [f'regions of queries: {makes}'] if makes else []
    lines += [f'not scored: {count} x {reason}' for reason, count in summary['problems'].items()]
    return '\n'.join(lines)


def format_cell(value: float | None, bounds: Sequence[float] | None, digits: int = 4) -> str:
    """A value with half its interval: ``0.6168 ±0.021``; empty where there is none."""
    if value is None:
        return ''
    text = f'{value:.{digits}f}'
    return text if bounds is None else f'{text} ±{(bounds[1] - bounds[0]) / 2:.{digits - 1}f}'


def write_rows_csv(rows: Sequence[Row], path: str | Path) -> None:
    """Write rows with a header; None becomes an empty cell. The file appears when complete."""
    columns = dict.fromkeys([*ROW_FIELDS, *(name for row in rows for name in row)])
    with replacing(path) as part, part.open('w', encoding='utf-8', newline='') as file:
        writer = csv.DictWriter(file, list(columns), lineterminator='\n')
        writer.writeheader()
        for row in rows:
            writer.writerow({key: '' if _is_nan(value) else value for key, value in row.items()})


def _aggregate(
    rows: Sequence[Row], scores: Sequence[Score], references: Mapping[str, Sequence[Score]]
) -> dict[str, Any]:
    scored = _scored(rows, scores)
    entry = _entry(estimate(scores, scored), len(scored))
    entry['unscored'] = len(rows) - len(scored)
    for key, of_reference in references.items():
        first = of_reference[0]
        entry[f'{key}_{first.name}'] = first.value(*first.terms(scored))
    return entry


def _entry(estimates: dict[str, Estimate], queries: int) -> dict[str, Any]:
    intervals = {name: [e.low, e.high] for name, e in estimates.items() if e.low is not None}
    return {**{name: e.value for name, e in estimates.items()}, 'queries': queries, 'intervals': intervals}


def _scored(rows: Sequence[Row], scores: Sequence[Score]) -> list[Row]:
    first = scores[0]
    return [row for row in rows if row.get(first.column) is not None and not _is_nan(row[first.column])]


def _counts(values: Iterable[str | None]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for value in values:
        if value is not None:
            counts[value] = counts.get(value, 0) + 1
    return counts


def _key(row: Row) -> tuple[int, int]:
    return row['sample_idx'], row['query_id']


def _require_same(kept: Row, row: Row) -> None:
    if (kept['image'], kept['text']) != (row['image'], row['text']):
        raise DataError(
            f'query {row["query_id"]} of image {row["sample_idx"]} is "{kept["text"]}" of {kept["image"]} and also '
            f'"{row["text"]}" of {row["image"]}; give every data set its own metric, or one annotation file for all'
        )


def _label(value: Any) -> str:
    if value is None:
        return UNKNOWN
    return {True: 'yes', False: 'no'}[value] if isinstance(value, bool) else str(value)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
