"""Localizers of boxes and masks: one box per query with its own score, in files and pictures too, and thresholds."""

from __future__ import annotations

import json

import numpy as np
import pytest
from mmengine.config import Config

from xemap.errors import ConfigError
from xemap.inference import XeMapInferencer
from xemap.inference.pictures import SIDE
from xemap.models import Localizer
from xemap.registry import MODELS
from xemap.structures import BoxAnswers, MaskAnswers
from xemap.visualization import query_panel


@MODELS.register_module(force=True)
class SpotBoxes(Localizer):
    """The box of the brightest color of a query's name, scored by how much of it a window shows."""

    form = 'box'

    def localize(self, images, texts):
        answers = []
        for image, queries in zip(images, texts):
            boxes, scores = np.zeros((len(queries), 4)), np.zeros(len(queries))
            for i, text in enumerate(queries):
                spot = image[..., ('red', 'green', 'blue').index(text)] > 200
                if spot.any():
                    rows, columns = np.flatnonzero(spot.any(1)), np.flatnonzero(spot.any(0))
                    boxes[i] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
                    scores[i] = spot.sum() / 4096
            answers.append(BoxAnswers(boxes, image.shape[:2], scores))
        return answers


@pytest.fixture(scope='module')
def inferencer():
    return XeMapInferencer(Config(dict(model=dict(type='SpotBoxes'))))


@pytest.fixture(scope='module')
def image():
    made = np.full((300, 420, 3), 90, np.uint8)
    made[100:140, 110:150, 0] = 255  # over a seam of windows of 128
    made[200:230, 300:340, 1] = 255
    return made


def test_one_exact_box_per_query_over_seams(inferencer, image, tmp_path):
    result = inferencer(
        image, ['red', 'green', 'blue'], mode='tile', tile=128, overlap=0.5, threshold='auto', pictures=True
    )
    assert [len(regions) for regions in result.regions] == [1, 1, 0]
    assert [list(regions[0].box) for regions in result.regions[:2]] == [[110, 100, 150, 140], [300, 200, 340, 230]]
    assert [regions[0].score for regions in result.regions[:2]] == pytest.approx([1600 / 4096, 1200 / 4096])
    assert result.maps[0].sum() == 1600 == result.mask(0).sum() and not result.maps[2].any()
    for query, name in enumerate(('red', 'green', 'blue')):
        result.save(tmp_path / f'{name}.geojson', query)
        result.save(tmp_path / f'{name}.png', query)
    features = json.loads((tmp_path / 'red.geojson').read_text())['features']
    assert [feature['properties']['box_px'] for feature in features] == [[110, 100, 150, 140]]
    assert features[0]['properties']['score'] == pytest.approx(1600 / 4096, abs=1e-4)
    assert json.loads((tmp_path / 'blue.geojson').read_text())['features'] == []


def test_an_empty_answer_does_not_win_over_a_box(image, monkeypatch):
    """Nor does its score count: of a window that shows nothing, that there is nothing may be sure."""
    inferencer = XeMapInferencer(Config(dict(model=dict(type='SpotBoxes'))))
    localize = SpotBoxes.localize

    def sure(self, images, texts):
        answers = localize(self, images, texts)
        return [BoxAnswers(a.data, a.size, np.where(a.data.any(1), a.scores, 0.9)) for a in answers]

    monkeypatch.setattr(SpotBoxes, 'localize', sure)
    answers = inferencer(image, ['red', 'blue'], mode='tile', tile=128, overlap=0.5).box_answers
    assert answers.boxes().tolist() == [[110, 100, 150, 140], [0, 0, 0, 0]]
    assert answers.scores.tolist() == pytest.approx([1600 / 4096, 0])


def test_boxes_without_scores_are_refused_over_windows(image, monkeypatch):
    inferencer = XeMapInferencer(Config(dict(model=dict(type='SpotBoxes'))))
    monkeypatch.setattr(SpotBoxes, 'scored', False)
    with pytest.raises(ConfigError, match='SpotBoxes scores every box 1.*mode "resize".*with_score=True'):
        inferencer(image, 'red', mode='tile', tile=128)
    assert inferencer(image, 'red').box_answers.boxes()[0].tolist() == [110, 100, 150, 140]


def test_boxes_below_the_least_area_or_score_are_left_out(inferencer, image):
    for options in (dict(threshold='auto', min_area=1500), dict(threshold=0.35)):  # scores: 0.39 and 0.29
        result = inferencer(image, ['red', 'green'], **options)
        assert [len(regions) for regions in result.regions] == [1, 0]
        assert [result.mask(query).sum() for query in (0, 1)] == [1600, 0]
        assert [result.summary(query) for query in (0, 1)] == ['box, score 0.39', 'no box']


@pytest.mark.parametrize('rule', ['otsu', 'q0.9'])
def test_thresholds_of_maps_are_refused_for_boxes(inferencer, image, rule):
    with pytest.raises(ConfigError, match=f'threshold "{rule}" is found from a map, and SpotBoxes predicts boxes'):
        inferencer(image, ['red'], threshold=rule)


def test_pictures_fill_a_box_with_the_color_of_its_score(inferencer, image):
    result = inferencer(image, ['red', 'blue'], pictures=True)
    shown = result.shown_map(0, 420)
    assert shown[100:140, 110:150] == pytest.approx(1600 / 4096) and np.count_nonzero(shown) == 1600
    expected = query_panel(image, 'red', {'prediction: box, score 0.39': shown}, max_side=SIDE)
    assert np.array_equal(result.pictures[0], expected)


@MODELS.register_module(force=True)
class FaintMasks(Localizer):
    """0.4 on the left half and 0.6 on a quarter of it."""

    form = 'mask'

    def localize(self, images, texts):
        map = np.zeros((8, 8), np.float32)
        map[:, :4], map[:4, :2] = 0.4, 0.6
        return [MaskAnswers(np.stack([map] * len(queries))) for queries in texts]


def test_threshold_of_a_mask_is_one_half_unless_another_is_given():
    inferencer = XeMapInferencer(Config(dict(model=dict(type='FaintMasks'))))
    image = np.zeros((8, 8, 3), np.uint8)
    areas = {rule: inferencer(image, ['it'], threshold=rule).mask(0).sum() for rule in ('auto', 'otsu', 0.6)}
    assert areas == {'auto': 8, 'otsu': 32, 0.6: 8}
