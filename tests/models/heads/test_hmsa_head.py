from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from xemap.errors import ConfigError
from xemap.models.heads import TEXT_POOLINGS, FusedTokens, HMSAHead
from xemap.registry import MODELS
from xemap.structures import XeMapDataSample


def fused(vision, shapes, text=((1.0, 0.0),), size=(1, 2), counts=(1,)) -> FusedTokens:
    """One pair's tokens; ``vision`` and ``text`` are lists of vectors."""
    words = torch.tensor([text])
    return FusedTokens(torch.tensor([vision]), shapes, words, torch.zeros(1, words.shape[1], dtype=bool), size, counts)


TWO_LEVELS = ([[3.0, 0.0], [-5.0, 0.0], [0.0, 2.0]], [(1, 2), (1, 1)], [[0.5, 0.0]])
"""One level of 1 x 2 with vectors along and against the text: (1 + 1) / 2 = 1 and (-1 + 1) / 2 = 0.

A second level of 1 x 1 at a right angle gives 1/2 everywhere.
"""


def test_pooling_uses_real_tokens_only():
    text = torch.tensor([[[1.0, 4.0], [3.0, 2.0], [100.0, 100.0]]])
    padding = torch.tensor([[False, False, True]])
    pooled = {name: TEXT_POOLINGS.get(name)(text, padding).tolist() for name in ('mean', 'max', 'first')}
    assert pooled == {'mean': [[2.0, 3.0]], 'max': [[3.0, 4.0]], 'first': [[1.0, 4.0]]}


def test_a_pooling_of_a_user_is_found_by_its_name():
    @TEXT_POOLINGS.register_module('last', force=True)
    def last(text, padding):
        return text[:, -1]

    maps = HMSAHead(pooling='last')(fused([[3.0, 0.0], [0.0, 1.0]], [(1, 2)], [[0.0, 1.0], [1.0, 0.0]]))
    torch.testing.assert_close(maps, torch.tensor([[[1.0, 0.5]]]))


def test_map_by_hand():
    torch.testing.assert_close(HMSAHead()(fused(*TWO_LEVELS)), torch.tensor([[[0.75, 0.25]]]))


def test_the_sub_maps_of_the_levels_by_hand():
    levels = HMSAHead().level_maps(fused(*TWO_LEVELS))
    torch.testing.assert_close(levels, torch.tensor([[[[1.0, 0.0]]], [[[0.5, 0.5]]]]))


@pytest.mark.parametrize(
    ('weights', 'expected'),
    [([2, 2], [0.75, 0.25]), ([1, 0], [1.0, 0.0]), ([0, 3], [0.5, 0.5]), ([3, 1], [0.875, 0.125])],
)
def test_weights_of_the_levels(weights, expected):
    torch.testing.assert_close(HMSAHead(level_weights=weights)(fused(*TWO_LEVELS)), torch.tensor([[expected]]))
    assert not HMSAHead(level_weights=weights).state_dict()


def test_weights_of_the_levels_are_learned():
    head = HMSAHead(level_weights=[3, 1], learn_level_weights=True)
    maps = head(fused(*TWO_LEVELS))
    torch.testing.assert_close(maps.detach(), torch.tensor([[[0.875, 0.125]]]))
    maps[0, 0, 0].backward()
    assert head.level_logits.grad[0] > 0 > head.level_logits.grad[1]


def test_a_logit_scale_by_hand():
    head = HMSAHead(logit_scale=4.0)
    head.logit_bias.data.fill_(-1.0)
    sigmoid = torch.sigmoid
    # The correlations are 1 and -1 at the fine level and 0 at the coarse one.
    expected = sigmoid(torch.tensor([[[(3.0 - 1.0) / 2, (-5.0 - 1.0) / 2]]]))
    maps = head(fused(*TWO_LEVELS))
    torch.testing.assert_close(maps, expected)
    torch.testing.assert_close(
        head.level_maps(fused(*TWO_LEVELS)), sigmoid(torch.tensor([[[[3.0, -5.0]]], [[[-1.0, -1.0]]]]))
    )
    maps.sum().backward()
    assert head.log_scale.grad != 0 and head.logit_bias.grad != 0
    with head.only_level(0):
        torch.testing.assert_close(head(fused(*TWO_LEVELS)), sigmoid(torch.tensor([[[3.0, -5.0]]])))


def test_a_logit_scale_that_is_not_positive():
    with pytest.raises(ConfigError, match='logit_scale=0'):
        HMSAHead(logit_scale=0)


