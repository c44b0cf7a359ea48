"""The SeLo metrics as an mmengine metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmengine.dist import all_gather_object, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from xemap.errors import ConfigError, DataError
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
from xemap.evaluation.selo import PROTOCOLS, SeloTarget, bound_metrics, score_map, selo_target, to_gray8
from xemap.registry import METRICS
from xemap.structures import PolygonRegion, Query

_NEEDED = ('pred_maps', 'queries', 'query_ids', 'ori_shape', 'sample_idx', 'source', 'img_path')


@METRICS.register_module()
class SeLoMetric(BaseMetric):
    """Scores every predicted map at its image's original size and reports the means.

    A map is scored as soon as it arrives and only a row of numbers is kept, so memory holds one map
    at a time, at full size. Over several ranks every query counts once, however the sampler
    distributed or padded the images.

    Results (under ``prefix/`` where one is given): ``rmi``, ``rsu``, ``ras``, ``rda``, ``queries``,
    ``unscored``; with bounds ``floor/rmi`` … ``ceiling/rda``; where kinds are known
    ``kind/<kind>/rmi``. A table with all groups goes to the log.

    Args:
        protocol: ``'reference'`` or ``'paper'``, see :mod:`xemap.evaluation.selo`.
        with_bounds: score a uniform map and the true mask on the same queries, too. Each query's bounds
            are computed once and kept over repeated validations.
        min_region_area: of a region that is a mask, components smaller than this share of the image
            are no regions of their own in Ras and Rda (they stay in the mask of Rsu), lest every
            speckle of a segmentation asks for its own centre of attention. Where all are smaller, the
            largest counts. Annotated polygons are never left out.
        outfile_prefix: where to write ``<prefix>.queries.csv`` and ``<prefix>.summary.json``; None
            writes nothing.
        prefix: put before the names of the results.
    """

    default_prefix = ''

    def __init__(
        self,
        protocol: str = 'reference',
        with_bounds: bool = True,
        min_region_area: float = 1e-5,
        outfile_prefix: str | None = None,
        prefix: str | None = None,
    ) -> None:
        super().__init__(prefix=prefix)
        if protocol not in PROTOCOLS:
            raise ConfigError(f'SeLoMetric: protocol "{protocol}" is unknown; use one of {", ".join(PROTOCOLS)}')
        if not 0 <= min_region_area <= 1:
            raise ConfigError(f'SeLoMetric: min_region_area is {min_region_area}; give a share of the image in [0, 1]')
        self.protocol = protocol
        self.with_bounds = with_bounds
        self.min_region_area = min_region_area
        self.outfile_prefix = outfile_prefix
        self._bounds: dict[tuple[int, int], dict[str, float | None]] = {}

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Score predicted samples.

        Args:
            data_batch: not used.
            data_samples: :class:`~xemap.structures.XeMapDataSample` as dicts, with ``pred_maps`` (Q, h, w)
                in [0, 1] of any resolution, one for each of ``queries``.

        Raises:
            DataError: a sample lacks a key, or its maps do not fit its queries.
        """
        for sample in data_samples:
            missing = [key for key in _NEEDED if key not in sample]
            if missing:
                raise DataError(
                    f'SeLoMetric: sample {sample.get("img_path", "")} lacks {", ".join(missing)}; '
                    'the pipeline must end in PackXeMapInputs and the model must predict'
                )
            maps, queries = sample['pred_maps'], sample['queries']
            if len(maps) != len(queries) or len(maps) != len(sample['query_ids']):
                raise DataError(f'{sample["img_path"]}: {len(maps)} maps for {len(queries)} queries')
            for query_id, query, pred in zip(sample['query_ids'], queries, maps):
                try:
                    self.results.append(self._row(sample, int(query_id), query, pred))
                except DataError as error:
                    raise DataError(f'{sample["img_path"]}, query "{query.text}": {error}') from error

    def evaluate(self, size: int) -> dict[str, float]:
        """Gather the rows of all ranks and compute the results, on every rank the same.

        Args:
            size: number of images. Not used: mmengine cuts the gathered results to it after dealing
                them out in turn, which loses rows where an image has several or ranks differ.
        """
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

    def _row(self, sample: dict, query_id: int, query: Query, pred: Any) -> Row:
        height, width = sample['ori_shape'][:2]
        gray = to_original_size(pred, (height, width))
        target = self._target(query, (height, width))
        scores = score_map(gray, target)
        share = target.pixels / (height * width)
        key = int(sample['sample_idx']), query_id
        return {
            'sample_idx': key[0],
            'query_id': key[1],
            'image': str(sample['img_path']),
            'source': sample['source'],
            'text': query.text,
            'category': query.category,
            'kind': query.kind,
            'hops': query.hops,
            'referents': query.referents,
            'multi_hop': query.multi_hop,
            'multi_ref': query.multi_ref,
            'area_share': share,
            'region_size': region_size_bin(share),
            **{score: scores[score] for score in SCORES},
            'centers': len(scores['centers']),
            'problem': scores['problem'],
            **self._bounds_of(key, target),
        }

    def _target(self, query: Query, size: tuple[int, int]) -> SeloTarget:
        region = query.region
        if isinstance(region, PolygonRegion):
            return selo_target(region.polygons(size), size, self.protocol)
        outlines = region.polygons(size, self.min_region_area * size[0] * size[1])
        if not outlines:
            every = region.polygons(size)
            outlines = [max(every, key=lambda outline: cv2.contourArea(outline.astype(np.float32)))] if every else []
        return selo_target(outlines, size, self.protocol, mask=region.mask(size))

    def _bounds_of(self, key: tuple[int, int], target: SeloTarget) -> dict[str, float | None]:
        names = [(bound, score) for bound in BOUNDS for score in SCORES]
        if not self.with_bounds:
            return {f'{bound}_{score}': None for bound, score in names}
        if key not in self._bounds:
            bounds = bound_metrics(target)
            self._bounds[key] = {f'{bound}_{score}': bounds[bound][score] for bound, score in names}
        return dict(self._bounds[key])


def to_original_size(pred: Any, size: tuple[int, int]) -> np.ndarray:
    """A predicted map, tensor or array of (h, w), as (H, W) uint8 by bilinear interpolation."""
    array = pred if isinstance(pred, np.ndarray) else pred.detach().float().cpu().numpy()
    if array.ndim != 2:
        raise DataError(f'map of shape {array.shape}; the model must set pred_maps of shape (queries, h, w)')
    if array.shape == size:
        return to_gray8(array)
    return to_gray8(cv2.resize(array.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR))
