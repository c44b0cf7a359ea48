"""Losses between predicted mask logits and annotated masks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xemap.errors import ConfigError
from xemap.registry import MODELS


@MODELS.register_module()
class BCEDiceLoss(nn.Module):
    """Binary cross entropy and Dice (CroBIM eq. 18): ``L = a * BCE + (1 - a) * Dice``.

    ``Dice = 1 - (2 sum(p y) + smooth) / (sum(p) + sum(y) + smooth)`` with ``p = sigmoid(logit)``.

    Args:
        ce_weight: a, in [0, 1].
        smooth: added above and below the line, so that an empty mask has a loss.
        square: sums of ``p^2`` and ``y^2`` below the line.
        pos_weight: factor of target pixels in the cross entropy.
        weight: factor on the result.

    Raises:
        ConfigError: a value out of range.
    """

    def __init__(
        self,
        ce_weight: float = 0.9,
        smooth: float = 1.0,
        square: bool = False,
        pos_weight: float | None = None,
        weight: float = 1.0,
    ) -> None:
        super().__init__()
        if not 0 <= ce_weight <= 1:
            raise ConfigError(f'BCEDiceLoss: ce_weight={ce_weight}; give a share in [0, 1]')
        if not smooth > 0 or (pos_weight is not None and not pos_weight > 0):
            raise ConfigError(f'BCEDiceLoss: smooth={smooth}, pos_weight={pos_weight}; give positive numbers')
        self.ce_weight, self.smooth, self.square, self.weight = ce_weight, smooth, square, weight
        self.pos_weight = pos_weight

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """One value per mask.

        Args:
            logits: (N, H, W).
            target: (N, H, W) in [0, 1].

        Returns:
            (N,) losses; the caller decides how pairs are averaged.
        """
        logits, target = logits.flatten(1).float(), target.flatten(1).float()
        pos_weight = None if self.pos_weight is None else logits.new_tensor(self.pos_weight)
        entropy = F.binary_cross_entropy_with_logits(logits, target, reduction='none', pos_weight=pos_weight).mean(1)
        predicted = torch.sigmoid(logits)
        both = (predicted * target).sum(1)
        total = (predicted**2 + target**2 if self.square else predicted + target).sum(1)
        dice = 1 - (2 * both + self.smooth) / (total + self.smooth)
        return self.weight * (self.ce_weight * entropy + (1 - self.ce_weight) * dice)
