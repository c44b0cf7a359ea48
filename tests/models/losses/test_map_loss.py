from __future__ import annotations

import math

import pytest
import torch

from xemap.errors import ConfigError
from xemap.models.losses import BalancedMapCELoss, BalancedMapL1Loss, MapL1Loss, mass_on_others

TARGET = torch.tensor([[[1.0, 0.0, 0.0, 0.0]]])


def test_plain_l1_sums_or_averages_over_the_map():
    prediction = torch.tensor([[[0.5, 0.25, 0.0, 0.25]]])
    assert MapL1Loss('sum')(prediction, TARGET).tolist() == [1.0]
    assert MapL1Loss('mean')(prediction, TARGET).tolist() == [0.25]


def test_balanced_l1_weighs_target_and_background_alike():
    everything_off, everything_on = torch.zeros(1, 1, 4), torch.ones(1, 1, 4)
    loss = BalancedMapL1Loss()
    assert loss(everything_off, TARGET).tolist() == [0.5]
    assert loss(everything_on, TARGET).tolist() == [0.5]
    assert loss(TARGET, TARGET).tolist() == [0.0]
    # 0.25 on the target; on the three background pixels (0.5 + 0.25 + 0) / 3 = 0.25
    torch.testing.assert_close(loss(torch.tensor([[[0.75, 0.5, 0.25, 0.0]]]), TARGET), torch.tensor([0.25]))


@pytest.mark.parametrize('target', [torch.zeros(1, 2, 2), torch.ones(1, 2, 2)])
def test_balanced_l1_of_one_sided_targets_is_finite(target):
    prediction = torch.full((1, 2, 2), 0.5, requires_grad=True)
    loss = BalancedMapL1Loss()(prediction, target)
    torch.testing.assert_close(loss, torch.tensor([0.25]), atol=1e-5, rtol=0)
    loss.sum().backward()
    assert torch.isfinite(prediction.grad).all()


def test_balanced_cross_entropy_and_dice_by_plain_sums():
    prediction, target = torch.rand(3, 4, 5, dtype=torch.float64), torch.rand(3, 4, 5, dtype=torch.float64)
    values = BalancedMapCELoss(dice_weight=0.5, weight=2)(prediction, target)
    for value, xs, ts in zip(values.tolist(), prediction.flatten(1).tolist(), target.flatten(1).tolist()):
        errors = [-(t * math.log(x) + (1 - t) * math.log(1 - x)) for x, t in zip(xs, ts)]
        inside = sum(t * e for t, e in zip(ts, errors)) / sum(ts)
        outside = sum((1 - t) * e for t, e in zip(ts, errors)) / sum(1 - t for t in ts)
        dice = 1 - (2 * sum(x * t for x, t in zip(xs, ts)) + 1) / (sum(xs) + sum(ts) + 1)
        assert value == pytest.approx(2 * ((inside + outside) / 2 + 0.5 * dice), rel=1e-5)


def test_cross_entropy_of_a_sure_mistake_is_steep_and_finite():
    loss = BalancedMapCELoss(dice_weight=0)
    slopes = []
    for confidence in (0.5, 0.9, 1.0):
        prediction = torch.tensor([[[1 - confidence, confidence, 0.0, 0.0]]], requires_grad=True)
        value = loss(prediction, TARGET)
        value.sum().backward()
        slopes.append(float(prediction.grad.abs().max()))
        assert torch.isfinite(value).all() and torch.isfinite(prediction.grad).all()
    assert slopes[1] > 2 * slopes[0]


def test_mass_on_what_other_queries_refer_to():
    targets = torch.tensor([[[1.0, 0.0, 0.0, 0.0]], [[0.0, 1.0, 0.5, 0.0]], [[0.0, 0.0, 1.0, 0.0]]])
    maps = torch.tensor([[[0.9, 0.5, 0.25, 0.7]], [[0.5, 0.9, 0.9, 0.7]], [[0.9, 0.9, 0.9, 0.9]]])
    # Others of the first: 0, 1, 0.5, 0; of the second: 1, 0, 0, 0; the third is the only query of its image.
    torch.testing.assert_close(
        mass_on_others(maps, targets, [2, 0, 1]), torch.tensor([(0.5 + 0.125) / 1.5, 0.5, 0.0]), atol=1e-6, rtol=0
    )
    assert mass_on_others(maps, targets, [1, 1, 1]).tolist() == [0.0] * 3


def test_unknown_reduction():
    with pytest.raises(ConfigError, match='reduction "max"'):
        MapL1Loss('max')
