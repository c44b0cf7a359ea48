"""The last step of every pipeline."""

from __future__ import annotations

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from xemap.datasets.transforms.targets import targets_in
from xemap.registry import TRANSFORMS
from xemap.structures.data_sample import XeMapDataSample

_META = (
    'img_path',
    'ori_shape',
    'img_shape',
    'content',
    'source',
    'sample_idx',
    'query_ids',
    'flip',
    'flip_direction',
    'quarter_turns',
    'crop',
)


@TRANSFORMS.register_module()
class PackXeMapInputs(BaseTransform):
    """Turn the pipeline's dictionary into what the model takes, with every target: each key that begins with ``gt_``.

    Returns:
        ``{'inputs': uint8 tensor (3, H, W) RGB, 'data_samples': XeMapDataSample}``.
    """

    def transform(self, results: dict) -> dict:
        sample = XeMapDataSample(metainfo={key: results[key] for key in _META if key in results})
        sample.queries = list(results['queries'])
        sample.texts = [query.text for query in results['queries']]
        for key in targets_in(results):
            sample.set_data({key: torch.from_numpy(results[key])})
        channels_first = np.ascontiguousarray(results['img'].transpose(2, 0, 1))
        return {'inputs': torch.from_numpy(channels_first), 'data_samples': sample}

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
