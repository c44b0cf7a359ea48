"""A neck that fits its backbone."""

from __future__ import annotations

import torch
from torch import nn

from xemap.registry import MODELS

PROBE = 64
"""Side of the image, in pixels, that tells how many channels a backbone's levels have."""


@torch.no_grad()
def level_channels(backbone: nn.Module) -> list[int]:
    """Channels of the levels that a backbone returns, seen on a small black image."""
    training = {module: module.training for module in backbone.modules()}
    backbone.eval()
    levels = backbone(next(backbone.parameters()).new_zeros(1, 3, PROBE, PROBE))
    for module, mode in training.items():
        module.training = mode
    return [level.shape[1] for level in levels]


def build_neck(config: dict, backbone: nn.Module) -> nn.Module:
    """Build a neck.

    Args:
        config: config of the neck; with ``in_channels='auto'`` it takes the channels of the backbone's levels.
        backbone: what comes before it.
    """
    if config.get('in_channels') == 'auto':
        config = {**config, 'in_channels': getattr(backbone, 'out_channels', None) or level_channels(backbone)}
    return MODELS.build(config)
