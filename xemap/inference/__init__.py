"""Images of any size and georeference in, maps, polygons, boxes and pictures out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xemap.inference.inferencer import XeMapInferencer
    from xemap.inference.result import Result

__all__ = ['Result', 'XeMapInferencer']


def __getattr__(name: str) -> Any:  # torch and MMDetection only when they are needed
    if name == 'XeMapInferencer':
        from xemap.inference.inferencer import XeMapInferencer

        return XeMapInferencer
    if name == 'Result':
        from xemap.inference.result import Result

        return Result
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
