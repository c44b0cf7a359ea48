"""The comparison as tables: for the terminal, Markdown, HTML and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from xemap.evaluation.report import UNKNOWN, format_cell

COUNTS = {'queries': 'queries', 'unscored': 'unscored'}

COSTS = {
    'total_seconds': 'time (s)',
    'cpu_seconds': 'CPU (s)',
    'scoring_seconds': 'scoring (s)',
    'queries_per_second': 'queries/s',
    'peak_memory_bytes': 'peak memory (GiB)',
    'parameters': 'parameters (M)',
}
"""Key of a method -> heading. Scoring is not in the time; the papers' times include it. CPU is the processor time of
all threads in that time, on a busy machine the steadier measure. Memory is that of the whole process with its
libraries; on a GPU, of tensors on it."""

_UNITS = {'peak_memory_bytes': 2**30, 'parameters': 1e6}


@dataclass(frozen=True)
class Table:
    """A table of the comparison.

    Args:
        title: stands above where there are several.
        headings: headings of the columns; the first is that of names.
        rows: cells by row, as text; the first is a name.
        bold: rows and columns of cells to set off.
    """

    title: str
    headings: list[str]
    rows: list[list[str]]
    bold: frozenset[tuple[int, int]] = frozenset()


def tables(report: dict[str, Any]) -> Iterator[Table]:
    """Scores of each metric; costs, with the scores where there is one metric; seconds by stage; main scores by kind.

    A column is left out where no method has a value. A score is set off that is better than every other method's by
    more than chance, see :func:`~xemap.comparison.run.best_methods`.

    Args:
        report: the result of :func:`~xemap.comparison.run.compare`.
    """
    methods = report['methods']
    costs = {key: heading for key, heading in COSTS.items() if _any(methods, key)}
    for metric in report['metrics']:
        shown = {key: label for key, label in metric['scores'].items() if _any(methods, key)} | COUNTS
        shown |= costs if len(report['metrics']) == 1 else {}
        bounds = [row for row in report['bounds'] if row['metric'] == metric['name']]
        best = report.get('best', {})
        yield Table(
            metric['title'],
            ['method', *shown.values()],
            [[row['name'], *(_cell(row, key) for key in shown)] for row in [*methods, *bounds]],
            frozenset(
                (i, k)
                for i, row in enumerate(methods)
                for k, key in enumerate(shown, 1)
                if best.get(key) == row['name'] and _cell(row, key)
            ),
        )
    if len(report['metrics']) > 1 and costs:
        rows = [[row['name'], *(_cell(row, key) for key in costs)] for row in methods]
        yield Table('Costs', ['method', *costs.values()], rows)
    stages = _stages(methods)
    if stages:
        yield Table('Seconds by stage', ['seconds', 'reading', *stages], [_stage_row(row, stages) for row in methods])
    yield from _by_kind(report)


def as_markdown(report: dict[str, Any]) -> str:
    """The tables in Markdown, with half of each 95 % interval; bold is what :func:`tables` sets off."""
    several, parts = len(report['metrics']) > 1, []
    for table in tables(report):
        lines = [f'**{table.title}**', ''] if several else []
        lines += ['| ' + ' | '.join(table.headings) + ' |', '|---' + '|---:' * (len(table.headings) - 1) + '|']
        for i, (name, *cells) in enumerate(table.rows):
            cells = [f'**{cell}**' if (i, k) in table.bold else cell for k, cell in enumerate(cells, 1)]
            lines.append('| ' + ' | '.join([name.replace('|', '\\|'), *cells]) + ' |')
        parts.append('\n'.join(lines) + '\n')
    return '\n'.join(parts)


def as_html(report: dict[str, Any]) -> str:
    """The tables of :func:`as_markdown` for a page, each in a ``div`` that may be scrolled."""
    several, parts = len(report['metrics']) > 1, []
    for table in tables(report):
        title = f'<h2>{escape(table.title)}</h2>\n' if several else ''
        head = ''.join(f'<th scope="col">{escape(heading)}</th>' for heading in table.headings)
        body = []
        for i, (name, *cells) in enumerate(table.rows):
            kinds = ('<td class="best">' if (i, k) in table.bold else '<td>' for k in range(1, len(cells) + 1))
            row = ''.join(f'{kind}{escape(cell)}</td>' for kind, cell in zip(kinds, cells))
            body.append(f'<tr><th scope="row">{escape(name)}</th>{row}</tr>\n')
        parts.append(f'{title}<div><table>\n<tr>{head}</tr>\n{"".join(body)}</table></div>\n')
    return ''.join(parts)


def as_csv(report: dict[str, Any]) -> str:
    """One line per method or reference answer, numbers in full; after the columns seconds of reading and each stage."""
    text, methods = io.StringIO(), report['methods']
    scores = [key for metric in report['metrics'] for key in metric['scores']]
    times = ['read_seconds', *(f'{stage}_seconds' for stage in _stages(methods))]
    fields = ['name', 'metric', *scores, *COUNTS, *COSTS, *times]
    writer = csv.DictWriter(text, fields, extrasaction='ignore', lineterminator='\n')
    writer.writeheader()
    for row in methods:
        writer.writerow({**row, **{f'{stage}_seconds': value for stage, value in row['stage_seconds'].items()}})
    writer.writerows(report['bounds'])
    return text.getvalue()


def as_text(report: dict[str, Any]):
    """The tables for :func:`rich.print`."""
    from rich import box
    from rich.console import Group
    from rich.table import Table as RichTable

    drawn = []
    for table in tables(report):
        unscored = 'unscored' in table.headings and any(row['unscored'] for row in report['methods'])
        shown = [k for k, heading in enumerate(table.headings) if heading != 'unscored' or unscored]
        rich = RichTable(title=table.title, title_justify='left', box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
        for k in shown:
            rich.add_column(
                table.headings[k], justify='right' if k else 'left', min_width=6, no_wrap=k > 0, overflow='fold'
            )
        for i, row in enumerate(table.rows):
            cells = (row[k].replace(' ±', '\n±') for k in shown)  # a terminal is narrow
            rich.add_row(*cells, end_section=i + 1 == len(report['methods']))
        drawn.append(rich)
    return Group('less is better: Ras, on distractors, time, memory', *drawn)


def _by_kind(report: dict[str, Any]) -> Iterator[Table]:
    methods = report['methods']
    kinds = [kind for kind in dict.fromkeys(k for row in methods for k in row['by_kind']) if kind != UNKNOWN]
    if len(kinds) < 2:
        return
    for metric in report['metrics']:
        rows = [
            [row['name'], *(_cell(row['by_kind'].get(kind, {}), metric['main']) for kind in kinds)] for row in methods
        ]
        yield Table(f'{metric["scores"][metric["main"]]} by kind of query', ['method', *kinds], rows)


def _any(methods: Sequence[dict[str, Any]], key: str) -> bool:
    return any(row.get(key) is not None for row in methods)


def _cell(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    if value is None or key in COUNTS:
        return '' if value is None else str(value)
    if key in COSTS:
        return f'{value / _UNITS.get(key, 1):.2f}'
    return format_cell(value, row.get('intervals', {}).get(key))


def _stages(methods: Sequence[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(stage for row in methods for stage in row['stage_seconds']))


def _stage_row(row: dict[str, Any], stages: Sequence[str]) -> list[str]:
    values = [row['read_seconds'], *(row['stage_seconds'].get(stage) for stage in stages)]
    return [row['name'], *('' if value is None else f'{value:.2f}' for value in values)]
