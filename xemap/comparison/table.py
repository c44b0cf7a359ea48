"""The comparison as a table: for the terminal, Markdown and CSV."""

from __future__ import annotations

import csv
import io
from typing import Any

from xemap.evaluation.report import format_cell

COLUMNS = {
    'name': 'method',
    'rmi': 'Rmi',
    'rsu': 'Rsu',
    'ras': 'Ras',
    'rda': 'Rda',
    'pointing': 'pointing',
    'pixel_ap': 'pixel AP',
    'soft_iou': 'soft IoU',
    'distractor_mass': 'on distractors',
    'queries': 'queries',
    'unscored': 'unscored',
    'total_seconds': 'time (s)',
    'scoring_seconds': 'scoring (s)',
    'queries_per_second': 'queries/s',
}
"""Key of a row -> heading. Ras and mass on distractors are better when smaller, the other scores when larger.
Scoring is not in the time; the papers' times include it."""

_SECONDS = ('total_seconds', 'scoring_seconds', 'queries_per_second')
_COUNTS = ('queries', 'unscored')


def as_markdown(report: dict[str, Any]) -> str:
    """Methods, then reference answers, with half of each 95 % interval.

    Bold is a method that is better than every other one by more than chance, see
    :func:`~xemap.comparison.run.best_methods`.
    """
    best, shown = report.get('best', {}), _shown(report)
    lines = ['| ' + ' | '.join(COLUMNS[key] for key in shown) + ' |', '|---' + '|---:' * (len(shown) - 1) + '|']
    for row in [*report['methods'], *report['bounds']]:
        cells = []
        for key in shown:
            cell = _name(row) if key == 'name' else _cell(row, key)
            cells.append(f'**{cell}**' if cell and best.get(key) == row['name'] else cell)
        lines.append('| ' + ' | '.join(cells) + ' |')
    if _stages(report['methods']):
        lines += ['', *_stage_lines(report['methods'])]
    return '\n'.join(lines) + '\n'


def as_csv(report: dict[str, Any]) -> str:
    """One line per method or bound, numbers in full; after the columns the seconds of reading and of each stage."""
    text = io.StringIO()
    fields = [*COLUMNS, 'read_seconds', *(f'{stage}_seconds' for stage in _stages(report['methods']))]
    writer = csv.DictWriter(text, fields, extrasaction='ignore', lineterminator='\n')
    writer.writeheader()
    for row in report['methods']:
        writer.writerow({**row, **{f'{stage}_seconds': value for stage, value in row['stage_seconds'].items()}})
    writer.writerows(report['bounds'])
    return text.getvalue()


def as_text(report: dict[str, Any]):
    """Scores and times for :func:`rich.print`, and below them the seconds of each stage where there are any."""
    from rich import box
    from rich.console import Group
    from rich.table import Table

    table = Table(title='Ras and time: less is better', title_justify='left', box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    shown = [key for key in _shown(report) if key != 'unscored' or any(row['unscored'] for row in report['methods'])]
    for key in shown:
        table.add_column(
            COLUMNS[key], justify='left' if key == 'name' else 'right', no_wrap=key != 'name', overflow='fold'
        )
    for rows in (report['methods'], report['bounds']):
        for row in rows:
            table.add_row(row['name'], *(_cell(row, key) for key in shown[1:]))
        table.add_section()
    stages = _stages(report['methods'])
    if not stages:
        return table
    times = Table(title='Seconds by stage', title_justify='left', box=box.SIMPLE_HEAD, padding=(0, 0, 0, 1))
    times.add_column('method', overflow='fold')
    for heading in ('reading', *stages):
        times.add_column(heading, justify='right', no_wrap=True)
    for row in report['methods']:
        times.add_row(row['name'], *_stage_cells(row, stages))
    return Group(table, times)


def _cell(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    if value is None or key in _COUNTS:
        return '' if value is None else str(value)
    return f'{value:.2f}' if key in _SECONDS else format_cell(value, row.get('intervals', {}).get(key))


def _shown(report: dict[str, Any]) -> list[str]:
    """Columns for which a method has a value, and those that every table has."""
    always = ('name', 'rmi', 'rsu', 'ras', 'rda', *_COUNTS)
    return [key for key in COLUMNS if key in always or any(row.get(key) is not None for row in report['methods'])]


def _stage_lines(methods: list[dict[str, Any]]) -> list[str]:
    stages = _stages(methods)
    lines = ['| seconds | reading | ' + ' | '.join(stages) + ' |', '|---' + '|---:' * (len(stages) + 1) + '|']
    for row in methods:
        lines.append(f'| {_name(row)} | ' + ' | '.join(_stage_cells(row, stages)) + ' |')
    return lines


def _stages(methods: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(stage for row in methods for stage in row['stage_seconds']))


def _stage_cells(row: dict[str, Any], stages: list[str]) -> list[str]:
    values = [row['read_seconds'], *(row['stage_seconds'].get(stage) for stage in stages)]
    return ['' if value is None else f'{value:.2f}' for value in values]


def _name(row: dict[str, Any]) -> str:
    return str(row['name']).replace('|', '\\|')
