"""What is measured of the SeLo metric."""

from __future__ import annotations

from benchmarks import metric as metric_part
from benchmarks.metric import benchmark_metric, make_map

from xemap.evaluation import selo_metrics


def test_map_has_something_to_find():
    made, polygons = make_map(1500)
    assert made.min() >= 0 and made.max() <= 1 and made.shape == (1500, 1500)
    scores = selo_metrics(made, polygons)
    assert scores['problem'] is None and 0 < scores['rmi'] < 1
    assert len(scores['regions']) == 3 and len(scores['centers']) >= 2


def test_both_types_are_the_same_map(monkeypatch):
    seen = {}

    def spy(made, polygons):
        seen[str(made.dtype)] = result = selo_metrics(made, polygons)
        return result

    monkeypatch.setattr(metric_part, 'selo_metrics', spy)
    result = benchmark_metric(300, 1)
    assert seen.keys() == {'uint8', 'float32'} and seen['uint8']['rmi'] == seen['float32']['rmi']
    assert result['map_size'] == 300 and result['uint8']['median_s'] > 0 < result['float32']['median_s']
