"""Running methods one after another and writing what they did."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from xemap.comparison.chosen import choose_queries, parts_of
from xemap.comparison.method import SELO, Method, Outcome, run_method, test_set
from xemap.comparison.page import write_page
from xemap.comparison.table import as_csv, as_html, as_markdown
from xemap.datasets.transforms.targets import target_options
from xemap.engine import load_config
from xemap.environment import describe_environment
from xemap.errors import ConfigError, DataError
from xemap.evaluation.paired import paired_difference
from xemap.evaluation.report import write_rows_csv
from xemap.evaluation.scores import Score
from xemap.files import write_json, write_text
from xemap.registry import METRICS
from xemap.terminal import PlainConsole, description_column


def compare(
    methods: Sequence[Method],
    out: str | Path,
    ann_file: str | None = None,
    data_root: str | None = None,
    *,
    device: str = 'cpu',
    metrics: Sequence[dict] = SELO,
    pictures: int = 12,
    queries: Sequence[str] = (),
    parts: Sequence[str] | None = None,
    options: list[str] | None = None,
    show_progress: bool = False,
) -> dict[str, Any]:
    """Score and time methods on the same queries, one after another in one process.

    Written to ``out``: ``compare.json``, ``compare.md``, ``compare.csv``; for each method
    ``NAME.queries.csv`` and ``NAME.summary.json`` as soon as it is done; ``index.html`` with pictures of
    the same queries by all methods.

    Args:
        methods: their names differ.
        out: folder, made if needed.
        ann_file, data_root: the test set; default that of the first method's config.
        device: ``'cpu'`` or ``'cuda'``.
        metrics: configs of metrics of queries, each of another kind; the main score of the first stands in pictures.
        pictures: how many queries to draw, spread evenly over the test set.
        queries: to draw in their place, see :func:`~xemap.comparison.chosen.choose_queries`.
        parts: draw the parts of multi-hop queries, too, see :func:`~xemap.comparison.chosen.parts_of`.
        options: overrides for every config, see :func:`xemap.engine.load_config`.
        show_progress: draw a bar on stderr.

    Returns:
        the report: ``methods`` (see :meth:`Outcome.as_dict`), ``bounds``, ``metrics`` (for each its ``config``,
        ``name``, ``title``, name of the ``main`` score, and ``scores``, label by name), ``best``, ``environment``.

    Raises:
        ConfigError: names repeat, or a config does not fit.
        CheckpointError, DataError: as the methods raise them.
    """
    names = [method.name for method in methods]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f'two methods are called "{name}"; name them: A=CONFIG.py B=CONFIG.py')
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    first = load_config(methods[0].config, options)
    dataset = test_set(first, ann_file, data_root)
    ann_file, data_root = dataset.ann_file, dataset.data_root
    infos = [dataset.get_data_info(i) for i in range(len(dataset))] if pictures or queries else []
    keep = parts_of(choose_queries(infos, queries, pictures), parts)

    outcomes: list[Outcome] = []
    columns = (description_column(), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = PlainConsole(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not show_progress) as progress:
        for method in methods:
            task = progress.add_task(method.name, total=len(dataset))
            outcome = run_method(
                method, ann_file, data_root, device=device, metrics=metrics, with_bounds=not outcomes, keep=keep,
                options=options,                 advance=lambda n, task=task: progress.advance(task, n),
            )  # fmt: skip
            if outcomes and _query_keys(outcome) != _query_keys(outcomes[0]):
                raise DataError(f'{method.name} has other queries than {names[0]}; compare on one --ann-file')
            write_rows_csv(outcome.rows, out / f'{method.name}.queries.csv')
            write_json(out / f'{method.name}.summary.json', outcome.summary)
            outcomes.append(outcome)

    report = {
        'methods': [outcome.as_dict() for outcome in outcomes],
        'bounds': outcomes[0].bounds,
        'metrics': [_described(*pair) for pair in zip(metrics, outcomes[0].scores)],
        'best': best_methods(outcomes),
        'ann_file': str(ann_file),
        'environment': describe_environment(device),
    }
    write_json(out / 'compare.json', report)
    write_text(out / 'compare.md', as_markdown(report))
    write_text(out / 'compare.csv', as_csv(report))
    if keep:
        write_page(out / 'index.html', outcomes, infos, as_html(report), target_options(first))
    return report


def best_methods(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """By score, the method whose paired difference to every other one is statistically significant.

    See :func:`~xemap.evaluation.paired.paired_difference`.
    """
    best = {}
    for score in chain.from_iterable(outcomes[0].scores):
        for outcome in outcomes:
            others = [other for other in outcomes if other is not outcome]
            differences = [paired_difference(outcome.rows, other.rows, score) for other in others]
            sign = 1 if score.higher_is_better else -1
            if differences and all(
                f is not None and f.is_distinguishable and sign * f.difference > 0 for f in differences
            ):
                best[score.name] = outcome.method.name
    return best


def _described(config: dict, scores: Sequence[Score]) -> dict[str, Any]:
    kind = METRICS.get(config['type'])
    main = next(score for score in scores if score.name.split('/')[-1] == (kind.main or kind.scores[0].name))
    labels = {score.name: score.label for score in scores}
    return {'config': config, 'name': kind.name, 'title': kind.title, 'main': main.name, 'scores': labels}


def _query_keys(outcome: Outcome) -> list[tuple]:
    return [(row['sample_idx'], row['query_id'], row['text']) for row in outcome.rows]
