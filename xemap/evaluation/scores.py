"""What a metric measures: scores, how rows of queries become one number, and how sure that number is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from xemap.errors import ConfigError

Row = dict[str, Any]

RESAMPLES = 1000
CONFIDENCE = 0.95
DRAWS_AT_ONCE = 1 << 22
"""Numbers drawn at a time, which bounds the memory of the bootstrap."""


@dataclass(frozen=True)
class Score:
    """One number of a table, and how it comes from the rows of queries.

    Every score is a ratio of two sums over queries; a mean is one whose denominator is the number of queries.

    Args:
        name: name of the result, as ``save_best`` and JSON files have it.
        label: heading in tables.
        column: name of the column with the numerator.
        over: name of the column with the denominator; None = 1 per query, a mean.
        above: the numerator is 1 where the column is above this number, else 0: the share of such queries.
        below: likewise, where the column is below this number.
        strict: ``above`` and ``below`` themselves do not count.
        higher_is_better: direction.
        scale: factor of the result, 100 for percent.
        average_of: names of other scores of which this is the mean; ``column`` is then not read.
    """

    name: str
    label: str
    column: str
    over: str | None = None
    above: float | None = None
    below: float | None = None
    strict: bool = True
    higher_is_better: bool = True
    scale: float = 1.0
    average_of: tuple[str, ...] = ()

    @property
    def rule(self) -> str:
        """Direction as mmengine's ``save_best`` writes it."""
        return 'greater' if self.higher_is_better else 'less'

    @property
    def reduction(self) -> str:
        """How rows become the number, for people."""
        if self.average_of:
            return f'mean of {", ".join(self.average_of)}'
        if self.over is not None:
            return f'sum of {self.column} / sum of {self.over}'
        if self.above is not None or self.below is not None:
            sign, limit = ('>', self.above) if self.above is not None else ('<', self.below)
            return f'share of queries with {self.column} {sign}{"" if self.strict else "="} {limit:g}'
        return f'mean of {self.column}'

    def renamed(self, prefix: str) -> Score:
        """The same score of rows whose columns begin with ``prefix`` and ``_``, named ``prefix/name``."""
        if not prefix:
            return self
        return replace(
            self.of_columns(prefix),
            name=f'{prefix}/{self.name}',
            average_of=tuple(f'{prefix}/{name}' for name in self.average_of),
        )

    def of_columns(self, prefix: str) -> Score:
        """The same score from columns that begin with ``prefix`` and ``_``."""
        return replace(
            self, column=f'{prefix}_{self.column}', over=None if self.over is None else f'{prefix}_{self.over}'
        )

    def terms(self, rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
        """Numerator and denominator of each row, two (N,) float64; NaN where the row has no value."""
        numerator = _numbers(rows, self.column)
        for limit, sign in ((self.above, 1), (self.below, -1)):
            if limit is not None:
                passed = sign * numerator > sign * limit if self.strict else sign * numerator >= sign * limit
                numerator = np.where(np.isnan(numerator), np.nan, passed)
        denominator = np.ones(len(rows)) if self.over is None else _numbers(rows, self.over)
        missing = np.isnan(numerator) | np.isnan(denominator)
        return np.where(missing, np.nan, numerator), np.where(missing, np.nan, denominator)

    def value(self, numerator: np.ndarray, denominator: np.ndarray) -> float | None:
        """The score of :meth:`terms`; None where no row has a value."""
        used = ~np.isnan(numerator)
        total = math.fsum(denominator[used])  # fsum rounds once: the value does not depend on the rows' order
        return self.scale * math.fsum(numerator[used]) / total if total else None


@dataclass(frozen=True)
class Estimate:
    """A score of some queries.

    Args:
        value: None where no query has one.
        low, high: interval of :data:`CONFIDENCE`; None where fewer than two images have a value.
        queries: number of queries that have one.
    """

    value: float | None
    low: float | None
    high: float | None
    queries: int


def estimate(
    scores: Sequence[Score], rows: Sequence[Row], seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, Estimate]:
    """Scores of some queries with bootstrap intervals.

    Images are drawn with replacement, ``resamples`` times, with all their queries: queries of one image are
    alike, and drawing them one by one would give intervals that are too narrow. All scores share the draws.

    Args:
        scores: what to compute.
        rows: one row per query, with ``image`` and the scores' columns.
        seed: seed of the draws.
        resamples: number of draws.

    Returns:
        an estimate by the score's name.
    """
    names = [str(row['image']) for row in rows]
    values: dict[str, float | None] = {}
    draws: dict[str, np.ndarray] = {}
    counts: dict[str, int] = {}
    plain = [score for score in scores if not score.average_of]
    terms = [score.terms(rows) for score in plain]
    sums = image_sums(names, [term for pair in terms for term in pair])
    index = np.unique(names, return_inverse=True)[1]
    resampled = resampled_sums(sums, seed, resamples)
    for k, (score, (numerator, denominator)) in enumerate(zip(plain, terms)):
        used = ~np.isnan(numerator)
        counts[score.name] = int(used.sum())
        values[score.name] = score.value(numerator, denominator)
        enough = len(np.unique(index[used])) > 1
        draws[score.name] = score.scale * ratios(resampled[:, 2 * k : 2 * k + 2]) if enough else np.zeros(0)
    for score in scores:
        if score.average_of:
            parts = [values[name] for name in score.average_of]
            known = [part for part in parts if part is not None]
            values[score.name] = math.fsum(known) / len(known) if len(known) == len(parts) else None
            of_parts = [draws[name] for name in score.average_of]
            draws[score.name] = np.mean(of_parts, 0) if all(map(len, of_parts)) else np.zeros(0)
            counts[score.name] = max(counts[name] for name in score.average_of)
    return {
        score.name: Estimate(values[score.name], *interval(draws[score.name]), counts[score.name]) for score in scores
    }


def image_sums(names: Sequence[str], terms: Sequence[np.ndarray]) -> np.ndarray:
    """Sums of (N,) terms over the queries of each image, (I, K); NaN counts as 0."""
    images, index = np.unique(names, return_inverse=True)
    sums = np.zeros((len(images), len(terms)))
    for k, term in enumerate(terms):
        sums[:, k] = np.bincount(index, np.nan_to_num(term), len(images))
    return sums


def ratios(sums: np.ndarray) -> np.ndarray:
    """First over second column of (R, 2) sums, (R,); NaN where the second is 0."""
    over = sums[:, 1]
    return np.divide(sums[:, 0], over, out=np.full(len(sums), np.nan), where=over > 0)


def resampled_sums(
    sums: np.ndarray, seed: int = 0, resamples: int = RESAMPLES, draws_at_once: int = DRAWS_AT_ONCE
) -> np.ndarray:
    """Sums over bootstrap samples of images.

    Args:
        sums: (I, K) of each image.
        seed: seed of the draws.
        resamples: R.
        draws_at_once: most numbers to draw at a time; the sums do not depend on it.

    Returns:
        (R, K) float64.
    """
    images, rng = len(sums), np.random.default_rng(seed)
    made = np.zeros((resamples, sums.shape[1]))
    at_once = max(1, draws_at_once // max(images, 1))
    for start in range(0, resamples if images else 0, at_once):
        number = min(at_once, resamples - start)
        drawn = rng.integers(images, size=(number, images)) + images * np.arange(number)[:, None]
        times = np.bincount(drawn.ravel(), minlength=number * images).reshape(number, images)
        made[start : start + number] = times @ sums
    return made


def interval(draws: np.ndarray) -> tuple[float | None, float | None]:
    """Percentile interval of :data:`CONFIDENCE`; draws without a value are left out."""
    draws = draws[~np.isnan(draws)]
    if not len(draws):
        return None, None
    outside = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(draws, [outside, 100 - outside])
    return float(low), float(high)


def declaration(scores: Sequence[Score]) -> dict[str, dict[str, Any]]:
    """What the scores are, by name, for programs that read a summary.

    ``label``, ``rule`` and ``reduction`` are for people; ``declaration`` holds the arguments that make the same
    :class:`Score` again, None for an average of others.
    """
    declared = {}
    for score in scores:
        fields = {name: value for name, value in asdict(score).items() if name != 'average_of'}
        described = {'label': score.label, 'rule': score.rule, 'reduction': score.reduction}
        declared[score.name] = {**described, 'declaration': None if score.average_of else fields}
    return declared


def main_score(evaluator: Any) -> tuple[str, str]:
    """The score by which an evaluator's runs are ranked: the one that its first metric calls ``main``.

    Args:
        evaluator: MMEngine's evaluator, with ``metrics``; only those that declare ``scores`` count.

    Returns:
        its name among the results, and ``'greater'`` or ``'less'``.

    Raises:
        ConfigError: no metric declares a score.
    """
    metrics = [metric for metric in evaluator.metrics if getattr(metric, 'scores', ())]
    for metric, scores in zip(metrics, named_scores(metrics)):
        (main,) = (new for new, old in zip(scores, metric.scores) if old.name == (metric.main or metric.scores[0].name))
        return main.name, main.rule
    raise ConfigError("no metric of the evaluator declares a score; name one of its results with save_best='NAME'")


def score_rules(evaluator: Any) -> dict[str, str]:
    """``'greater'`` or ``'less'`` for every score that an evaluator's metrics declare, by its name in the results."""
    metrics = [metric for metric in evaluator.metrics if getattr(metric, 'scores', ())]
    return {score.name: score.rule for scores in named_scores(metrics) for score in scores}


def named_scores(metrics: Sequence[Any]) -> list[list[Score]]:
    """The scores of several metrics under the names of their results, which differ.

    A metric's ``prefix`` stands before its names and columns. A name that several metrics give gets the metric's own
    ``name`` in front.

    Raises:
        ConfigError: two metrics would write the same column; one needs a prefix.
    """
    named = [[score.renamed(metric.prefix or '') for score in metric.scores] for metric in metrics]
    columns = [{score.column for score in scores} for scores in named]
    for k, written in enumerate(columns):
        for other in columns[:k]:
            if written & other:
                raise ConfigError(
                    f'two metrics of kind {type(metrics[k]).__name__} write the column {min(written & other)}; '
                    'give one of them a prefix'
                )
    every = [score.name for scores in named for score in scores]
    shared = {name for name in every if every.count(name) > 1}

    def unique(metric: Any, name: str) -> str:
        return f'{metric.name}/{name}' if name in shared else name

    return [
        [
            replace(
                score,
                name=unique(metric, score.name),
                average_of=tuple(unique(metric, name) for name in score.average_of),
            )
            for score in scores
        ]
        for metric, scores in zip(metrics, named)
    ]


def _numbers(rows: Sequence[Row], column: str) -> np.ndarray:
    values = (row.get(column) for row in rows)
    return np.array([math.nan if value in (None, '') else _number(value) for value in values], np.float64)


def _number(value: Any) -> float:
    """Read a value from a row in memory, or from a CSV file, where True is written out."""
    return float({'True': 1, 'False': 0}.get(value, value)) if isinstance(value, str) else float(value)
