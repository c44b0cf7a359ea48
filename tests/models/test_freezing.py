from __future__ import annotations

import pytest
import torch
from mmengine.registry import DefaultScope

from tests.models.localizers.localizer_tester import TEXTS, make_images, make_samples
from tests.models.tiny import tiny_network
from xemap.errors import ConfigError
from xemap.models.freezing import is_frozen
from xemap.registry import MODELS


def build(frozen):
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('xemap'):
        return MODELS.build(tiny_network(frozen=frozen))


def inside(name: str, parts) -> bool:
    return any(f'{name}.'.startswith(f'{part}.') for part in parts)


@pytest.mark.parametrize(
    'frozen', ['backbone.layer1', ('language_model', 'encoder.layers.0', 'level_embed', 'backbone.conv1')]
)
def test_frozen_parts_and_nothing_else_take_no_gradient_and_stay_in_eval_mode(frozen):
    model = build(frozen).train()
    parts = (frozen,) if isinstance(frozen, str) else frozen
    assert {name for name, p in model.named_parameters() if not p.requires_grad} == {
        name for name, _ in model.named_parameters() if inside(name, parts)
    }
    modes = {name: module.training for name, module in model.named_modules()}
    assert not any(mode for name, mode in modes.items() if inside(name, parts))
    assert all(modes[name] for name in ('backbone.layer2', 'encoder.layers.1', 'neck'))
    samples = make_samples([TEXTS[:1]], (64, 64))
    samples[0].gt_maps = torch.rand(1, 64, 64)
    sum(model(make_images(1, (64, 64)), samples, mode='loss').values()).backward()
    trained = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert not any(inside(name, parts) for name in trained)
    assert {'backbone.layer2.0.conv1.weight', 'neck.convs.0.conv.weight'} <= trained  # the graph goes through


@pytest.mark.parametrize(
    ('frozen', 'message'),
    [
        ('backbone.layer9', r'"backbone.layer9": "layer9" is no part of backbone; parts are conv1, bn1, .*layer4'),
        ('encoder.layers.2', r'"2" is no part of encoder.layers; parts are 0, 1$'),
        ('decoder', '"decoder" is no part of XeMapNetwork; parts are level_embed, .*backbone, neck'),
        ('level_embed.0', 'level_embed is a parameter and has no parts'),
    ],
)
def test_a_name_that_is_no_part_is_refused_with_the_parts_there_are(frozen, message):
    with pytest.raises(ConfigError, match=message):
        build((frozen,))


def test_a_part_is_frozen_as_a_whole_if_it_or_what_holds_it_is_named():
    assert is_frozen('backbone', ['backbone']) and is_frozen('backbone.layer1', ['neck', 'backbone'])
    assert not is_frozen('backbone', ['backbone.layer1']) and not is_frozen('backbone2', ['backbone'])
