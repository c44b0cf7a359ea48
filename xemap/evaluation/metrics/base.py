"""The metric of everything that answers queries: one row per query, each query once over all ranks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from mmengine.dist import all_gather_object
from mmengine.evaluator import BaseMetric

from xemap.errors import ConfigError, DataError
from xemap.evaluation.report import merge_rows, query_row, region_size_bin, summarize
from xemap.evaluation.results import report
from xemap.evaluation.scores import Row, Score
from xemap.evaluation.scoring import Scorer, ScoringTask, gray_map, score_task
from xemap.evaluation.workers import ScoringPool
from xemap.structures import Query, Region
from xemap.structures.answers import Answers

_NEEDED = ('answers', 'queries', 'query_ids', 'ori_shape', 'sample_idx', 'source', 'img_path')


class QueryMetric(BaseMetric):
    """Scores every answer at its image's original size and keeps a row of numbers per query.

    A subclass declares its class attributes and gives ``scorer``, which makes the columns of a query's row; the rest is
    here: workers, ranks, groups, intervals, tables and files. An answer is scored as soon as it arrives, so memory
    holds one at a time at full size; with ``workers``, one in each of them, while the model goes on, and some that wait
    (see :class:`~xemap.evaluation.workers.ScoringPool`). Rows are the same. Over several ranks every query counts once,
    however the sampler distributed or padded the images.

    Results, under ``prefix/`` where one is given: every score of ``scores``; ``queries`` and ``unscored``, numbers of
    queries; ``floor/NAME`` … of each of ``references``; ``kind/KIND/NAME`` of the first score.

    Attributes:
        name: in the names of results that several metrics give.
        title: title of its table.
        form: the form of answers that it scores, ``'map'``, ``'mask'`` or ``'box'``.
        scores: what it measures; a query for which the first has no value counts as unscored.
        main: name of the score that ranks runs; '' = the first.
        references: answers that any method can be compared with; column prefix -> name in tables.
        protocols: values that ``protocol`` may have; the first is the default. None where there is no choice.
        protocol: the one it uses.

    Args:
        scorer: makes the columns of a query's row; None in a subclass that overrides :meth:`_process`.
        with_references: score ``references`` on the same queries, too. They are computed once per query and kept over
            repeated validations.
        outfile_prefix: where to write ``PREFIX.queries.csv`` and ``PREFIX.summary.json``; metrics with the same one
            share the files. None writes nothing.
        prefix: put before the names of results and columns.
        workers: processes per rank that score; 0 = score in this one, between the model's steps. They start with the
            first answer of an evaluation and end with it.
    """

    default_prefix = ''
    name: ClassVar[str]
    title: ClassVar[str]
    form: ClassVar[str]
    scores: tuple[Score, ...]
    main: ClassVar[str] = ''
    references: Mapping[str, str] = {}
    protocols: ClassVar[tuple[str, ...]] = ()
    protocol: str = ''

    def __init__(
        self,
        scorer: Scorer | None,
        with_references: bool = True,
        outfile_prefix: str | None = None,
        prefix: str | None = None,
        workers: int = 0,
    ) -> None:
        super().__init__(prefix=prefix)
        if not isinstance(workers, int) or workers < 0:
            raise ConfigError(f'{type(self).__name__}: workers={workers!r}; give a number of processes, 0 for none')
        self.scorer = scorer
        self.with_references = with_references
        self.outfile_prefix = outfile_prefix
        self.workers = workers
        self.rows: list[Row] = []
        self._pool: ScoringPool | None = None
        self._kept: dict[tuple, tuple[Region, Row]] = {}

    @property
    def heading(self) -> str:
        """What stands above the table."""
        return self.title

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Score predicted samples.

        Args:
            data_batch: not used.
            data_samples: :class:`~xemap.structures.XeMapDataSample` as dicts, with ``answers`` to each of ``queries``.

        Raises:
            DataError: a sample lacks a key, or its answers do not fit its queries. With ``workers``, that an answer
                cannot be scored may come to light in a later call, or in :meth:`evaluate`.
            XeMapError: a worker died.
        """
        with self._ending_pool_on_error():
            for sample in data_samples:
                self._process(sample)

    def evaluate(self, size: int) -> dict[str, float]:
        """Gather the rows of all ranks, report and return the results, on every rank the same.

        Args:
            size: number of images. Not used: mmengine cuts the gathered results to it after dealing them out in turn,
                which loses rows where an image has several or ranks differ.

        Raises:
            DataError: there is nothing to score.
        """
        return report([(self, self.gather())])

    def gather(self) -> list[Row]:
        """Rows of all ranks, each query once, in the order of the data set; ends the evaluation.

        Raises:
            DataError: no query was evaluated.
        """
        if self._pool is not None:
            with self._ending_pool_on_error():
                self._keep(self._pool.finish())
            self._end_pool()
        self.rows = merge_rows(row for part in all_gather_object(self.results) for row in part)
        self.results.clear()
        if not self.rows:
            raise DataError(
                f'{type(self).__name__}: no query was evaluated; the data set is empty or no image of it has a query'
            )
        return self.rows

    def compute_metrics(self, results: list[Row]) -> dict[str, float]:
        """Results of rows in any order, with or without duplicates, as :meth:`evaluate` returns them."""
        return report([(self, merge_rows(results))])

    def summarize(self, rows: Sequence[Row], scores: Sequence[Score]) -> dict[str, Any]:
        """A summary of rows, see :func:`xemap.evaluation.report.summarize`.

        Args:
            rows: the result of :meth:`gather`.
            scores: the metric's own, under the names that they have among several metrics.
        """
        references = self.references if self.with_references else {}
        return summarize(rows, scores, {key: self._reference_scores(key, scores) for key in references})

    def _reference_scores(self, key: str, named: Sequence[Score]) -> list[Score]:
        """Scores of a reference answer's columns under the names of the metric's own."""
        columns = [score.of_columns(key) for score in self.scores]
        if self.prefix:
            columns = [score.of_columns(self.prefix) for score in columns]
        return [replace(score, name=new.name, average_of=new.average_of) for score, new in zip(columns, named)]

    def _process(self, sample: dict) -> None:
        missing = [key for key in _NEEDED if key not in sample]
        if missing:
            raise DataError(
                f'{type(self).__name__}: sample {sample.get("img_path", "")} lacks {", ".join(missing)}; '
                'the pipeline must end in PackXeMapInputs and the model must predict'
            )
        answers, queries = sample['answers'], sample['queries']
        if len(answers) != len(queries) or len(answers) != len(sample['query_ids']):
            raise DataError(f'{sample["img_path"]}: {len(answers)} answers for {len(queries)} queries')
        size = int(sample['ori_shape'][0]), int(sample['ori_shape'][1])
        for query_id, query, answer in zip(sample['query_ids'], queries, answers):
            self._score(query_row(sample, int(query_id), query), query, answer, size)

    def _score(self, known: Row, query: Query, answer: Any, size: tuple[int, int]) -> None:
        kept = self._kept.get(_key(known))
        missing = self.with_references and bool(self.references) and (kept is None or kept[0] != query.region)
        if self.workers and self.form == 'map' and isinstance(answer, Answers) and answer.size == size:
            with _naming(known):
                answer = gray_map(answer, size)  # a quarter of the bytes to send
        assert self.scorer is not None
        task = ScoringTask(self.scorer, answer, query, size, missing)
        if not self.workers:
            with _naming(known):
                self._add(known, query, score_task(task))
            return
        if self._pool is None:
            self._pool = ScoringPool(self.workers)
        self._keep(self._pool.submit((known, query), task))

    def _keep(self, finished: list[tuple[tuple[Row, Query], Future]]) -> None:
        for (known, query), future in finished:
            with _naming(known):
                self._add(known, query, future.result())

    def _add(self, known: Row, query: Query, columns: Row) -> None:
        problem = columns.pop('problem', None)
        share = columns.pop('area_share', None)
        marks = tuple(f'{name}_' for name in self.references)
        of_references = {name: value for name, value in columns.items() if name.startswith(marks)} if marks else {}
        if of_references:
            self._kept[_key(known)] = query.region, of_references
        elif self.with_references and self.references:
            columns |= self._kept.get(_key(known), (None, {}))[1]  # none where the query cannot be scored
        before = f'{self.prefix}_' if self.prefix else ''
        row = {**known, 'area_share': share, 'region_size': None if share is None else region_size_bin(share)}
        row |= {f'{before}{name}': None if _is_nan(value) else value for name, value in columns.items()}
        self.results.append({**row, 'problem': problem})

    @contextmanager
    def _ending_pool_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._end_pool()
            raise

    def _end_pool(self) -> None:
        if self._pool is not None:
            self._pool.close()
            self._pool = None


def _key(row: Row) -> tuple:
    return row['image'], row['sample_idx'], row['query_id'], row['text']


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and bool(np.isnan(value))


@contextmanager
def _naming(row: Row) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise DataError(f'{row["image"]}, query "{row["text"]}": {error}') from error
