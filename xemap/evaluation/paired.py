"""Two runs on the same queries: the difference of their scores, and whether it is statistically significant."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xemap.errors import DataError
from xemap.evaluation.scores import Row, Score, image_sums, interval, ratios, resampled_sums

PERMUTATIONS = 10_000
SIGNIFICANCE = 0.05
"""Largest p of a significant difference."""
_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Difference:
    """A score of two runs over the queries that have it in both.

    Args:
        first, second: the score of each.
        difference: ``first - second``.
        low, high: 95 % interval of the difference, bootstrap over images; None for fewer than two images.
        p: p-value of a permutation test that exchanges the runs image by image: how often chance alone gives a
            difference at least as large.
        wins, losses: queries that the first run answers better, or worse.
        queries: number of queries.
    """

    first: float
    second: float
    difference: float
    low: float | None
    high: float | None
    p: float
    wins: int
    losses: int
    queries: int

    @property
    def is_distinguishable(self) -> bool:
        """0 is not within the interval, and p is below 0.05.

        The bootstrap of a few images is too sure; p of five images is at least 1 / 16.
        """
        outside = self.low is not None and self.high is not None and not self.low <= 0 <= self.high
        return outside and self.p < SIGNIFICANCE

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def paired_difference(first: Sequence[Row], second: Sequence[Row], score: Score, seed: int = 0) -> Difference | None:
    """Compare two runs by a score.

    Args:
        first, second: one row per query, see :mod:`xemap.evaluation.report`; only queries of both count.
        score: no average of others.
        seed: seed of the draws.

    Returns:
        None where no query has the score in both.
    """
    pairs = matched(first, second)
    sides = [score.terms([pair[k] for pair in pairs]) for k in (0, 1)]
    used = ~np.isnan(sides[0][0]) & ~np.isnan(sides[1][0])
    if not used.any():
        return None
    sides = [(numerator[used], denominator[used]) for numerator, denominator in sides]
    names = [str(pair[0]['image']) for pair, keep in zip(pairs, used) if keep]
    values = [score.value(*side) for side in sides]
    if values[0] is None or values[1] is None:
        return None
    sums = image_sums(names, [term for side in sides for term in side])
    draws = resampled_sums(sums, seed)
    differences = score.scale * (ratios(draws[:, :2]) - ratios(draws[:, 2:]))
    low, high = interval(differences) if len(sums) > 1 else (None, None)
    each = [np.divide(n, d, out=np.zeros(len(n)), where=d > 0) for n, d in sides]
    better = (each[0] - each[1]) * (1 if score.higher_is_better else -1)
    return Difference(
        values[0], values[1], values[0] - values[1], low, high,
        permutation_p(sums, seed), int((better > 0).sum()), int((better < 0).sum()), int(used.sum()),
    )  # fmt: skip


def permutation_p(sums: np.ndarray, seed: int = 0, permutations: int = PERMUTATIONS) -> float:
    """Two-sided p of exchanging two runs image by image, (1 + hits) / (1 + permutations).

    Args:
        sums: (I, 4) of each image, numerator and denominator of the first run and of the second.
        seed: seed of the permutations.
        permutations: how many.
    """
    total, change = sums.sum(0), sums[:, [2, 3, 0, 1]] - sums
    rng, hits = np.random.default_rng(seed), 0
    observed = abs(_gap(total[None])[0])
    at_once = max(1, _AT_ONCE // len(sums))
    for start in range(0, permutations, at_once):
        exchanged = rng.integers(0, 2, (min(at_once, permutations - start), len(sums))).astype(np.float64)
        hits += int((np.abs(_gap(total + exchanged @ change)) >= observed - 1e-12).sum())
    return (1 + hits) / (1 + permutations)


def matched(first: Sequence[Row], second: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Rows of the queries that both runs have, by ``sample_idx`` and ``query_id``.

    Raises:
        DataError: nothing matches, or the runs have different images under one key.
    """
    others = {(int(row['sample_idx']), int(row['query_id'])): row for row in second}
    pairs = [(row, others.get((int(row['sample_idx']), int(row['query_id'])))) for row in first]
    complete = [(a, b) for a, b in pairs if b is not None]
    if not complete:
        raise DataError('the two runs have no query in common; score both on the same test set')
    for a, b in complete:
        if Path(str(a['image'])).name != Path(str(b['image'])).name:
            raise DataError(
                f'query {a["query_id"]} of image {a["sample_idx"]} is of {a["image"]} in one run, of {b["image"]} in '
                'the other; score both on the same test set'
            )
    return complete


def most_changed(first: Sequence[Row], second: Sequence[Row], score: Score, number: int) -> list[tuple[float, Row]]:
    """The queries with the largest changes of a score's column, (first - second, row of the first)."""
    changed = []
    for a, b in matched(first, second):
        if a.get(score.column) is not None and b.get(score.column) is not None:
            changed.append((float(a[score.column]) - float(b[score.column]), a))
    return sorted(changed, key=lambda item: -abs(item[0]))[:number]


def read_rows(path: str | Path) -> list[Row]:
    """Rows of a ``*.queries.csv``; empty cells are None, numbers in the columns of scores stay text.

    Raises:
        DataError: the file is missing or no table of queries.
    """
    path = Path(path)
    try:
        with path.open(newline='', encoding='utf-8') as file:
            rows = [{key: value or None for key, value in row.items() if key} for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f'{path} cannot be read ({error}); tools/test.py --out PREFIX writes PREFIX.queries.csv'
        ) from error
    if not rows or not {'sample_idx', 'query_id', 'image'} <= rows[0].keys():
        raise DataError(f'{path} is no table of queries; tools/test.py --out PREFIX writes PREFIX.queries.csv')
    return rows


def read_scores(path: str | Path) -> list[Score]:
    """The scores that the ``*.summary.json`` beside a ``*.queries.csv`` declares.

    Raises:
        DataError: the summary is missing or declares none.
    """
    summary = Path(str(path).removesuffix('.queries.csv') + '.summary.json')
    try:
        declared = json.loads(summary.read_text())['scores']
        return [Score(**value['declaration']) for value in declared.values() if value['declaration']]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f'{summary} declares no scores ({error!r}); keep it beside {path}, or score again') from error


def _gap(sums: np.ndarray) -> np.ndarray:
    return ratios(sums[:, :2]) - ratios(sums[:, 2:])
