"""A trained model beside its untrained self and the metrics' bounds."""

from __future__ import annotations

import json
from pathlib import Path

from xemap.errors import DataError

ROWS = ('model', 'untrained', 'floor', 'ceiling')


def compare_summaries(model: str | Path, untrained: str | Path) -> dict:
    """Combine two summaries that :class:`~xemap.evaluation.SeLoMetric` wrote for the same queries.

    Args:
        model, untrained: ``*.summary.json`` files.

    Returns:
        ``model``, ``untrained``, ``floor`` and ``ceiling``, each with ``rmi``, ``rsu``, ``ras``, ``rda``
        and ``queries``; and ``by_kind``: the same of the model for each kind of query.

    Raises:
        DataError: a file is missing, or they are not of the same queries.
    """
    trained, before = _read(model), _read(untrained)
    if trained['overall']['queries'] != before['overall']['queries']:
        raise DataError(
            f'{model} has {trained["overall"]["queries"]} queries and {untrained} {before["overall"]["queries"]}; '
            'score both on the same test set'
        )
    rows = dict(zip(ROWS, (trained['overall'], before['overall'], trained['floor'], trained['ceiling'])))
    results = {name: _scores(row) for name, row in rows.items()}
    return {**results, 'by_kind': {kind: _scores(row) for kind, row in trained['by_kind'].items()}}


def format_comparison(results: dict) -> str:
    """The dictionary of :func:`compare_summaries` as a Markdown table."""
    lines = ['| | Rmi | Rsu | Ras | Rda | queries |', '|---|---|---|---|---|---|']
    rows = {name: results[name] for name in ROWS}
    rows |= {f'model, {kind}': row for kind, row in results['by_kind'].items()}
    for name, row in rows.items():
        scores = ' | '.join(f'{row[key]:.4f}' for key in ('rmi', 'rsu', 'ras', 'rda'))
        lines.append(f'| {name} | {scores} | {row["queries"]} |')
    return '\n'.join(lines)


def _scores(row: dict) -> dict:
    return {key: row[key] for key in ('rmi', 'rsu', 'ras', 'rda', 'queries')}


def _read(path: str | Path) -> dict:
    path = Path(path)
    if not path.is_file():
        raise DataError(f'{path} does not exist; tools/test.py --out PREFIX writes PREFIX.summary.json')
    try:
        summary = json.loads(path.read_text())
        _ = [_scores(summary[part]) for part in ('overall', 'floor', 'ceiling')], summary['by_kind']
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f'{path} is no summary of tools/test.py ({error!r}); score the model again') from error
    return summary
