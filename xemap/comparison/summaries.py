"""A trained model beside its untrained self and reference answers."""

from __future__ import annotations

import json
from pathlib import Path

from xemap.errors import DataError
from xemap.evaluation.report import format_cell

REFERENCES = {'floor': 'uniform map', 'ceiling': 'true mask', 'target': 'MCMG target'}
"""Key in results -> name in the table."""

REPORTED_CONTROLS = {
    'target-only': (('with_distractors', 'by_kind', 'multi-hop'), 'multi-hop queries with distractors'),
    'category': (('with_distractors', 'overall'), 'queries with distractors'),
}
"""Text control -> where its result stands in the report, and of which queries that is."""


def compare_summaries(model: str | Path, untrained: str | Path) -> dict:
    """Combine two summaries that ``tools/test.py`` wrote for the same queries.

    Args:
        model, untrained: ``*.summary.json`` files.

    Returns:
        ``model``, ``untrained``, and ``floor``, ``ceiling``, ``target`` as far as they were scored, each with the
        scores that the metrics declare, ``queries`` and ``intervals``; ``by_kind``: the same of the model for each kind
        of query; ``scores``: the declarations; ``text_controls``, where the model was scored with some of
        :data:`REPORTED_CONTROLS`: ``difference`` of the first score (whole minus broken texts), its 95 % interval
        ``low`` and ``high``, the number of ``queries`` and ``of`` which they are.

    Raises:
        DataError: a file is missing, or they are not of the same queries.
    """
    trained, before = _read(model), _read(untrained)
    if trained['overall']['queries'] != before['overall']['queries']:
        raise DataError(
            f'{model} has {trained["overall"]["queries"]} queries and {untrained} {before["overall"]["queries"]}; '
            'score both on the same test set'
        )
    rows = {'model': trained['overall'], 'untrained': before['overall']}
    rows |= {key: trained[key] for key in REFERENCES if key in trained}
    kept = [*trained['scores'], 'queries', 'intervals']

    def chosen(row: dict) -> dict:
        return {key: row[key] for key in kept if row.get(key) is not None}

    results = {
        **{name: chosen(row) for name, row in rows.items()},
        'by_kind': {kind: chosen(row) for kind, row in trained['by_kind'].items()},
        'scores': trained['scores'],
    }
    controls = trained.get('text_controls', {})
    effects = {name: _effect(controls[name], name) for name in REPORTED_CONTROLS if name in controls}
    return results | ({'text_controls': effects} if effects else {})


def _effect(report: dict, control: str) -> dict:
    place, queries = REPORTED_CONTROLS[control]
    for key in place:
        report = report.get(key, {})
    numbers = {key: report.get(key) for key in ('difference', 'low', 'high')}
    return {**numbers, 'queries': report.get('queries', 0), 'of': queries}


def format_comparison(results: dict) -> str:
    """The dictionary of :func:`compare_summaries` as a Markdown table, values with half their 95 % intervals."""
    scores = {name: declared for name, declared in results['scores'].items() if name in results['model']}
    labels = [score['label'] + (' (less is better)' if score['rule'] == 'less' else '') for score in scores.values()]
    lines = [f'| | {" | ".join(labels)} | queries |', '|---' * (len(scores) + 2) + '|']
    rows = {name: results[name] for name in ('model', 'untrained')}
    rows |= {name: results[key] for key, name in REFERENCES.items() if key in results}
    rows |= {f'model, {kind}': row for kind, row in results['by_kind'].items()}
    for name, row in rows.items():
        cells = ' | '.join(format_cell(row.get(key), row.get('intervals', {}).get(key)) for key in scores)
        lines.append(f'| {name} | {cells} | {row["queries"]} |')
    for control, effect in results.get('text_controls', {}).items():
        if effect['difference'] is not None:
            bounds = '' if effect['low'] is None else f' [{effect["low"]:+.4f}, {effect["high"]:+.4f}]'
            number = f'{effect["difference"]:+.4f}{bounds}, {effect["queries"]} queries'
            lines += ['', f'{next(iter(labels))} of whole texts minus {control}, {effect["of"]}: {number}']
    return '\n'.join(lines)


def _read(path: str | Path) -> dict:
    path = Path(path)
    if not path.is_file():
        raise DataError(f'{path} does not exist; tools/test.py --out PREFIX writes PREFIX.summary.json')
    try:
        summary = json.loads(path.read_text())
        _ = [summary['overall'][key] for key in ('queries', *summary['scores'])], summary['by_kind'].items()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f'{path} is no summary of tools/test.py ({error!r}); score the model again') from error
    return summary
