"""The network against what the authors' network gives for made-up weights and inputs."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from tests.models.localizers.mlcm import reference
from tests.models.localizers.mlcm.tiny import build, letterbox_mask
from xemap.engine import load_config
from xemap.models.localizers.mlcm import load_authors_weights

CONFIG = Path(__file__).parents[4] / 'configs/mlcm/mlcm_r50_bert_640_dior-rsvg_legacy.py'
TOLERANCE = 1e-4


@pytest.fixture(scope='module')
def golden(shared_dir):
    folder = shared_dir / 'golden/mlcm'
    spec = importlib.util.spec_from_file_location('values', folder / 'values.py')
    values = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(values)
    return json.loads((folder / 'cases.json').read_text()), values


@pytest.fixture(scope='module')
def model():
    config = load_config(CONFIG).model
    config.update(language_model=None, text_width=768, detr=None)
    return build(config)


def test_boxes_states_and_intermediate_values(golden, model):
    content, values = golden
    for case in content['cases']:
        weights = {
            name: torch.from_numpy(values.weight(name, tuple(shape), case['salt']))
            for name, shape in content['parameters'].items()
        }
        report = load_authors_weights(model, weights)
        assert report['left'] == report['missing'] == []
        with torch.no_grad():
            given = {name: torch.from_numpy(value) for name, value in values.inputs(case['salt']).items()}
            result = model.forward_features(given.pop('image'), **given)
        for name in ('box', 'fusion'):
            torch.testing.assert_close(result[name], torch.tensor(case[name]), atol=TOLERANCE, rtol=0)
        for name in ('c5', 'decoder', 'visual_tokens'):
            expected, given = case[name], result[name]
            assert list(given.shape) == expected['shape']
            flat = given.flatten()
            torch.testing.assert_close(flat[expected['at']], torch.tensor(expected['values']), atol=TOLERANCE, rtol=0)
            assert float(flat.mean()) == pytest.approx(expected['mean'], abs=TOLERANCE)
            assert float(flat.std()) == pytest.approx(expected['std'], abs=TOLERANCE)


def test_a_letterboxed_image_at_full_size(golden, model):
    """The authors' weights and a mask: the equations written down plainly take the place of golden values."""
    content, values = golden
    weights = {name: torch.from_numpy(values.weight(name, tuple(s), 1)) for name, s in content['parameters'].items()}
    load_authors_weights(model, weights)
    given = [torch.from_numpy(value)[:1] for value in values.inputs(1).values()]
    mask = letterbox_mask(1, size=640, top=100)
    with torch.no_grad():
        result = model.forward_features(*given, image_mask=mask)
        unmasked = model.forward_features(*given)
    expected = reference.ground(model, *(value[0] for value in given), mask[0])
    for name, value in expected.items():
        torch.testing.assert_close(result[name][0], value, atol=TOLERANCE, rtol=0)
    assert (result.box - unmasked.box).abs().max() > 1e-3
