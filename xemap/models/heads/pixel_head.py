"""Heads that answer with a mask."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from xemap.models.heads.base import Head, batch_targets, loss_per_pair, mean_over_pairs
from xemap.registry import MODELS
from xemap.structures import MaskAnswers, XeMapDataSample


class PixelHead(Head):
    """A logit for every pixel; a subclass gives :meth:`forward`.

    Args:
        loss: config of the mask loss, which returns one value per pair; default
            :class:`~xemap.models.losses.BCEDiceLoss`.
    """

    form = 'mask'

    def __init__(self, loss: dict | None = None) -> None:
        super().__init__()
        self.mask_loss = MODELS.build(loss or dict(type='BCEDiceLoss'))

    @abstractmethod
    def forward(self, fused: Any, size: tuple[int, int] | None = None) -> Tensor:
        """(N, H, W) float32 logits of N pairs, of ``size`` or that of the network's input."""

    def loss(self, fused: Any, samples: Sequence[XeMapDataSample]) -> dict[str, Tensor]:
        """``loss_mask``, against ``gt_masks`` (Q, h, w) of the samples, at their size."""
        targets = batch_targets(samples, 'gt_masks')
        logits = self(fused, (targets.shape[-2], targets.shape[-1]))
        return {'loss_mask': mean_over_pairs(loss_per_pair(self.mask_loss, logits, targets))}

    def predict(self, fused: Any, samples: Sequence[XeMapDataSample]) -> list[MaskAnswers]:
        """Probabilities of every pixel of the input."""
        return [MaskAnswers(masks) for masks in self(fused).sigmoid().split(list(fused.counts))]
