"""How well an answer fits its query: metrics of maps, masks and boxes, their bounds, and reports of them.

The functions need numpy, OpenCV, shapely and rich only; the metrics, which mmengine's evaluator calls, are imported
on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from xemap.evaluation.functional.centers import attention_centers
from xemap.evaluation.functional.overlap import box_metrics, mask_metrics
from xemap.evaluation.functional.selo import (
    PROTOCOLS,
    SeloTarget,
    bound_metrics,
    ceiling_map,
    floor_map,
    score_map,
    selo_metrics,
    selo_target,
    to_gray8,
)
from xemap.evaluation.report import (
    format_table,
    merge_rows,
    region_size_bin,
    summarize,
    write_rows_csv,
)
from xemap.evaluation.scores import Score, main_score

if TYPE_CHECKING:
    from xemap.evaluation.evaluator import QueryEvaluator
    from xemap.evaluation.metrics.base import QueryMetric
    from xemap.evaluation.metrics.box import BoxMetric
    from xemap.evaluation.metrics.mask import MaskMetric
    from xemap.evaluation.metrics.minimal_pairs import MinimalPairMetric
    from xemap.evaluation.metrics.retrieval import RetrievalMetric
    from xemap.evaluation.metrics.selo import SeLoMetric

_NEEDS_TORCH = {
    'BoxMetric': 'metrics.box',
    'MaskMetric': 'metrics.mask',
    'MinimalPairMetric': 'metrics.minimal_pairs',
    'QueryEvaluator': 'evaluator',
    'QueryMetric': 'metrics.base',
    'RetrievalMetric': 'metrics.retrieval',
    'SeLoMetric': 'metrics.selo',
}

__all__ = [
    'PROTOCOLS',
    'BoxMetric',
    'MaskMetric',
    'MinimalPairMetric',
    'QueryEvaluator',
    'QueryMetric',
    'RetrievalMetric',
    'Score',
    'SeLoMetric',
    'SeloTarget',
    'attention_centers',
    'bound_metrics',
    'box_metrics',
    'ceiling_map',
    'floor_map',
    'format_table',
    'main_score',
    'mask_metrics',
    'merge_rows',
    'region_size_bin',
    'score_map',
    'selo_metrics',
    'selo_target',
    'summarize',
    'to_gray8',
    'write_rows_csv',
]


def __getattr__(name: str) -> Any:
    if name not in _NEEDS_TORCH:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'{__name__}.{_NEEDS_TORCH[name]}'), name)
