"""LAVT as a localizer, and its parts against plain computations."""

from __future__ import annotations

import math

import pytest
import torch
from mmengine.registry import DefaultScope

from tests.models.localizers.localizer_tester import TEXTS, NetworkTester, make_images, make_samples
from xemap.errors import ConfigError
from xemap.models.localizers.lavt.stages import Stages
from xemap.models.localizers.lavt.word_attention import LanguageGate, PixelWordAttention
from xemap.registry import MODELS

SWIN = dict(type='SwinTransformer', embed_dims=8, depths=[1, 1, 2, 1], num_heads=[1, 2, 2, 4], window_size=4)
RESNET = dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, norm_eval=False, style='pytorch')

THREE_STAGES = {**RESNET, 'num_stages': 3, 'strides': (1, 2, 2), 'dilations': (1, 1, 1), 'out_indices': (0, 1, 2)}


def tiny_lavt(**overrides) -> dict:
    return {
        **dict(
            type='LAVT',
            backbone=SWIN,
            language_model=dict(name='minilm', max_tokens=12),
            in_channels=(8, 16, 32, 64),
            head=dict(width=16),
            frozen='language_model',
        ),
        **overrides,
    }


def build(config: dict):
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('xemap'):
        model = MODELS.build(config)
        model.init_weights()
    model.eval()  # MMDetection's backbones return nothing
    return model


@pytest.mark.parametrize('config', [SWIN, RESNET], ids=['swin', 'resnet'])
@torch.no_grad()
def test_stages_without_a_change_between_them_are_the_backbone(config):
    backbone = build(config)
    images = make_images(2, (64, 96))
    stages = Stages(backbone)
    features, levels = stages.begin(images), []
    for stage in range(4):
        features = stages.run(stage, features)
        levels.append(stages.output(stage, features))
        features = stages.advance(stage, features) if stage < 3 else features
    for got, expected in zip(levels, backbone(images), strict=True):
        torch.testing.assert_close(got, expected)


def test_other_backbones_are_refused():
    for config in (dict(type='TimmBackbone', name='resnet18'), THREE_STAGES):
        with pytest.raises(ConfigError, match='stage'):
            build(tiny_lavt(backbone=config))


def test_an_input_of_a_single_cell_is_refused():
    model = build(tiny_lavt())
    with pytest.raises(ConfigError, match='a single cell .*at least 64 x 32'):
        model(make_images(1, (32, 32)), make_samples([TEXTS[:1]], (32, 32)))
    assert len(model(make_images(1, (32, 64)), make_samples([TEXTS[:1]], (32, 64)))) == 1


def test_a_misspelled_option_of_the_head_is_refused():
    with pytest.raises(ConfigError, match=r'head \(TopDownHead\): unknown key "widht" .*did you mean "width"'):
        build(tiny_lavt(head=dict(widht=8)))


def normalized(features):
    mean, variance = features.mean((1, 2), keepdim=True), features.var((1, 2), keepdim=True, unbiased=False)
    return (features - mean) / torch.sqrt(variance + 1e-5)


@torch.no_grad()
def test_pixels_gather_from_real_words():
    generator = torch.Generator().manual_seed(0)
    module = PixelWordAttention(6, 10).double()
    vision = torch.randn(1, 6, 3, 4, generator=generator, dtype=torch.float64)
    text = torch.randn(1, 5, 10, generator=generator, dtype=torch.float64)
    padding = torch.tensor([[False, False, False, True, True]])
    query = normalized(module.query(vision)[0])
    gathered = torch.zeros(6, 3, 4).double()
    for y in range(3):
        for x in range(4):
            scores = [(query[:, y, x] @ module.key(text[0, w])).item() / math.sqrt(6) for w in range(3)]
            weights = [math.exp(score) for score in scores]
            mixed = sum(weight / sum(weights) * module.value(text[0, w]) for w, weight in enumerate(weights))
            gathered[:, y, x] = module.gathered(mixed)
    product = module.vision(vision).relu()[0] * normalized(gathered)
    expected = module.out(product[None]).relu()[0]
    torch.testing.assert_close(module(vision, text, padding)[0], expected, atol=1e-5, rtol=1e-5)
    short = module(vision, text[:, :3], padding[:, :3])
    torch.testing.assert_close(module(vision, text, padding), short)


@torch.no_grad()
def test_the_gate_adds_what_it_lets_through():
    gate = LanguageGate(4)
    vision, fused = torch.randn(1, 4, 3, 3), torch.randn(1, 4, 3, 3)
    first, second = gate.gate[0].weight.flatten(1), gate.gate[2].weight.flatten(1)
    for y in range(3):
        for x in range(3):
            share = torch.tanh(second @ (first @ fused[0, :, y, x]).relu())
            torch.testing.assert_close(
                gate(vision, fused)[0, :, y, x], vision[0, :, y, x] + share * fused[0, :, y, x], atol=1e-5, rtol=1e-4
            )


class TestLAVT(NetworkTester):
    config = tiny_lavt()
    pipeline = [dict(type='ResizeImage', size=(64, 96)), dict(type='PackXeMapInputs')]

    @torch.no_grad()
    def test_the_first_stage_runs_once_per_image(self, monkeypatch):
        model = build(self.config)
        seen: dict[int, list[int]] = {stage: [] for stage in range(4)}
        run = Stages.run

        def counted(self, stage, features):
            seen[stage].append(len(features))
            return run(self, stage, features)

        monkeypatch.setattr(Stages, 'run', counted)
        model(make_images(2, (64, 64)), make_samples([TEXTS, TEXTS[:2]], (64, 64)), mode='predict')
        assert seen == {0: [2], 1: [6], 2: [6], 3: [6]}


def test_it_trains_on_a_resnet():
    model = build(tiny_lavt(backbone=RESNET)).train()
    (loss,) = model(make_images(2, (64, 64)), make_samples([TEXTS[:1], TEXTS[1:]], (64, 64)), mode='loss').values()
    loss.backward()
    assert torch.isfinite(loss) and model.attention[0].key.weight.grad.any()
