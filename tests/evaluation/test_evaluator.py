"""Several metrics side by side, and the metric that docs/evaluation.md shows."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope

from tests.evaluation.metrics.test_selo import SIZE, box, image
from xemap.config import load_config
from xemap.datasets.annotations import write_annotations
from xemap.errors import ConfigError
from xemap.evaluation import BoxMetric, MaskMetric, QueryEvaluator, SeLoMetric, box_metrics, mask_metrics
from xemap.registry import METRICS
from xemap.structures import BoxAnswers, ImageRecord, MapAnswers, MaskAnswers, MaskRegion, PolygonRegion, Query

ROOT = Path(__file__).resolve().parents[2]
NOTHING = PolygonRegion([])


def predicted(index, answers=None):
    """A sample with random maps, or other answers."""
    sample = image(index)
    sample.answers = sample.answers if answers is None else answers
    return sample


def test_one_row_per_query_holds_the_columns_of_all(tmp_path):
    out = str(tmp_path / 'all')
    metrics = [
        SeLoMetric(),
        MaskMetric(threshold=0.9),
        BoxMetric(threshold=0.9),
        SeLoMetric(normalize=True, prefix='s'),
    ]
    for metric in metrics:
        metric.outfile_prefix = out
    evaluator = QueryEvaluator(metrics)
    samples = [predicted(i) for i in range(3)]
    for sample in samples:
        evaluator.process([sample])
    results = evaluator.evaluate(3)
    with open(f'{out}.queries.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6 == len(evaluator.rows)
    for column in ('rmi', 's_rmi', 'mask_iou', 'box_union', 'floor_box_iou', 'target_rmi', 's_ceiling_rmi'):
        assert float(rows[0][column]) >= 0, column
    pairs = [(sample.answers, query, i) for sample in samples for i, query in enumerate(sample.queries)]
    masks = mask_metrics([a.masks(SIZE, 0.9)[i] for a, _, i in pairs], [q.region.mask(SIZE) for _, q, _ in pairs])
    boxes = box_metrics([a.boxes(SIZE, 0.9)[i] for a, _, i in pairs], [q.region.box(SIZE) for _, q, _ in pairs])
    for name, values in (('mask', masks), ('box', boxes)):
        for score, value in values.items():
            key = f'{name}/{score}' if score.startswith('pr@') else score
            assert results[key] == pytest.approx(value, abs=1e-12), key
    summary = json.loads(Path(f'{out}.summary.json').read_text())
    assert summary['overall']['miou'] == results['miou'] and summary['overall']['s/rmi'] == results['s/rmi']
    assert summary['protocols'] == {'selo': 'reference', 'box': 'default'}
    assert summary['scores']['oiou']['reduction'] == 'sum of mask_intersection / sum of mask_union'
    assert {'rmi', 'oiou', 'meaniou', 's/rmi'} <= set(summary['by_kind']['one-hop'])
    # The stretched random maps have another contrast, hence other scores.
    assert results['s/rmi'] != results['rmi'] and results['floor/rmi'] == results['s/floor/rmi']


def test_box_answers_have_maps_and_masks_too():
    boxes = np.array([[10.0, 10, 50, 60], [22, 10, 62, 60]])
    evaluator = QueryEvaluator([BoxMetric(), MaskMetric(), SeLoMetric()])
    evaluator.process([predicted(0, BoxAnswers(boxes, SIZE))])
    results = evaluator.evaluate(1)
    assert results['meaniou'] == 1.0 and results['pixel_ap'] > 0.9 and results['miou'] > 0.9


@pytest.mark.parametrize('step', [1, 4])
def test_the_truth_scores_one_and_an_empty_mask_zero(step):
    """At the size of the image and at that of a network, on whose grid the referents, two bands, lie."""
    for answered, expected in ((1, 1.0), (0, 0.0)):
        metric = MaskMetric()
        sample = predicted(0)
        sample.queries = [
            Query('it', PolygonRegion([box(0, 8, 159, 63)])),
            Query('them', PolygonRegion([box(40, 0, 59, 119)])),
        ]
        masks = np.stack([query.region.mask(SIZE)[::step, ::step] for query in sample.queries])
        sample.answers = MaskAnswers((masks * answered).astype(bool))
        metric.process(None, [sample.to_dict()])
        results = metric.evaluate(1)
        assert {results[score.name] for score in metric.scores} == {expected}


def test_masks_compared_at_the_size_of_the_input_equal_a_loop():
    """Beside those at the image's own size, whose rows stay what they are."""
    size, sample = (7, 10), predicted(0)
    evaluator = QueryEvaluator([MaskMetric(), MaskMetric(size=size, strict=False, empty=0, prefix='published')])
    evaluator.process([sample])
    results = evaluator.evaluate(1)
    (height, width), ious = SIZE, []
    for query, answer in zip(sample.queries, sample.answers):
        mask, prediction = query.region.mask(SIZE), answer.maps(size)[0] >= 0.5
        cells = [[mask[int((y + 0.5) * height / 7), int((x + 0.5) * width / 10)] for x in range(10)] for y in range(7)]
        ious.append((prediction & cells).sum() / max((prediction | cells).sum(), 1))
    assert results['published/miou'] == pytest.approx(np.mean(ious), abs=1e-4) and 0 < np.mean(ious) < 1
    alone = MaskMetric()
    alone.process(None, [sample.to_dict()])
    assert alone.evaluate(1)['miou'] == results['miou'] != results['published/miou']
    with pytest.raises(ConfigError, match=r'size is \(480,\); give \(height, width\)'):
        MaskMetric(size=(480,))


