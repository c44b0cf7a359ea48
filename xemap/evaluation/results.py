"""What becomes of the rows of metrics: tables in the log, files, and named results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from mmengine.dist import is_main_process
from mmengine.logging import print_log

from xemap.errors import DataError
from xemap.evaluation.report import UNKNOWN, format_table, join_rows, write_rows_csv
from xemap.evaluation.scores import Row, Score, named_scores
from xemap.files import write_json


class Declared(Protocol):
    """What a metric of queries declares; see :class:`~xemap.evaluation.metrics.base.QueryMetric`."""

    name: Any
    scores: Any
    references: Any
    protocols: Any
    prefix: Any
    outfile_prefix: Any

    @property
    def heading(self) -> str: ...

    @property
    def protocol(self) -> str: ...

    def summarize(self, rows: Sequence[Row], scores: Sequence[Score]) -> dict[str, Any]: ...


def report(metrics: Sequence[tuple[Declared, list[Row]]], run: Mapping[str, Any] | None = None) -> dict[str, float]:
    """Log a table per metric, write the files, return the results.

    Args:
        metrics: with their rows, each query once.
        run: goes into the summary as ``run``.

    Raises:
        DataError: a metric could score no query at all.
    """
    named = named_scores([metric for metric, _ in metrics])
    results: dict[str, float] = {}
    summaries = []
    for (metric, rows), scores in zip(metrics, named):
        summary = metric.summarize(rows, scores)
        summaries.append(summary)
        if is_main_process():
            table = format_table(summary, scores, metric.references, title=metric.heading)
            print_log(f'\n{table}', logger='current')
        for name, value in _results(metric, summary, scores).items():
            results[name if name not in results else f'{metric.name}/{name}'] = value
    if is_main_process():
        _write(metrics, summaries, run)
    for (metric, rows), summary, scores in zip(metrics, summaries, named):
        if summary['overall'][scores[0].name] is None:
            reasons = ', '.join(f'{count} x {reason}' for reason, count in summary['problems'].items())
            raise DataError(
                f'{type(metric).__name__}: none of {len(rows)} queries could be scored ({reasons}); check the regions'
            )
    return results


def combined(summaries: Sequence[dict[str, Any]], run: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """One summary of several metrics' summaries on the same queries; counts of queries are the first one's."""
    joined: dict[str, Any] = {} if run is None else {'run': dict(run)}
    for summary in summaries:
        for key, value in summary.items():
            joined[key] = _filled(joined.get(key), value)
    return joined


def _filled(first: Any, second: Any) -> Any:
    """``first`` with what it lacks from ``second``, dictionaries within them likewise."""
    if isinstance(first, dict) and isinstance(second, dict):
        return {**second, **{key: _filled(value, second.get(key)) for key, value in first.items()}}
    return second if first is None else first


def _results(metric: Declared, summary: dict[str, Any], scores: Sequence[Score]) -> dict[str, float]:
    before = f'{metric.prefix}/' if metric.prefix else ''
    overall = summary['overall']
    results = {score.name: overall[score.name] for score in scores if overall[score.name] is not None}
    results |= {f'{before}{key}': value for key, value in overall.items() if isinstance(value, int)}
    for key in metric.references:
        for score in scores:
            value = summary.get(key, {}).get(score.name)
            if value is not None:
                results[f'{before}{key}/{score.name[len(before) :]}'] = value
    first = scores[0]
    for kind, values in summary['by_kind'].items():
        if kind != UNKNOWN and values[first.name] is not None:
            results[f'{before}kind/{kind}/{first.name[len(before) :]}'] = values[first.name]
    return results


def _write(
    metrics: Sequence[tuple[Declared, list[Row]]], summaries: Sequence[dict[str, Any]], run: Mapping | None
) -> None:
    prefixes = dict.fromkeys(metric.outfile_prefix for metric, _ in metrics)
    for prefix in prefixes:
        if prefix is None:
            continue
        chosen = [k for k, (metric, _) in enumerate(metrics) if metric.outfile_prefix == prefix]
        write_rows_csv(join_rows([metrics[k][1] for k in chosen]), f'{prefix}.queries.csv')
        protocols = {metrics[k][0].name: metrics[k][0].protocol for k in chosen if metrics[k][0].protocols}
        first = next(iter(protocols.values()), None)
        summary = combined([summaries[k] for k in chosen], run)
        write_json(f'{prefix}.summary.json', {'protocol': first, 'protocols': protocols, **summary})
        print_log(f'wrote {prefix}.queries.csv and .summary.json', logger='current')
