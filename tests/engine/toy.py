"""A model and a data set so small that a training takes a second, with the contracts of the real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from mmdet.utils import reduce_mean
from mmengine.model import BaseModel
from torch import nn

from xemap.errors import DataError
from xemap.registry import DATASETS, MODELS
from xemap.structures import MapAnswers, PolygonRegion, Query, XeMapDataSample

SIZE = 16


@DATASETS.register_module(force=True)
class ToyDataset:
    """Image i has 1 + i % 3 queries; the square that a query means is drawn into the image."""

    metainfo = {'name': 'toy'}

    def __init__(self, length: int = 7, seed: int = 0, test_mode: bool = False, broken: bool = False) -> None:
        self.length, self.seed, self.test_mode, self.broken = length, seed, test_mode, broken
        self.draw: tuple[int, int] | None = None

    def full_init(self) -> None:
        pass

    def seed_sample(self, epoch: int, position: int) -> None:
        self.draw = epoch, position

    def __len__(self) -> int:
        return self.length

    def query_counts(self) -> np.ndarray:
        return 1 + np.arange(self.length) % 3

    def get_data_info(self, index: int) -> dict:
        corners = [(2 * q + index % 3, 3 * q) for q in range(1 + index % 3)]
        polygons = [np.array([(x, y), (x + 5, y), (x + 5, y + 5), (x, y + 5)]) for x, y in corners]
        queries = [
            Query(
                f'square number {q} – Ω', PolygonRegion([p]),
                kind='attribute', category='square', distractors=PolygonRegion([p + 6]),
            )
            for q, p in enumerate(polygons)
        ]  # fmt: skip
        return {'sample_idx': index, 'queries': queries, 'query_ids': range(len(queries))}

    def __getitem__(self, index) -> dict:
        draw, self.draw = self.draw or (0, index), None
        if self.broken:
            raise DataError(f'image img_{index}.png is missing;\n  put it there')
        rng = np.random.default_rng([self.seed, *draw])
        queries = self.get_data_info(index)['queries']
        masks = np.stack([q.region.mask((SIZE, SIZE)) for q in queries]).astype(np.float32)
        noise = np.zeros((3, SIZE, SIZE)) if self.test_mode else rng.integers(0, 60, (3, SIZE, SIZE))
        image = (masks.max(0)[None] * 180 + noise).astype(np.uint8)
        sample = XeMapDataSample(
            metainfo=dict(
                img_path=f'img_{index}.png',
                ori_shape=(SIZE, SIZE),
                img_shape=(SIZE, SIZE),
                source='toy',
                sample_idx=index,
                query_ids=list(range(len(queries))),
            )
        )
        sample.queries, sample.texts = queries, [q.text for q in queries]
        if not self.test_mode:
            sample.gt_maps = torch.from_numpy(masks)
        return {'inputs': torch.from_numpy(image), 'data_samples': sample}


@MODELS.register_module(force=True)
class ToyModel(BaseModel):
    """A convolution with dropout, and a bias per query number."""

    def __init__(self, width: int = 4, dropout: float = 0.5, crash_at: int | None = None) -> None:
        super().__init__(data_preprocessor=dict(type='ImgDataPreprocessor', mean=[0] * 3, std=[255] * 3))
        self.body = nn.Conv2d(3, width, 3, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Conv2d(width, 1, 1)
        self.bias = nn.Parameter(torch.zeros(3))
        self.crash_at, self.calls = crash_at, 0

    def forward(self, inputs, data_samples, mode='tensor'):
        maps = self.head(self.dropout(self.body(inputs).relu()))[:, 0]
        per_sample = [m[None] + self.bias[: len(s.texts), None, None] for m, s in zip(maps, data_samples)]
        if mode == 'loss':
            self.calls += 1
            if self.crash_at == self.calls:
                raise KeyboardInterrupt
            targets = torch.cat([sample.gt_maps for sample in data_samples])
            pairs = reduce_mean(targets.new_tensor(float(len(targets))))
            share = targets.mean((1, 2), keepdim=True)
            balance = targets / share + (1 - targets) / (1 - share)
            errors = (torch.cat(per_sample).sigmoid() - targets).abs() * balance
            return {'loss': errors.mean((1, 2)).sum() / pairs}
        for sample, logits in zip(data_samples, per_sample):
            sample.answers = MapAnswers(logits.sigmoid())
        return data_samples


CONFIG = """
_base_ = '{runtime}'
custom_imports = dict(imports=['tests.engine.toy'])
model = dict(type='ToyModel')
train_dataloader = dict(
    num_workers={workers}, persistent_workers={workers} > 0,
    batch_sampler=dict(type='PairBatchSampler', pairs_per_batch=4), dataset=dict(type='ToyDataset'))
val_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(type='ToyDataset', length=5, test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(type='SeLoMetric', with_bounds=False)
test_evaluator = val_evaluator
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs={epochs}, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.05))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=3, by_epoch=False),
    dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True, end=5)]
auto_scale_lr = dict(enable=False, base_batch_size=16)
default_hooks = dict(logger=dict(interval=1), draw=dict(num_queries=2))
"""


def write_config(folder: Path, epochs: int = 2, workers: int = 0) -> Path:
    """A config file for the two."""
    runtime = Path(__file__).resolve().parents[2] / 'configs' / '_base_' / 'default_runtime.py'
    path = folder / 'toy.py'
    path.write_text(CONFIG.format(runtime=runtime, epochs=epochs, workers=workers))
    return path
