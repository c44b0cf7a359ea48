"""Losses between a predicted and an annotated correlation map."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from xemap.errors import ConfigError
from xemap.registry import MODELS

EPS = 1e-6


@MODELS.register_module()
class MapL1Loss(nn.Module):
    """Absolute differences, summed over the map (paper eq. 4) or averaged over it.

    With targets that are mostly zero, predicting background everywhere is this loss's median solution:
    train from pretrained weights, or use :class:`BalancedMapL1Loss`.

    Args:
        reduction: ``'sum'`` (eq. 4) or ``'mean'`` over the pixels of a map.
        weight: factor on the result.
    """

    def __init__(self, reduction: str = 'sum', weight: float = 1.0) -> None:
        super().__init__()
        if reduction not in ('sum', 'mean'):
            raise ConfigError(f'{type(self).__name__}: reduction "{reduction}" is unknown; use "sum" or "mean"')
        self.reduction = reduction
        self.weight = weight

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """One value per map.

        Args:
            prediction, target: (N, H, W) in [0, 1].

        Returns:
            (N,) losses; the caller decides how pairs are averaged.
        """
        per_map = (prediction - target).abs().flatten(1)
        return self.weight * (per_map.sum(1) if self.reduction == 'sum' else per_map.mean(1))


@MODELS.register_module()
class BalancedMapL1Loss(nn.Module):
    """L1 averaged separately over target and background, so that neither side can be ignored.

    ``(sum t|x - t| / sum t + sum (1 - t)|x - t| / sum (1 - t)) / 2`` with t the target map as soft
    membership; a side without any weight counts as zero.

    Args:
        weight: factor on the result.
    """

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Arguments and result as :meth:`MapL1Loss.forward`; each value is in [0, weight]."""
        return self.weight * _balanced((prediction - target).abs().flatten(1), target.flatten(1))


@MODELS.register_module()
class BalancedMapCELoss(nn.Module):
    """Cross entropy averaged separately over target and background, and Dice.

    ``(sum t e / sum t + sum (1 - t) e / sum (1 - t)) / 2 + d Dice`` with t the target map as soft membership, e the
    binary cross entropy of each pixel and ``Dice = 1 - (2 sum(x t) + 1) / (sum(x) + sum(t) + 1)``. The slope of L1 is
    the same however wrong a pixel is; that of the cross entropy is steepest where the map is surest of a wrong object.

    Args:
        dice_weight: d.
        weight: factor on the result.
    """

    def __init__(self, dice_weight: float = 1.0, weight: float = 1.0) -> None:
        super().__init__()
        self.dice_weight, self.weight = dice_weight, weight

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Arguments as :meth:`MapL1Loss.forward`; (N,) losses of at least 0."""
        prediction, target = prediction.float().flatten(1).clamp(EPS, 1 - EPS), target.float().flatten(1)
        # Not binary_cross_entropy, which autocast refuses.
        entropy = _balanced(-(target * prediction.log() + (1 - target) * (1 - prediction).log()), target)
        dice = 1 - (2 * (prediction * target).sum(1) + 1) / (prediction.sum(1) + target.sum(1) + 1)
        return self.weight * (entropy + self.dice_weight * dice)


def mass_on_others(maps: Tensor, targets: Tensor, counts: Sequence[int]) -> Tensor:
    """Mean of each query's map over what other queries of its image refer to, and it does not.

    With ``o_i = max(0, max_j t_j - t_i)`` over the queries j of the image it is ``sum(x_i o_i) / sum(o_i)``.

    Args:
        maps, targets: x and t, (N, H, W) in [0, 1].
        counts: pairs of each image, in their order.

    Returns:
        (N,) in [0, 1]; 0 where an image has no other referents.
    """
    images = [of_image for of_image in targets.split(list(counts)) if len(of_image)]
    highest = torch.cat([of_image.amax(0, keepdim=True).expand_as(of_image) for of_image in images])
    others = (highest - targets).flatten(1)
    return (maps.flatten(1) * others).sum(1) / others.sum(1).clamp(min=EPS)


def _balanced(error: Tensor, target: Tensor) -> Tensor:
    """Mean of the errors (N, P) over the target and over the background, each counting half; (N,)."""
    inside = (target * error).sum(1) / target.sum(1).clamp(min=EPS)
    outside = ((1 - target) * error).sum(1) / (1 - target).sum(1).clamp(min=EPS)
    return (inside + outside) / 2
