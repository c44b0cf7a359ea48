"""One table of what the steps gave so far: ``results/summary.md`` for people, ``results/summary.json`` for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from benchmarks.table import format_report

from gpu_report.step import Step, read_record, state_of
from xemap.files import write_json, write_text

Figures = list[tuple[str, str]]
NOT_YET = 'not yet'


def write_summary(steps: Sequence[Step], folder: Path) -> None:
    """Write both files anew; a step that was cut off is in them with what it has."""
    rows = [_row(step, folder) for step in steps]
    write_json(folder / 'results/summary.json', {'steps': rows})
    write_text(folder / 'results/summary.md', _markdown(rows))


def status_line(step: Step, folder: Path) -> str:
    """Name, state, time and purpose of a step."""
    record = read_record(folder, step.name)
    time = f'{record["seconds"]:.0f} s in {record["calls"]} calls' if record else ''
    state = state_of(step, folder) or NOT_YET
    return f'{step.name:15} {state:12} {time:18} {step.purpose}'.rstrip()


def _row(step: Step, folder: Path) -> dict[str, Any]:
    record = read_record(folder, step.name)
    kept = {key: record[key] for key in ('status', 'seconds', 'calls', 'command_seconds') if key in record}
    figures = [pair for path in step.outputs if path.exists() for pair in _figures(path)]
    if step.timed and record:
        figures += [(what, f'{seconds:.1f} s') for what, seconds in zip(step.timed, record['command_seconds'])]
    return {
        'name': step.name, 'purpose': step.purpose, 'state': state_of(step, folder) or NOT_YET, **kept,
        'figures': figures,
    }  # fmt: skip


def _figures(path: Path) -> Figures:
    if path.is_dir():
        return _training(path)
    if path.suffix == '.xml':
        return _tests(path)
    content = json.loads(path.read_text(encoding='utf-8'))
    if path.name.endswith('.summary.json'):
        return _scores(path.name.removesuffix('.summary.json'), content)
    if 'settings' in content:
        return _benchmark(content)
    return [(key, f'{value:.3g}' if isinstance(value, float) else str(value)) for key, value in content.items()]


def _benchmark(report: dict[str, Any]) -> Figures:
    part, figures = '', []
    parts, measured, values = (list(column.cells) for column in format_report(report).columns[:3])
    for name, what, value in zip(parts, measured, values):
        part = str(name) or part
        figures.append((f'{part}: {what}', str(value)))
    return figures


def _training(work_dir: Path) -> Figures:
    """Steps, speed, share of the time that waits for data, and losses, over all calls."""
    lines: dict[int, dict[str, float]] = {}
    for path in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in path.read_text(encoding='utf-8').splitlines():
            row = json.loads(line)
            if 'loss' in row:
                lines[row['step']] = row  # a later call repeats what came after its checkpoint
    if not lines:
        return []
    last, rows = lines[max(lines)], lines.values()
    waited, time = sum(row['data_time'] for row in rows), sum(row['time'] for row in rows)
    figures = [
        ('steps', f'{last["step"]}, in epoch {last["epoch"]}'),
        ('seconds per step', f'{time / len(lines):.3f}'),
        ('of these waiting for data', f'{100 * waited / time:.0f} %' if time else 'none'),
        ('loss, first and last logged', f'{lines[min(lines)]["loss"]:.3f}, {last["loss"]:.3f}'),
        ('losses that are not finite', f'{sum(not math.isfinite(row["loss"]) for row in rows)} of {len(lines)} logged'),
    ]
    if 'memory' in last:
        figures.append(('memory', f'{last["memory"]:.0f} MiB'))
    return figures


def _tests(path: Path) -> Figures:
    suite = next(ElementTree.parse(path).iter('testsuite')).attrib
    return [(name, suite[name]) for name in ('tests', 'failures', 'errors', 'skipped')]


def _scores(name: str, summary: dict[str, Any]) -> Figures:
    figures = []
    for key in (*summary['scores'], 'queries', 'unscored'):
        value = summary['overall'].get(key)
        if value is not None:
            figures.append((f'{name}: {key}', f'{value:.4g}'))
    for control, report in summary.get('text_controls', {}).items():
        entry = report['overall']
        if 'difference' in entry:
            words = '{difference:+.4f} ({low:+.4f} to {high:+.4f}), {queries} queries'
            figures.append((f'{name}: whole texts over {control}', words.format(**entry)))
    return figures


def _markdown(rows: Sequence[dict[str, Any]]) -> str:
    lines = ['# Report', '', '| step | state | seconds | what it tells |', '|---|---|---|---|']
    for row in rows:
        lines.append(f'| `{row["name"]}` | {row["state"]} | {row.get("seconds", 0):.0f} | {_cell(row["purpose"])} |')
    for row in rows:
        if row['figures']:
            lines += ['', f'## {row["name"]} ({row["state"]})', '', '| measured | value |', '|---|---|']
            lines += [f'| {_cell(what)} | {_cell(value)} |' for what, value in row['figures']]
    return '\n'.join(lines) + '\n'


def _cell(text: str) -> str:
    return text.replace('|', '/')
