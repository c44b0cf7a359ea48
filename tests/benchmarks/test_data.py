"""What is measured of the training pipeline."""

from __future__ import annotations

import cv2
import pytest
import torch
from benchmarks.data import benchmark_data, pipeline_size, training_pipeline
from benchmarks.timing import WARMUP

from tests.benchmarks.toy import SIZE, config
from xemap.datasets.xemap_dataset import XeMapDataset


def test_each_pass_reads_every_scene_in_an_epoch_of_its_own(monkeypatch):
    seen, get = [], XeMapDataset.__getitem__

    def spy(self, index):
        sample = get(self, index)
        assert torch.get_num_threads() == cv2.getNumThreads() == 1
        seen.append((index, tuple(sample['data_samples'].gt_maps.shape)))
        return sample

    monkeypatch.setattr(XeMapDataset, '__getitem__', spy)
    result = benchmark_data(config(max_queries=3), (24, 40), 1, scenes=2, scene_sizes=(256,))
    passes = [[(epoch, index) for index in range(2)] for epoch in range(WARMUP + 1)]
    assert [index for index, _ in seen] == sum(passes, [])
    assert {shape for _, shape in seen} == {(3, 24, 40)}
    assert result['scenes'] == 2 and result['queries_per_sample'] == 3
    assert result['samples_per_s'] == pytest.approx(2 / result['pass']['median_s'])


def test_size():
    assert pipeline_size(config()) == SIZE
    assert training_pipeline(config(), (8, 9))[1]['size'] == (8, 9)
    assert training_pipeline(config())[1]['size'] == SIZE
