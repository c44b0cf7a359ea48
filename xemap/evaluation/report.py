"""From per-query rows to tables for people, CSV and JSON for programs.

A row is a dict with the keys of :data:`ROW_FIELDS`; :class:`~xemap.evaluation.metrics.selo.SeLoMetric`
makes them. Everything here is a function of rows, so reports can be made anew from stored ones.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from xemap.errors import DataError
from xemap.files import replacing
from xemap.structures import QUERY_KINDS

Row = dict[str, Any]

SCORES = ('rmi', 'rsu', 'ras', 'rda')
BOUNDS = ('floor', 'ceiling')
ROW_FIELDS = (
    *('sample_idx', 'query_id', 'image', 'source', 'text', 'category', 'kind'),
    *('hops', 'referents', 'multi_hop', 'multi_ref', 'area_share', 'region_size'),
    *SCORES,
    *('centers', 'problem'),
    *(f'{bound}_{score}' for bound in BOUNDS for score in SCORES),
)
"""``area_share`` is the region's share of the image's area, ``region_size`` its bin, ``centers`` the
number of centres of attention in the whole map, ``problem`` why the query has no score (None where
it has one). The bounds' scores are None where they were not computed. ``kind``, ``hops``, ``multi_hop``
and so on are None where unknown."""

REGION_SIZES = (('< 0.1 %', 0.001), ('0.1 - 1 %', 0.01), ('1 - 10 %', 0.1), ('>= 10 %', math.inf))
"""Bins of a region's share of the image's area: name, and the share below which it holds."""

UNKNOWN = 'unknown'

GROUPS = {
    'kind': (*QUERY_KINDS, UNKNOWN),
    'source': (),
    'multi_hop': ('yes', 'no', UNKNOWN),
    'multi_ref': ('yes', 'no', UNKNOWN),
    'region_size': tuple(name for name, _ in REGION_SIZES),
}
"""Fields by which a report splits the rows, and the order of their values; others follow sorted."""


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
        key = row['sample_idx'], row['query_id']
        kept = merged.setdefault(key, row)
        if (kept['image'], kept['text']) != (row['image'], row['text']):
            raise DataError(
                f'query {key[1]} of image {key[0]} is "{kept["text"]}" of {kept["image"]} and also "{row["text"]}" of '
                f'{row["image"]}; give every data set a metric of its own, or one annotation file for all'
            )
    return [merged[key] for key in sorted(merged)]


def summarize(rows: Sequence[Row]) -> dict[str, Any]:
    """Means over all queries and over groups of them.

    Args:
        rows: each query once, see :func:`merge_rows`.

    Returns:
        - ``overall``: ``rmi``, ``rsu``, ``ras``, ``rda``, means over the scored queries (None where there
          are none); ``queries``, their number; ``unscored``; ``floor_rmi`` and ``ceiling_rmi``.
        - ``floor``, ``ceiling``: the four means of the bounds over the same queries and ``queries``, their
          number; missing where no bounds were computed.
        - ``by_kind``, ``by_source``, ``by_multi_hop``, ``by_multi_ref``, ``by_region_size``: for each value
          that occurs, the fields of ``overall``.
        - ``problems``: number of unscored queries by reason.
    """
    summary: dict[str, Any] = {'overall': _aggregate(rows)}
    scored = [row for row in rows if row['problem'] is None]
    for bound in BOUNDS:
        bounded = [row for row in scored if _is_number(row[f'{bound}_rmi'])]
        if bounded:
            means = {score: _mean(bounded, f'{bound}_{score}') for score in SCORES}
            summary[bound] = {**means, 'queries': len(bounded)}
    for group, order in GROUPS.items():
        members: dict[str, list[Row]] = {}
        for row in rows:
            members.setdefault(_label(row[group]), []).append(row)
        labels = sorted(members, key=lambda label: (order.index(label) if label in order else len(order), label))
        summary[f'by_{group}'] = {label: _aggregate(members[label]) for label in labels}
    summary['problems'] = {}
    for row in rows:
        if row['problem'] is not None:
            summary['problems'][row['problem']] = summary['problems'].get(row['problem'], 0) + 1
    return summary


def format_table(summary: dict[str, Any], title: str | None = None) -> str:
    """A summary as a plain-text table: overall, floor, ceiling, the groups, and what was not scored."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify='left', box=box.ASCII)
    table.add_column('', no_wrap=True)
    for heading in ('Rmi', 'Rsu', 'Ras', 'Rda', 'floor Rmi', 'ceiling Rmi', 'queries', 'unscored'):
        table.add_column(heading, justify='right', no_wrap=True)

    def add(name: str, values: dict[str, Any]) -> None:
        numbers = [_four_digits(values.get(key)) for key in (*SCORES, 'floor_rmi', 'ceiling_rmi')]
        table.add_row(name, *numbers, str(values['queries']), str(values.get('unscored', '')))

    add('all queries', summary['overall'])
    for bound, name in zip(BOUNDS, ('floor: uniform map', 'ceiling: true mask')):
        if bound in summary:
            add(name, summary[bound])
    for group in GROUPS:
        if set(summary[f'by_{group}']) - {UNKNOWN}:
            table.add_section()
            for label, values in summary[f'by_{group}'].items():
                add(f'{group.replace("_", " ")}: {label}', values)
    text = io.StringIO()
    Console(file=text, width=140, color_system=None).print(table, markup=False)
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    lines += [f'not scored: {count} x {reason}' for reason, count in summary['problems'].items()]
    return '\n'.join(lines)


def write_rows_csv(rows: Iterable[Row], path: str | Path) -> None:
    """Write rows with a header; None and NaN become empty cells. The file appears when complete."""
    with replacing(path) as part, part.open('w', encoding='utf-8', newline='') as file:
        writer = csv.DictWriter(file, ROW_FIELDS, lineterminator='\n')
        writer.writeheader()
        for row in rows:
            writer.writerow({key: '' if _is_nan(row[key]) else row[key] for key in ROW_FIELDS})


def write_summary_json(summary: dict[str, Any], path: str | Path) -> None:
    """Write a summary; the file appears when complete."""
    with replacing(path) as part, part.open('w', encoding='utf-8') as file:
        json.dump(summary, file, indent=2, allow_nan=False, ensure_ascii=False)
        file.write('\n')


def _aggregate(rows: Sequence[Row]) -> dict[str, Any]:
    scored = [row for row in rows if row['problem'] is None]
    values: dict[str, Any] = {score: _mean(scored, score) for score in SCORES}
    values['queries'] = len(scored)
    values['unscored'] = len(rows) - len(scored)
    for bound in BOUNDS:
        values[f'{bound}_rmi'] = _mean([row for row in scored if _is_number(row[f'{bound}_rmi'])], f'{bound}_rmi')
    return values


def _mean(rows: Sequence[Row], key: str) -> float | None:
    # fsum rounds once, so the mean does not depend on the rows' order.
    return math.fsum(row[key] for row in rows) / len(rows) if rows else None


def _label(value: Any) -> str:
    if value is None:
        return UNKNOWN
    return {True: 'yes', False: 'no'}[value] if isinstance(value, bool) else str(value)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _is_number(value: Any) -> bool:
    return value is not None and not _is_nan(value)


def _four_digits(value: float | None) -> str:
    return '' if value is None else f'{value:.4f}'
