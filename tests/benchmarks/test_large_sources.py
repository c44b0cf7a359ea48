"""The benchmark of large sources measures what it says."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks import timing
from benchmarks.large_sources import QUERIES, benchmark_large_sources, make_source
from mmengine.config import Config

from xemap.datasets.transforms import loading
from xemap.errors import ConfigError

PIPELINE = [
    dict(type='LoadImage'),
    dict(type='ResizeImage', size=(32, 48)),
    dict(type='GenerateMaps'),
    dict(type='PackXeMapInputs'),
]


def config(pipeline: list[dict]) -> Config:
    return Config(dict(train_dataloader=dict(dataset=dict(pipeline=pipeline))))


def test_every_source_is_read_whole_and_at_a_fraction(monkeypatch):
    pytest.importorskip('rasterio')
    seen, read = {}, loading.read_reduced

    def spy(path, stretch, at_least):
        image, size, extent = read(path, stretch, at_least)
        assert size == (800, 800)
        seen.setdefault((path.rpartition('/')[2], at_least), set()).add(image.shape[0])
        return image, size, extent

    monkeypatch.setattr(loading, 'read_reduced', spy)
    monkeypatch.setattr(timing, 'WARMUP', 0)
    result = benchmark_large_sources(config(PIPELINE), None, 1, side=800)
    assert seen == {
        (name, least): {800 if least is None else 100}
        for name in ('jpeg.jpg', 'geotiff.tif', 'geotiff_overviews.tif')
        for least in (None, 96)
    }
    assert (result['side'], result['at_least'], result['queries_per_sample']) == (800, 96, QUERIES)
    for name in ('jpeg', 'jpeg_masks', 'geotiff', 'geotiff_overviews'):
        of_source = result[name]
        for way in ('whole', 'reduced'):
            assert of_source[way]['samples_per_s'] == pytest.approx(1 / of_source[way]['median_s'])
        assert 0 < of_source['mean_difference'] < 3 and of_source['largest_difference'] < 30


def test_sources_have_detail_at_every_scale():
    image = make_source(512).astype(np.float32)
    assert image.std() > 10 and np.abs(np.diff(image, axis=0)).mean() > 1


def test_pipelines_that_load_nothing():
    with pytest.raises(ConfigError, match='no LoadImage'):
        benchmark_large_sources(config(PIPELINE[1:]), None, 1)
