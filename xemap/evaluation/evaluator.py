"""Several metrics on one run: one row per query with the columns of all, and one summary."""

from __future__ import annotations

from typing import Any

from mmengine.evaluator import Evaluator

from xemap.evaluation.metrics.base import QueryMetric
from xemap.evaluation.report import join_rows
from xemap.evaluation.results import report
from xemap.evaluation.scores import Row


class QueryEvaluator(Evaluator):
    """As mmengine's ``Evaluator``; metrics of queries report together.

    Attributes:
        rows: after :meth:`evaluate`, one row per query with the columns of all metrics.
        run: what a summary says of the run, see :func:`~xemap.evaluation.provenance.describe_run`.
    """

    def __init__(self, metrics: Any) -> None:
        super().__init__(metrics)
        self.rows: list[Row] = []
        self.run: dict[str, Any] | None = None

    def evaluate(self, size: int) -> dict[str, float]:
        results: dict[str, float] = {}
        of_queries = [(metric, metric.gather()) for metric in self.metrics if isinstance(metric, QueryMetric)]
        if of_queries:
            self.rows = join_rows([rows for _, rows in of_queries])
            results |= report(of_queries, self.run)
        for metric in self.metrics:
            if not isinstance(metric, QueryMetric):
                results |= metric.evaluate(size)
        return results
