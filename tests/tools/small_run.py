"""A config of a real network, data set, transforms and metric, small enough for tests."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tests.models.localizers.crobim.test_crobim import tiny_crobim
from tests.models.localizers.mlcm.tiny import tiny_mlcm
from tests.models.tiny import tiny_network
from xemap.datasets.annotations import write_annotations
from xemap.structures import ImageRecord, PolygonRegion, Query

ROOT = Path(__file__).resolve().parents[2]

FROZEN = dict(frozen=('language_model',))  # dropout of the text encoder would differ between ranks

NETWORKS = {
    'map': lambda: tiny_network().to_dict(),
    'mask': lambda: {**_norms_frozen(tiny_crobim()), **FROZEN},
    'box': lambda: {
        **_norms_frozen(tiny_mlcm(text_width=None, num_added=1, grid=(4, 4)).to_dict()),
        **FROZEN,
        'language_model': dict(type='WordSentenceEncoder', name='minilm'),
    },
}
TASKS = {
    'map': (32, 'GenerateMaps', 'SeLoMetric'),
    'mask': (64, 'GenerateMasks', 'MaskMetric'),
    'box': (64, 'GenerateBoxes', 'BoxMetric'),
}
"""Side of the images, target and metric of each form."""


def _norms_frozen(model: dict) -> dict:
    """Statistics of a batch would differ between ranks."""
    return {**model, 'backbone': {**model['backbone'], 'norm_eval': True}}


CONFIG = """
_base_ = '{root}/configs/_base_/default_runtime.py'
model = {model}
train_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='PairBatchSampler', pairs_per_batch=4),
    dataset=dict(type='XeMapDataset', ann_file='{folder}/all.arrow', data_root='{folder}', max_queries=2, pipeline=[
        dict(type='LoadImage'), dict(type='ResizeImage', size=({side}, {side})),
        dict(type='RandomFlip', prob=0.5, direction=['horizontal', 'vertical']), dict(type='PhotometricAugment'),
        dict(type='{target}'), dict(type='PackXeMapInputs')]))
val_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(type='XeMapDataset', ann_file='{folder}/all.arrow', data_root='{folder}', test_mode=True, pipeline=[
        dict(type='LoadImage'), dict(type='ResizeImage', size=({side}, {side})), dict(type='PackXeMapInputs')]))
test_dataloader = val_dataloader
val_evaluator = dict(type='{metric}', with_bounds=False)
test_evaluator = dict(type='{metric}')
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper', constructor='TrainableParamsConstructor', optimizer=dict(type='AdamW', lr=1e-3),
    clip_grad=dict(max_norm=0.1))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=True, begin=0, end=1, convert_to_iter_based=True),
    dict(type='PolyLR', power=1.0, by_epoch=True, begin=1, end=4, convert_to_iter_based=True)]
auto_scale_lr = dict(enable=False, base_batch_size=4)
default_hooks = dict(draw=dict(num_queries=2))
"""


def write_run(folder: Path, form: str = 'map') -> Path:
    """Five images with 1 to 3 queries each, and a config that trains and tests a network of this form on them."""
    rng = np.random.default_rng(0)
    records = []
    for i in range(5):
        image = rng.integers(0, 120, (40, 56, 3)).astype(np.uint8)
        image[5 + i : 20 + i, 10:30] = (40, 200, 90)
        cv2.imwrite(str(folder / f'{i}.png'), image)
        square = [(10, 5 + i), (29, 5 + i), (29, 19 + i), (10, 19 + i)]
        texts = ['the field in the top left corner', 'a green field', 'the meadow next to the river'][: 1 + i % 3]
        queries = [Query(text, PolygonRegion([square]), kind='one-hop', hops=1, referents=1) for text in texts]
        records.append(ImageRecord(f'{i}.png', 56, 40, 'small', queries))
    write_annotations(folder / 'all.arrow', records)
    path = folder / 'small.py'
    side, target, metric = TASKS[form]
    values = dict(model=NETWORKS[form](), side=side, target=target, metric=metric)
    path.write_text(CONFIG.format(root=ROOT, folder=folder, **values))
    return path
