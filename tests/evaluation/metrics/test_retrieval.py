from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope

from tests.evaluation.functional.test_retrieval import by_sorting
from xemap.errors import ConfigError, DataError
from xemap.evaluation import RetrievalMetric
from xemap.models.retrieval import ScanSimilarity
from xemap.registry import METRICS
from xemap.structures import PolygonRegion, Query


def sample(index: int, image: torch.Tensor, texts) -> dict:
    queries = [Query(f'text {i}', PolygonRegion([])) for i in range(len(texts))]
    known = {'sample_idx': index, 'img_path': f'{index}.png', 'source': 'a', 'queries': queries}
    return {**known, 'image_features': image, 'text_features': texts}


def metric(**options) -> RetrievalMetric:
    with DefaultScope.overwrite_default_scope('xemap'):
        return METRICS.build(dict(type='RetrievalMetric', **options))


def test_metric_in_any_order_and_with_duplicates(tmp_path):
    torch.manual_seed(0)
    images, texts = torch.randn(6, 4), torch.randn(6, 2, 4)
    scorer = metric(ks=(1, 3), outfile_prefix=str(tmp_path / 'out/test'))
    batches = [[3, 1], [0, 2, 3], [5, 4]]  # 3 twice, as a sampler that pads does it
    for batch in batches:
        scorer.process(None, [sample(10 + i, images[i], texts[i]) for i in batch])
    scores = scorer.evaluate(6)
    expected = by_sorting(images @ texts.flatten(0, 1).T, np.repeat(np.arange(6), 2), (1, 3))
    assert {name: scores[name] for name in expected} == pytest.approx(expected)
    assert (scores['images'], scores['texts'], scores['chance/t2i_R@1']) == (6, 12, pytest.approx(100 / 6))
    assert not scorer.results and (scorer.main, scorer.form) == ('mR', 'features')
    written = json.loads((tmp_path / 'out/test.summary.json').read_text())
    assert {name: written['overall'][name] for name in expected} == pytest.approx(expected)
    assert written['chance']['t2i_R@1'] == pytest.approx(100 / 6)
    low, high = written['overall']['intervals']['mR']
    assert low < scores['mR'] < high
    with (tmp_path / 'out/test.queries.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12 and sum(int(row['t2i_rank']) < 1 for row in rows) / 12 == pytest.approx(
        scores['t2i_R@1'] / 100
    )


def test_the_samples_say_how_they_are_compared():
    regions = torch.eye(12).view(3, 4, 12)
    # Texts of two words and of one, each word a region of its image.
    words = [[patches[:2], patches[3:]] for patches in regions]
    scorer = metric(prefix='scan')
    for i in range(3):
        scorer.process(None, [{**sample(i, regions[i], words[i]), 'compare': ScanSimilarity(smooth=50.0)}])
    scores = scorer.evaluate(3)
    assert scores['scan/t2i_R@1'] == 100 and scores['scan/i2t_R@1'] == 100 and scores['scan/texts'] == 6


def test_mistakes():
    with pytest.raises(ConfigError, match=r'ks=\(0, 1\)'):
        metric(ks=(0, 1))
    with pytest.raises(DataError, match='a.png has no features; it scores retrieval models'):
        metric().process(None, [{'sample_idx': 0, 'img_path': 'a.png', 'pred_maps': 0}])
    with pytest.raises(DataError, match='no image was evaluated'):
        metric().evaluate(0)
