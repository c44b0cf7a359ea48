"""How well an answer fits its query: metrics of maps, masks and boxes, their bounds, and reports of them.

The functions need numpy, OpenCV and rich only; :class:`SeLoMetric`, which mmengine's evaluator calls,
is imported when it is asked for.
"""

from __future__ import annotations

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
    write_summary_json,
)

if TYPE_CHECKING:
    from xemap.evaluation.metrics.selo import SeLoMetric

__all__ = [
    'PROTOCOLS',
    'SeLoMetric',
    'SeloTarget',
    'attention_centers',
    'bound_metrics',
    'box_metrics',
    'ceiling_map',
    'floor_map',
    'format_table',
    'mask_metrics',
    'merge_rows',
    'region_size_bin',
    'score_map',
    'selo_metrics',
    'selo_target',
    'summarize',
    'to_gray8',
    'write_rows_csv',
    'write_summary_json',
]


def __getattr__(name: str) -> Any:
    if name == 'SeLoMetric':  # brings torch and mmengine along
        from xemap.evaluation.metrics.selo import SeLoMetric

        return SeLoMetric
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
