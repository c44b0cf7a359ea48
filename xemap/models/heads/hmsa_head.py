"""Hierarchical multi-scale semantic alignment (paper section III.C)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xemap.errors import ConfigError
from xemap.models.heads.base import FusedTokens, Head, batch_targets, loss_per_pair, mean_over_pairs
from xemap.models.heads.pooling import find_pooling
from xemap.models.losses import mass_on_others
from xemap.registry import MODELS
from xemap.structures import MapAnswers, XeMapDataSample


@MODELS.register_module()
class HMSAHead(Head):
    """Correlation of a text vector with every image position at every level; without parameters by default.

    Eq. 2: ``c(p, q) = g(p, q) . s`` with both vectors of unit length; ``(c + 1) / 2`` is brought to the
    size of the map bilinearly, and eq. 3 takes the mean over levels.

    With ``logit_scale`` the map is ``sigmoid(a c + b)`` in place of ``(c + 1) / 2``, a and b learned; the mean over
    levels is then taken before the sigmoid. A map near 0 or 1 no longer needs vectors that are opposite or equal, which
    a network from scratch learns slowly.

    Args:
        pooling: how the text vector s is made from the fused text tokens, a name in
            :data:`~xemap.models.heads.pooling.TEXT_POOLINGS`.
        loss: config of the map loss: predictions and targets (N, H, W) -> one value per pair or per pixel.
        level_weights: weights of the levels in the mean, the finest first, scaled to a sum of 1; None = equal. With
            ``[1, 0, 0, 0]`` the map is the sub-map of the first of four levels.
        learn_level_weights: train them, as a softmax of a parameter that starts at their logarithms.
        logit_scale: the value of a at the start, positive; b starts at 0. None = ``(c + 1) / 2``, as the paper has it.
        contrast_weight: factor of a second loss, which compares the queries of one image: the mean of a map over what
            only other queries refer to, see :func:`~xemap.models.losses.mass_on_others`. 0 = off.

    Raises:
        ConfigError: an unknown pooling, weights that do not fit, a negative contrast weight, or a logit scale that is
            not positive.
    """

    form = 'map'
    level_weights: Tensor | None

    def __init__(
        self,
        pooling: str = 'mean',
        loss: dict | None = None,
        level_weights: Sequence[float] | None = None,
        learn_level_weights: bool = False,
        logit_scale: float | None = None,
        contrast_weight: float = 0.0,
    ) -> None:
        super().__init__()
        if not contrast_weight >= 0:
            raise ConfigError(f'HMSAHead: contrast_weight={contrast_weight}; give a number of at least 0')
        self.contrast_weight = contrast_weight
        if logit_scale is not None and not logit_scale > 0:
            raise ConfigError(f'HMSAHead: logit_scale={logit_scale}; give a positive number, as 5.0, or None')
        self.log_scale = None if logit_scale is None else nn.Parameter(torch.tensor(math.log(logit_scale)))
        self.logit_bias = None if logit_scale is None else nn.Parameter(torch.tensor(0.0))
        self.pool = find_pooling(pooling)
        self.map_loss: nn.Module = MODELS.build(loss or dict(type='MapL1Loss'))
        low = 0.0 if level_weights is None else min(level_weights, default=-1.0)
        if low < 0 or (level_weights is not None and not sum(level_weights) > 0):
            raise ConfigError(f'HMSAHead: level_weights={level_weights}; give numbers of at least 0, not all 0')
        if learn_level_weights and (level_weights is None or low == 0):
            raise ConfigError(
                f'HMSAHead: learn_level_weights starts at positive level_weights, not at {level_weights}; give one '
                'for each level, as [1, 1, 1, 1]'
            )
        weights = None if level_weights is None else torch.tensor(level_weights) / sum(level_weights)
        self._only: int | None = None
        self.level_logits = nn.Parameter(weights.log()) if learn_level_weights and weights is not None else None
        self.register_buffer('level_weights', None if learn_level_weights else weights, persistent=False)

    def forward(self, fused: FusedTokens, size: tuple[int, int] | None = None) -> Tensor:
        """Correlation maps of N pairs.

        Args:
            fused: see :class:`FusedTokens`.
            size: (H, W) of the maps; None = that of the network's input.

        Returns:
            (N, H, W) float32 in [0, 1].
        """
        levels = self._levels(fused, size)
        if self._only is not None:
            return self._to_maps(levels[self._only])
        weights = self.level_weights if self.level_logits is None else self.level_logits.softmax(0)
        if weights is None:
            return self._to_maps(levels.mean(0))
        if len(weights) != len(levels):
            raise ConfigError(f'HMSAHead: {len(weights)} level_weights for {len(levels)} levels; give one for each')
        return self._to_maps(torch.einsum('l,lnhw->nhw', weights, levels))

    def level_maps(self, fused: FusedTokens, size: tuple[int, int] | None = None) -> Tensor:
        """The sub-map of each of the L levels; (L, N, H, W) float32 in [0, 1]."""
        return self._to_maps(self._levels(fused, size))

    def _to_maps(self, values: Tensor) -> Tensor:
        """Maps from :meth:`_levels` or their mean; rounding can leave a cosine a few ulp outside [-1, 1]."""
        return values.clamp(0, 1) if self.log_scale is None else values.sigmoid()

    def _levels(self, fused: FusedTokens, size: tuple[int, int] | None) -> Tensor:
        """``(c + 1) / 2``, or logits, of every level at the size of the maps; (L, N, H, W) float32."""
        with torch.autocast(fused.vision.device.type, enabled=False):  # the product would be of half precision
            semantic = F.normalize(self.pool(fused.text.float(), fused.text_padding), dim=-1)  # (N, C)
            correlation = torch.einsum('npc,nc->np', F.normalize(fused.vision.float(), dim=-1), semantic)
        if self.log_scale is None or self.logit_bias is None:
            values = (correlation + 1) / 2
        else:
            values = correlation * self.log_scale.exp() + self.logit_bias
        levels = values.split([h * w for h, w in fused.shapes], dim=1)
        maps = [
            F.interpolate(level.view(-1, 1, *shape), size or fused.size, mode='bilinear', align_corners=False)
            for level, shape in zip(levels, fused.shapes)
        ]
        return torch.stack(maps)[:, :, 0]

    def loss(self, fused: FusedTokens, samples: Sequence[XeMapDataSample]) -> dict[str, Tensor]:
        """``loss_map``, and ``loss_contrast`` where it has a weight, against ``gt_maps`` (Q, h, w) at their size."""
        targets = batch_targets(samples, 'gt_maps')
        maps = self(fused, (targets.shape[-2], targets.shape[-1]))
        targets = targets.to(maps.dtype)
        losses = {'loss_map': mean_over_pairs(loss_per_pair(self.map_loss, maps, targets))}
        if self.contrast_weight:
            others = mass_on_others(maps, targets, fused.counts)
            losses['loss_contrast'] = self.contrast_weight * mean_over_pairs(others)
        return losses

    def predict(self, fused: FusedTokens, samples: Sequence[XeMapDataSample]) -> list[MapAnswers]:
        return [MapAnswers(maps) for maps in self(fused).split(list(fused.counts))]

    @contextmanager
    def only_level(self, level: int) -> Iterator[None]:
        """Within the block the maps are the sub-maps of one level, counted from the finest, 0."""
        self._only = level
        try:
            yield
        finally:
            self._only = None
