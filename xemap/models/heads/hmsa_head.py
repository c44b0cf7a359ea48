"""Hierarchical multi-scale semantic alignment (paper section III.C)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xemap.errors import ConfigError
from xemap.models.fusion.deformable import LevelShapes
from xemap.registry import MODELS

POOLINGS = ('mean', 'max', 'first')


def pool_text(text: Tensor, padding: Tensor, pooling: str) -> Tensor:
    """One vector a text from its real tokens.

    Args:
        text: (N, S, C).
        padding: (N, S) bool, True = padding.
        pooling: ``'mean'``, ``'max'`` or ``'first'`` (the paper's Table 3).

    Returns:
        (N, C).
    """
    if pooling == 'first':
        return text[:, 0]
    if pooling == 'max':
        return text.masked_fill(padding[..., None], float('-inf')).amax(1)
    keep = (~padding).to(text.dtype)[..., None]
    return (text * keep).sum(1) / keep.sum(1)


@MODELS.register_module()
class HMSAHead(nn.Module):
    """Correlation of a text vector with every image position at every level; no parameters.

    Eq. 2: ``c(p, q) = g(p, q) . s`` with both vectors of unit length; ``(c + 1) / 2`` is brought to the
    wanted size bilinearly, and eq. 3 takes the mean over levels.

    Args:
        pooling: how the text vector s is made from the fused text tokens, see :func:`pool_text`.
        loss: config of the map loss.

    Raises:
        ConfigError: an unknown pooling.
    """

    def __init__(self, pooling: str = 'mean', loss: dict | None = None) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise ConfigError(f'HMSAHead: pooling "{pooling}" is unknown; use one of {", ".join(POOLINGS)}')
        self.pooling = pooling
        self.loss = MODELS.build(loss or dict(type='MapL1Loss'))

    def forward(
        self, vision: Tensor, shapes: LevelShapes, text: Tensor, text_padding: Tensor, size: tuple[int, int]
    ) -> Tensor:
        """Correlation maps of N pairs.

        Args:
            vision: (N, P, C) fused image tokens, the levels one after another.
            shapes: (h, w) of every level.
            text: (N, S, C) fused text tokens.
            text_padding: (N, S) bool, True = padding.
            size: (H, W) of the maps.

        Returns:
            (N, H, W) float32 in [0, 1].
        """
        with torch.autocast(vision.device.type, enabled=False):  # the product would be of half precision
            semantic = F.normalize(pool_text(text.float(), text_padding, self.pooling), dim=-1)  # (N, C)
            correlation = torch.einsum('npc,nc->np', F.normalize(vision.float(), dim=-1), semantic)
        levels = ((correlation + 1) / 2).split([h * w for h, w in shapes], dim=1)
        maps = [
            F.interpolate(level.view(-1, 1, *shape), size, mode='bilinear', align_corners=False)
            for level, shape in zip(levels, shapes)
        ]
        # Rounding can leave a cosine a few ulp outside [-1, 1].
        return torch.stack(maps).mean(0)[:, 0].clamp(0, 1)