def test_queries_of_one_image_are_contrasted():
    pair = fused([[3.0, 0.0], [-5.0, 0.0]], [(1, 2)], counts=(2,))
    pair = replace(pair, vision=pair.vision.expand(2, -1, -1), text=pair.text.expand(2, -1, -1))
    sample = XeMapDataSample()
    sample.gt_maps = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    head = HMSAHead(loss=dict(type='MapL1Loss', reduction='mean'), contrast_weight=3)
    losses = head.loss(replace(pair, text_padding=pair.text_padding.expand(2, -1)), [sample])
    # Both maps are 1, 0: the first has nothing on the other's referent, the second all of its mass.
    assert {name: float(value) for name, value in losses.items()} == {'loss_map': 0.5, 'loss_contrast': 1.5}
    with pytest.raises(ConfigError, match='contrast_weight=-1'):
        HMSAHead(contrast_weight=-1)


def test_maps_are_interpolated_bilinearly_with_pixel_centers():
    maps = HMSAHead()(fused([[1.0, 0.0], [-1.0, 0.0]], [(1, 2)], size=(1, 4)))
    torch.testing.assert_close(maps, torch.tensor([[[1.0, 0.75, 0.25, 0.0]]]))


def samples(count: int) -> list[XeMapDataSample]:
    made = []
    for _ in range(count):
        sample = XeMapDataSample()
        sample.gt_maps = torch.zeros(1, 1, 2)
        made.append(sample)
    return made


def two_pairs() -> FusedTokens:
    one = fused(*TWO_LEVELS)
    twice = (tensor.repeat(2, 1, 1) for tensor in (one.vision, one.text))
    vision, text = twice
    return FusedTokens(vision, one.shapes, text, one.text_padding.repeat(2, 1), one.size, (1, 1))


@pytest.mark.parametrize(
    ('loss', 'expected'),
    [
        (dict(type='MapL1Loss'), 1.0),
        (dict(type='MapL1Loss', reduction='mean'), 0.5),
        (dict(type='mmdet.L1Loss', reduction='none'), 0.5),
    ],
)
def test_loss_by_hand(loss, expected):
    """|0.75 - 0| + |0.25 - 0| per map; a loss per pixel is averaged over the map."""
    losses = HMSAHead(loss=loss).loss(two_pairs(), samples(2))
    assert losses['loss_map'].item() == pytest.approx(expected)


@pytest.mark.parametrize('reduction', ['mean', 'sum'])
def test_a_loss_that_averages_over_pairs_is_refused(reduction):
    head = HMSAHead(loss=dict(type='mmdet.L1Loss', reduction=reduction))
    with pytest.raises(ConfigError, match=r"L1Loss gives a tensor of shape \(\) for 2 pairs; set reduction='none'"):
        head.loss(two_pairs(), samples(2))


def test_a_loss_of_a_user_with_one_value_for_all_pairs_is_refused():
    @MODELS.register_module(force=True)
    class Averaged(nn.Module):
        def forward(self, prediction, target):
            return (prediction - target).abs().mean((1, 2)).mean(0, keepdim=True)

    with pytest.raises(ConfigError, match=r'Averaged gives a tensor of shape \(1,\) for 2 pairs'):
        HMSAHead(loss=dict(type='Averaged')).loss(two_pairs(), samples(2))


def test_another_target_than_the_head_learns_is_refused():
    wrong = XeMapDataSample()
    wrong.gt_boxes = torch.zeros(1, 4)
    with pytest.raises(ConfigError, match=r"learns gt_maps .* makes gt_boxes; .* = dict\(type='GenerateMaps'\)"):
        HMSAHead().loss(two_pairs(), [*samples(1), wrong])
    with pytest.raises(ConfigError, match='makes no target; set'):
        HMSAHead().loss(two_pairs(), [XeMapDataSample()])


def test_answers_belong_to_their_images():
    answers = HMSAHead().predict(two_pairs(), samples(2))
    assert [len(each) for each in answers] == [1, 1] and answers[0].maps().tolist() == [[[0.75, 0.25]]]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(pooling='median'), '"median" is unknown; did you mean "mean"'),
        (dict(level_weights=[0, 0]), r'level_weights=\[0, 0\]; give numbers'),
        (dict(level_weights=[1, -1]), r'level_weights=\[1, -1\]'),
        (dict(level_weights=[]), r'level_weights=\[\]'),
        (dict(learn_level_weights=True), 'positive level_weights, not at None'),
        (dict(level_weights=[1, 0], learn_level_weights=True), r'not at \[1, 0\]'),
    ],
)
def test_bad_settings(options, message):
    with pytest.raises(ConfigError, match=message):
        HMSAHead(**options)


def test_another_number_of_weights_than_levels():
    with pytest.raises(ConfigError, match='3 level_weights for 2 levels'):
        HMSAHead(level_weights=[1, 1, 1])(fused(*TWO_LEVELS))
