"""Two runs of ``tools/test.py`` on the same queries, score by score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xemap.errors import ConfigError
from xemap.evaluation.paired import Difference, most_changed, paired_difference, read_rows, read_scores

HEADINGS = ('score', 'A', 'B', 'A - B', '95 % interval', 'p', 'wins', 'losses', 'queries')


def compare_runs(first: Path, second: Path, seed: int = 0) -> dict[str, tuple[str, Difference]]:
    """Paired differences of all scores that both runs have.

    Args:
        first, second: ``*.queries.csv``; the summary beside the first declares the scores.
        seed: seed of the resampling.

    Returns:
        by the score's name its label and the difference.

    Raises:
        DataError: a file is missing or damaged, or the runs have no query in common.
    """
    rows, others = read_rows(first), read_rows(second)
    differences = {}
    for score in read_scores(first):
        difference = paired_difference(rows, others, score, seed)
        if difference is not None:
            differences[score.name] = (score.label, difference)
    return differences


def changed_queries(first: Path, second: Path, score: str | None, number: int) -> list[str]:
    """The queries with the largest changes of a score, a line for each.

    Args:
        first, second: as in :func:`compare_runs`.
        score: its name; None = the first that is declared.
        number: number of queries.

    Raises:
        ConfigError: the score is not declared.
        DataError: as in :func:`compare_runs`.
    """
    scores = {declared.name: declared for declared in read_scores(first)}
    if score is not None and score not in scores:
        raise ConfigError(f'--score {score} is not declared; known: {", ".join(scores)}')
    chosen = scores[score or next(iter(scores))]
    changes = most_changed(read_rows(first), read_rows(second), chosen, number)
    return [f'{change:+.4f} {chosen.label}  {row["text"]}  ({row["image"]})' for change, row in changes]


def difference_table(differences: dict[str, tuple[str, Difference]]) -> Any:
    """A table for :func:`rich.print` of what :func:`compare_runs` returned."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0))
    for heading in HEADINGS:
        table.add_column(heading, no_wrap=True, justify='left' if heading == 'score' else 'right')
    for label, d in differences.values():
        bounds = '' if d.low is None else f'{d.low:+.4f} to {d.high:+.4f}'
        table.add_row(
            label, f'{d.first:.4f}', f'{d.second:.4f}', f'{d.difference:+.4f}', bounds, f'{d.p:.4f}', str(d.wins),
            str(d.losses), str(d.queries),
        )  # fmt: skip
    return table
