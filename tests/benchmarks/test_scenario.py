"""Answering the queries of AIR-SLT with several systems."""

from __future__ import annotations

import pytest
from benchmarks import scenario
from benchmarks.model import build_model
from benchmarks.scenario import ALL_IMAGES, ALL_QUERIES, benchmark_scenario, queries_of

from tests.benchmarks.toy import config
from tests.models.localizers.selo.toy import ToyRetrieval
from xemap.models.localizers.selo import SeLoLocalizer


def test_the_queries_of_all_images():
    counts = [queries_of(image) for image in range(ALL_IMAGES)]
    assert sum(counts) == ALL_QUERIES == 1129 and set(counts) == {3, 4}


def test_answers_are_counted_and_scaled(monkeypatch):
    seen, localize = [], SeLoLocalizer.localize
    monkeypatch.setattr(
        SeLoLocalizer,
        'localize',
        lambda self, images, texts: seen.append([image.shape for image in images]) or localize(self, images, texts),
    )
    retrieval = dict(type=ToyRetrieval)
    result = benchmark_scenario(config(), 'cpu', 3, 1, 300, retrieval)
    assert seen == [[(300, 300, 3)]] * 4  # a warm-up and an image, twice
    rows = result['methods']
    assert list(rows) == ['network', 'selo_v1', 'selo_v2']
    assert [row['images'] for row in rows.values()] == [3, 1, 1]
    assert rows['network']['queries'] == sum(map(queries_of, range(3))) and rows['selo_v1']['queries'] == queries_of(0)
    for row in rows.values():
        assert 0 < row['model_seconds'] < row['seconds']
        assert row['over_network']['seconds'] == pytest.approx(row['seconds'] / rows['network']['seconds'])


def test_times_are_of_all_images(monkeypatch):
    now = iter(range(1000))
    monkeypatch.setattr(scenario.time, 'perf_counter', lambda: next(now))
    model = build_model(config(), 'cpu')
    row = scenario.time_answers(model, 2, 64, 'cpu', 0)  # start 0, forward from 1 to 2, end 3
    assert row['seconds'] == 3 * ALL_IMAGES / 2 and row['model_seconds'] == 1 * ALL_IMAGES / 2
