"""MLCM as a localizer: the contract, letterboxed images, large images, half precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.models.localizers.localizer_tester import (
    TEXTS,
    NetworkTester,
    assert_close,
    make_images,
    make_photos,
    make_samples,
)
from tests.models.localizers.mlcm.tiny import build, features, tiny_mlcm
from xemap.errors import ConfigError
from xemap.models import build_localizer
from xemap.models.localizers.mlcm.features import letterbox_padding
from xemap.registry import TRANSFORMS
from xemap.structures import PolygonRegion, Query

CONFIG = tiny_mlcm(
    language_model=dict(type='WordSentenceEncoder', name='minilm'), text_width=None, num_added=1, grid=(4, 4)
)
PIPELINE = [dict(type='LoadImage'), dict(type='Letterbox', size=(64, 64)), dict(type='PackXeMapInputs')]


class TestMLCM(NetworkTester):
    config = CONFIG
    pipeline = PIPELINE

    def test_padding_is_no_part_of_the_answers(self, model):
        """Nor is it seen: whatever the border holds, where no convolution reaches."""
        content = (0, 0, 64, 16)
        sample = make_samples([TEXTS[:2]], (64, 64))[0]
        sample.set_metainfo({'content': content})
        padding = letterbox_padding(make_images(1, (64, 64)), [sample])
        assert padding.sum() == 48 * 64 and not padding[0, :16].any()
        images = model.encode_images(make_images(1, (64, 64)), padding)
        assert images.padding.tolist() == [[False] * 4 + [True] * 12]
        with torch.no_grad():
            (predicted,) = model(make_images(1, (64, 64)), [sample], mode='predict')
        assert predicted.answers.size == (16, 64)
        boxes = predicted.answers.boxes()
        assert (boxes >= 0).all() and (boxes <= (64, 16, 64, 16)).all()


class TestTransVG(TestMLCM):
    config = {
        **CONFIG,
        'num_decoder_layers': 0,
        'order': 'token-text-visual',
        'fusion_activation': False,
        'language_model': dict(type='WordSentenceEncoder', name='minilm', layers=1),
        'head': dict(
            type='BoxHead', num_layers=3, activation='sigmoid', loss_reg=dict(type='mmdet.L1Loss', reduction='none')
        ),
    }


class TestLegacy(TestMLCM):
    config = {**CONFIG, 'legacy': True}


@pytest.mark.parametrize('size', [(80, 80), (60, 90), (90, 61)])
@pytest.mark.parametrize('flip', [None, 'horizontal', 'vertical'])
def test_a_box_comes_back_from_the_networks_frame(size, flip):
    """Truth -> targets in the frame -> an exact prediction -> answers in the image: the truth."""
    model = build_localizer_of(CONFIG)
    box = np.array([10.0, 20, 33.5, 41])
    corners = box[[0, 1, 2, 1, 2, 3, 0, 3]].reshape(4, 2)
    (photo,) = make_photos([size])
    results = dict(img=photo, img_shape=size, ori_shape=size, rng=np.random.default_rng(0))
    results['queries'] = [Query('the lake', PolygonRegion([corners]))]
    steps = [*PIPELINE[1:2], dict(type='GenerateBoxes'), PIPELINE[2]]
    if flip:
        steps.insert(1, dict(type='RandomFlip', prob=1.0, direction=flip))
    for step in steps:
        results = TRANSFORMS.build(step)(results)
    sample = results['data_samples']
    (height, width), (x0, y0, x1, y1) = size, box
    expected = {
        None: box,
        'horizontal': (width - x1, y0, width - x0, y1),
        'vertical': (x0, height - y1, x1, height - y0),
    }[flip]
    assert sample.flip == bool(flip) if flip else True
    scale = torch.tensor([64.0, 64, 64, 64])
    x0, y0, x1, y1 = (sample.gt_boxes[0] / scale).tolist()
    exact = torch.tensor([[(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0]])
    assert float(sum(model.head.losses(exact, sample.gt_boxes, (64, 64)).values())) == pytest.approx(0, abs=1e-6)
    model.predict = lambda inputs, samples: model.head.predict([features_with(exact)], samples)
    (again,) = model(results['inputs'][None].float(), [sample], mode='predict')
    np.testing.assert_allclose(again.answers.boxes(size)[0], expected, atol=1e-4 * max(size))


def features_with(boxes: torch.Tensor):
    from types import SimpleNamespace

    return SimpleNamespace(box=boxes, fusion=torch.zeros(1, 32), size=(64, 64))


def build_localizer_of(config):
    from mmengine.config import Config

    return build_localizer(Config(dict(model=config, test_pipeline=PIPELINE)))


def test_groups_of_pairs_change_nothing():
    model = build_localizer_of(CONFIG)
    photos, texts = make_photos([(64, 96), (64, 64)]), [TEXTS, TEXTS[:2]]
    together = model.localize(photos, texts)
    for number in (1, 2):
        model.max_pairs = number
        for alone, other in zip(model.localize(photos, texts), together):
            assert_close(alone, other)


@pytest.mark.parametrize('options', [dict(num_decoder_layers=0), dict(memory=('scales',))], ids=['a', 'b'])
def test_groups_of_pairs_share_the_encoder_where_no_text_reaches_it(options):
    model = build_localizer_of({**CONFIG, **options})
    seen = []
    model.encoder.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))
    model.max_pairs = 1
    model.localize(make_photos([(64, 96), (64, 64)]), [TEXTS, TEXTS[:2]])
    assert sum(seen) == 2


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_is_close(dtype):
    model, given = build(tiny_mlcm()), features(3)
    with torch.no_grad():
        full = model.forward_features(**given)
        with torch.autocast('cpu', dtype):
            half = model.forward_features(**given)
    assert half.box.dtype == torch.float32 and bool(torch.isfinite(half.box).all())
    torch.testing.assert_close(half.box, full.box, atol=0.05, rtol=0)


READER = dict(type='WordSentenceEncoder', name='minilm')


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(head=dict(type='BoxHead', legacy=True)), 'model.head.legacy follows model.legacy'),
        (dict(head=dict(type='BoxHead', width=64)), 'model.head.width follows model.width'),
        (dict(language_model=dict(READER, pad=True)), 'model.language_model.pad follows model.legacy'),
        (dict(language_model=dict(READER, max_tokens=20)), 'model.language_model.max_tokens follows model.max_words'),
        (dict(language_model=dict(READER, sentence=False)), 'model.language_model.sentence follows model.memory'),
        (dict(detr_decoder=True), 'detr_decoder=True needs detr'),
        (dict(detr_decoder=True, detr='x.pth', num_decoder_layers=0), 'detr_decoder=True needs a decoder'),
        (dict(num_fusion_layers=0), 'num_fusion_layers with 0; give at least 1'),
        (dict(num_encoder_layers=0), 'num_encoder_layers with 0; give at least 1'),
        (dict(num_decoder_layers=-1), 'num_decoder_layers with -1; give at least 0'),
        (dict(num_added=-1), 'num_added with -1; give at least 0'),
        (dict(grid=(0, 8)), 'grid with 0; give at least 1'),
        (dict(max_words=0), 'max_words with 0; give at least 1'),
    ],
)
def test_options_out_of_range_or_without_effect(options, message):
    with pytest.raises(ConfigError, match=message):
        build(tiny_mlcm(**options))


def test_without_a_language_model_texts_are_refused():
    model = build(tiny_mlcm())
    with pytest.raises(ConfigError, match='use forward_features'):
        model(make_images(1, (128, 128)), make_samples([TEXTS[:1]], (128, 128)), mode='tensor')
