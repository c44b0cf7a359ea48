from __future__ import annotations

import pytest
import torch

from xemap.errors import ConfigError
from xemap.models.losses import BalancedMapL1Loss, MapL1Loss

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


def test_unknown_reduction():
    with pytest.raises(ConfigError, match='reduction "max"'):
        MapL1Loss('max')
