"""LAVT's decoder: fused features of all stages, from the coarsest to the finest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from xemap.models.heads import PixelHead


@dataclass(frozen=True)
class FusedLevels:
    """Features of N pairs at every stage.

    Args:
        levels: (N, C_i, H_i, W_i), the finest first.
        size: (H, W) of the network's input.
        counts: pairs of each of the B images.
    """

    levels: Sequence[Tensor]
    size: tuple[int, int]
    counts: Sequence[int]


class TopDownHead(PixelHead):
    """``Y_4 = F_4``, ``Y_i = Conv(Conv([up(Y_(i+1)); F_i]))`` with 3 x 3 convolutions, then one logit per pixel.

    Args:
        in_channels: channels of the stages, the finest first.
        width: channels of the decoder; None = half of the coarsest stage's.
        loss: see :class:`~xemap.models.heads.PixelHead`; LAVT has cross entropy alone.
    """

    def __init__(self, in_channels: Sequence[int], width: int | None = None, loss: dict | None = None) -> None:
        super().__init__(loss or dict(type='BCEDiceLoss', ce_weight=1.0))
        width = width or in_channels[-1] // 2
        options = dict(padding=1, bias=False, norm_cfg=dict(type='BN'))
        self.layers = nn.ModuleList()
        above = in_channels[-1]
        for channels in reversed(in_channels[:-1]):
            self.layers.append(
                nn.Sequential(
                    ConvModule(above + channels, width, 3, **options), ConvModule(width, width, 3, **options)
                )
            )
            above = width
        self.out = nn.Conv2d(above, 1, 1)

    def forward(self, fused: FusedLevels, size: tuple[int, int] | None = None) -> Tensor:
        """(N, H, W) float32 logits of N pairs, of ``size`` or that of the network's input."""
        out = fused.levels[-1]
        for layer, level in zip(self.layers, reversed(fused.levels[:-1])):
            above = F.interpolate(out, level.shape[-2:], mode='bilinear', align_corners=True)
            out = layer(torch.cat([above, level], 1))
        logits = self.out(out).float()
        return F.interpolate(logits, size or fused.size, mode='bilinear', align_corners=True)[:, 0]
