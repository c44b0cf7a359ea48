"""The SeLo metrics as an mmengine metric."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import numpy as np
from mmengine.dist import all_gather_object, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from xemap.errors import ConfigError, DataError
from xemap.evaluation.functional.selo import PROTOCOLS
from xemap.evaluation.report import (
    BOUNDS,
    SCORES,
    UNKNOWN,
    Row,
    format_table,
    merge_rows,
    region_size_bin,
    summarize,
    write_rows_csv,
    write_summary_json,
)
from xemap.evaluation.scoring import ScoringTask, score_task, to_original_size
from xemap.evaluation.workers import ScoringPool
from xemap.registry import METRICS
from xemap.structures import Query

_NEEDED = ('answers', 'queries', 'query_ids', 'ori_shape', 'sample_idx', 'source', 'img_path')


@METRICS.register_module()
class SeLoMetric(BaseMetric):
    """Scores every predicted map at its image's original size and reports the means.

    A map is scored as soon as it arrives and only a row of numbers is kept, so memory holds one map
    at a time, at full size; with ``workers``, one in each of them, while the model goes on, and some
    that wait (see :class:`~xemap.evaluation.workers.ScoringPool`). The rows are the same. Over several
    ranks every query counts once, however the sampler distributed or padded the images.

    Results (under ``prefix/`` where one is given): ``rmi``, ``rsu``, ``ras``, ``rda``, ``queries``,
    ``unscored``; with bounds ``floor/rmi`` … ``ceiling/rda``; where kinds are known
    ``kind/<kind>/rmi``. A table with all groups goes to the log.

    Args:
        protocol: ``'reference'`` or ``'paper'``, see :mod:`xemap.evaluation.functional.selo`.
        with_bounds: score a uniform map and the true mask on the same queries, too. Each query's bounds
            are computed once and kept over repeated validations.
        min_region_area: of a region that is a mask, components smaller than this share of the image
            are no regions of their own in Ras and Rda (they stay in the mask of Rsu), lest every
            speckle of a segmentation asks for its own centre of attention. Where all are smaller, the
            largest counts. Annotated polygons are never left out.
        outfile_prefix: where to write ``<prefix>.queries.csv`` and ``<prefix>.summary.json``; None
            writes nothing.
        prefix: put before the names of the results.
        workers: processes a rank that score; 0 = score in this one, between the model's steps. They start
            with the first map of an evaluation and end with it.
    """

    default_prefix = ''

    def __init__(
        self,
        protocol: str = 'reference',
        with_bounds: bool = True,
        min_region_area: float = 1e-5,
        outfile_prefix: str | None = None,
        prefix: str | None = None,
        workers: int = 0,
    ) -> None:
        super().__init__(prefix=prefix)
        if protocol not in PROTOCOLS:
            raise ConfigError(f'SeLoMetric: protocol "{protocol}" is unknown; use one of {", ".join(PROTOCOLS)}')
        if not 0 <= min_region_area <= 1:
            raise ConfigError(f'SeLoMetric: min_region_area is {min_region_area}; give a share of the image in [0, 1]')
        if not isinstance(workers, int) or workers < 0:
            raise ConfigError(f'SeLoMetric: workers={workers!r}; give a number of processes, 0 for none')
        self.protocol = protocol
        self.with_bounds = with_bounds
        self.min_region_area = min_region_area
        self.outfile_prefix = outfile_prefix
        self.workers = workers
        self._pool: ScoringPool | None = None
        self._bounds: dict[tuple[int, int], dict[str, float]] = {}

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Score predicted samples.

        Args:
            data_batch: not used.
            data_samples: :class:`~xemap.structures.XeMapDataSample` as dicts, with ``answers``
                of any form and resolution, one for each of ``queries``.

        Raises:
            DataError: a sample lacks a key, or its maps do not fit its queries. With ``workers``, that a map
                cannot be scored may come to light in a later call, or in :meth:`evaluate`.
            XeMapError: a worker died.
        """
        with self._ending_pool_on_error():
            for sample in data_samples:
                self._process(sample)

    def evaluate(self, size: int) -> dict[str, float]:
        """Gather the rows of all ranks and compute the results, on every rank the same.

        Args:
            size: number of images. Not used: mmengine cuts the gathered results to it after dealing
                them out in turn, which loses rows where an image has several or ranks differ.
        """
        if self._pool is not None:
            with self._ending_pool_on_error():
                self._keep(self._pool.finish())
            self._end_pool()
        rows = [row for part in all_gather_object(self.results) for row in part]
        self.results.clear()
        metrics = self.compute_metrics(rows)
        return {f'{self.prefix}/{name}': value for name, value in metrics.items()} if self.prefix else metrics

    def compute_metrics(self, results: list[Row]) -> dict[str, float]:
        """Means over rows in any order, with or without duplicates.

        Raises:
            DataError: there is nothing to average.
        """
        rows = merge_rows(results)
        if not rows:
            raise DataError('SeLoMetric: no query was evaluated; the data set is empty or no image of it has a query')
        summary = {'protocol': self.protocol, **summarize(rows)}
        if is_main_process():
            self._report(rows, summary)
        overall = summary['overall']
        if not overall['queries']:
            reasons = ', '.join(f'{count} x {reason}' for reason, count in summary['problems'].items())
            raise DataError(f'SeLoMetric: none of {len(rows)} queries could be scored ({reasons}); check the regions')
        metrics = {key: overall[key] for key in (*SCORES, 'queries', 'unscored')}
        for bound in BOUNDS:
            if bound in summary:
                metrics.update({f'{bound}/{score}': summary[bound][score] for score in SCORES})
        for kind, values in summary['by_kind'].items():
            if kind != UNKNOWN and values['queries']:
                metrics[f'kind/{kind}/rmi'] = values['rmi']
        return metrics

    def _report(self, rows: list[Row], summary: dict[str, Any]) -> None:
        table = format_table(summary, title=f'SeLo metrics, protocol {self.protocol}')
        print_log(f'\n{table}', logger='current')
        if self.outfile_prefix is not None:
            write_rows_csv(rows, f'{self.outfile_prefix}.queries.csv')
            write_summary_json(summary, f'{self.outfile_prefix}.summary.json')
            print_log(f'wrote {self.outfile_prefix}.queries.csv and .summary.json', logger='current')

    def _process(self, sample: dict) -> None:
        missing = [key for key in _NEEDED if key not in sample]
        if missing:
            raise DataError(
                f'SeLoMetric: sample {sample.get("img_path", "")} lacks {", ".join(missing)}; '
                'the pipeline must end in PackXeMapInputs and the model must predict'
            )
        answers, queries = sample['answers'], sample['queries']
        if len(answers) != len(queries) or len(answers) != len(sample['query_ids']):
            raise DataError(f'{sample["img_path"]}: {len(answers)} answers for {len(queries)} queries')
        size = tuple(sample['ori_shape'][:2])
        for query_id, query, answer in zip(sample['query_ids'], queries, answers):
            map = answer.maps(size if answer.form == 'box' else None)[0]
            self._score(_known(sample, int(query_id), query), query, map, size)

    def _score(self, known: Row, query: Query, pred: np.ndarray, size: tuple[int, int]) -> None:
        with_bounds = self.with_bounds and _key(known) not in self._bounds
        if self.workers and pred.shape == size:
            with _naming(known):
                pred = to_original_size(pred, size)  # a quarter of the bytes to send
        task = ScoringTask(pred, query.region, size, self.protocol, self.min_region_area, with_bounds)
        if not self.workers:
            with _naming(known):
                self._add(known, score_task(task))
            return
        if self._pool is None:
            self._pool = ScoringPool(self.workers)
        self._keep(self._pool.submit(known, task))

    def _keep(self, finished: list[tuple[Row, Future]]) -> None:
        for known, future in finished:
            with _naming(known):
                self._add(known, future.result())

    def _add(self, known: Row, result: dict[str, Any]) -> None:
        bounds: dict[str, float | None] = {f'{bound}_{score}': None for bound in BOUNDS for score in SCORES}
        if self.with_bounds:
            if result['bounds'] is not None:
                self._bounds[_key(known)] = result['bounds']
            bounds.update(self._bounds[_key(known)])
        share = result['share']
        region = {'area_share': share, 'region_size': region_size_bin(share)}
        self.results.append({**known, **region, **result['scores'], **bounds})

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


def _known(sample: dict, query_id: int, query: Query) -> Row:
    """What a row says of a query, whatever its map."""
    return {
        'sample_idx': int(sample['sample_idx']),
        'query_id': query_id,
        'image': str(sample['img_path']),
        'source': sample['source'],
        'text': query.text,
        'category': query.category,
        'kind': query.kind,
        'hops': query.hops,
        'referents': query.referents,
        'multi_hop': query.multi_hop,
        'multi_ref': query.multi_ref,
    }


def _key(row: Row) -> tuple[int, int]:
    return row['sample_idx'], row['query_id']


@contextmanager
def _naming(row: Row) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise DataError(f'{row["image"]}, query "{row["text"]}": {error}') from error
