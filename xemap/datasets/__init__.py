"""Data: annotation files, the data set, its transforms and samplers, MCMG targets.

Names are imported on first use, so that what needs no torch (:func:`correlation_map`, annotation
files) does not pay for it.
"""

# No "from __future__ import annotations" here: it would hide the submodule of that name.
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xemap.datasets.annotations import AnnotationFile, write_annotations
    from xemap.datasets.mcmg import correlation_map, correlation_maps
    from xemap.datasets.samplers import PairBatchSampler
    from xemap.datasets.xemap_dataset import XeMapDataset

_HOME = {
    'AnnotationFile': 'annotations',
    'PairBatchSampler': 'samplers',
    'XeMapDataset': 'xemap_dataset',
    'correlation_map': 'mcmg',
    'correlation_maps': 'mcmg',
    'write_annotations': 'annotations',
}

__all__ = [
    'AnnotationFile',
    'PairBatchSampler',
    'XeMapDataset',
    'correlation_map',
    'correlation_maps',
    'write_annotations',
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'{__name__}.{_HOME[name]}'), name)
