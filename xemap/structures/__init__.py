"""Queries, regions, answers and samples.

``XeMapDataSample`` is imported on first use: it needs torch, the others do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xemap.structures.answers import FORMS, Answers, BoxAnswers, MapAnswers, MaskAnswers
from xemap.structures.query import QUERY_KINDS, ImageRecord, Query
from xemap.structures.region import MaskRegion, PolygonRegion, Region

if TYPE_CHECKING:
    from xemap.structures.data_sample import XeMapDataSample

__all__ = [
    'FORMS',
    'QUERY_KINDS',
    'Answers',
    'BoxAnswers',
    'ImageRecord',
    'MapAnswers',
    'MaskAnswers',
    'MaskRegion',
    'PolygonRegion',
    'Query',
    'Region',
    'XeMapDataSample',
]


def __getattr__(name: str) -> Any:
    if name == 'XeMapDataSample':
        from xemap.structures.data_sample import XeMapDataSample

        return XeMapDataSample
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