def test_a_query_without_a_referent():
    sample = predicted(0, MapAnswers(torch.zeros(2, 12, 16)))
    sample.queries = [
        Query('nothing', PolygonRegion([]), referents=0),
        Query('it', MaskRegion.from_mask(np.eye(*SIZE) > 0)),
    ]
    evaluator = QueryEvaluator([MaskMetric(), BoxMetric(), SeLoMetric()])
    evaluator.process([sample])
    results = evaluator.evaluate(1)
    assert (results['queries'], results['box/queries'], results['selo/queries']) == (2, 1, 1)
    first, second = evaluator.rows
    assert (first['mask_iou'], second['mask_iou']) == (1.0, 0.0)  # nothing is the right answer to the first
    assert first['problem'] == 'the image holds no referent; no polygon'


def test_the_mean_training_box_is_a_reference():
    metric = BoxMetric(mean_box=(0, 0, 0.5, 1))
    metric.process(None, [predicted(0).to_dict()])
    results = metric.evaluate(1)
    target = box(10, 10, 50, 60)
    expected = box_metrics([[0, 0, 80, 120]] * 2, [[target[0], 10, 50, 60], [22, 10, 62, 60]])
    assert results['mean/meaniou'] == pytest.approx(expected['meaniou'])
    assert 'floor/cumiou' in results


def test_the_mean_training_box_is_that_of_the_training_annotations(tmp_path):
    """A config's 'train' stands for them; queries without a referent have no box."""
    records = [
        ImageRecord('a.png', 100, 50, '', [Query('a', PolygonRegion([box(10, 10, 30, 20)])), Query('b', NOTHING)]),
        ImageRecord('b.png', 20, 40, '', [Query('c', PolygonRegion([box(0, 20, 20, 40)]))]),
    ]
    write_annotations(tmp_path / 'train.arrow', records)
    options = {'data_root': f'{tmp_path}/', 'train_dataloader.dataset.ann_file': 'train.arrow'}
    config = load_config('mlcm_small_synthetic', options)
    assert config.test_evaluator.mean_box == str(tmp_path / 'train.arrow')
    with DefaultScope.overwrite_default_scope('xemap'):
        metric = METRICS.build(config.test_evaluator)
    expected = ((0.1 + 0) / 2, (0.2 + 0.5) / 2, (0.3 + 1) / 2, (0.4 + 1) / 2)
    assert metric.scorer.mean_box == pytest.approx(expected)
    options['train_dataloader.dataset.ann_file'] = 'none.arrow'
    assert load_config('mlcm_small_synthetic', options).test_evaluator.mean_box is None


def test_bounds_belong_to_their_data_set():
    """The same place in another data set is another query: nothing that was kept may serve it."""
    metric = SeLoMetric()
    first, second = predicted(0), predicted(0)
    second.queries = [Query(query.text, PolygonRegion([box(60, 70, 100, 110)])) for query in second.queries]
    floors = []
    for sample in (first, second, first):
        metric.process(None, [sample.to_dict()])
        floors.append(metric.evaluate(1)['floor/rsu'] + metric.rows[0]['ceiling_ras'])
    assert floors[0] == floors[2] != floors[1]


def test_the_metric_of_the_documentation(tmp_path):
    text = (ROOT / 'docs/evaluation.md').read_text()
    (code,) = re.findall(r'```python\n(from dataclasses.*?)```', text, re.DOTALL)
    space: dict = {'__name__': __name__}
    exec(code, space)
    evaluator = QueryEvaluator([space['CenterMetric'](workers=0), SeLoMetric(with_bounds=False)])
    evaluator.process([predicted(0, BoxAnswers(np.array([[10.0, 10, 50, 60], [100, 90, 110, 99]]), SIZE))])
    assert evaluator.evaluate(1)['center_acc'] == 0.5
    assert METRICS.get('CenterMetric') is space['CenterMetric']
    assert len(code.splitlines()) <= 30
