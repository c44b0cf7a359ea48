"""Losses over a batch of matching (image, text) pairs."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xemap.errors import ConfigError
from xemap.registry import MODELS

MAX_SCALE = 100.0
"""CLIP's upper limit of the factor on similarities."""


def _check(similarity: Tensor, matching: Tensor) -> None:
    if similarity.ndim != 2 or similarity.shape != matching.shape or similarity.shape[0] != similarity.shape[1]:
        raise ConfigError(
            f'similarities {tuple(similarity.shape)} and matches {tuple(matching.shape)} must be (N, N) for N pairs'
        )


@MODELS.register_module()
class HardTripletLoss(nn.Module):
    """Hinge of the margin between a pair and its negatives, in both directions (VSE++).

    For pair i with similarity s_ii: max(0, margin + s_ij - s_ii) over the texts j and
    max(0, margin + s_ji - s_ii) over the images j. With ``hardest`` only the largest of each direction
    counts, else their sum. Summed over the batch.

    From random weights the hardest negatives may pull everything to one point; begin with
    ``hardest=False`` or :class:`ContrastiveLoss` there.

    Args:
        margin: in similarity.
        hardest: see above.
    """

    def __init__(self, margin: float = 0.2, hardest: bool = True) -> None:
        super().__init__()
        self.margin, self.hardest = margin, hardest

    def forward(self, similarity: Tensor, matching: Tensor) -> Tensor:
        """Loss of a batch.

        Args:
            similarity: (N, N) of images (rows) and texts (columns); pairs on the diagonal.
            matching: (N, N) bool, True where image and text belong together, the diagonal included; none
                of these is a negative.

        Returns:
            scalar.
        """
        _check(similarity, matching)
        matched = similarity.diagonal()
        for_images = (self.margin + similarity - matched[:, None]).clamp(min=0).masked_fill(matching, 0)
        for_texts = (self.margin + similarity - matched[None, :]).clamp(min=0).masked_fill(matching, 0)
        if self.hardest:
            return for_images.amax(1).sum() + for_texts.amax(0).sum()
        return for_images.sum() + for_texts.sum()


@MODELS.register_module()
class HardestBCELoss(nn.Module):
    """Binary cross-entropy of a pair and its hardest negative, in both directions (CAMP).

    For pair i with probability m_ii: -2 log m_ii - log(1 - max_j m_ij) - log(1 - max_j m_ji) over its negatives j,
    averaged over the batch.
    """

    def forward(self, logits: Tensor, matching: Tensor) -> Tensor:
        """Loss of a batch; arguments as for :class:`HardTripletLoss`, logits in place of similarities."""
        _check(logits, matching)
        negatives = logits.masked_fill(matching, float('-inf'))  # -log(1 - 0) = 0 where there is none
        hardest = F.softplus(negatives.amax(1)) + F.softplus(negatives.amax(0))
        return (2 * F.softplus(-logits.diagonal()) + hardest).mean()


@MODELS.register_module()
class ContrastiveLoss(nn.Module):
    """CLIP's symmetric cross-entropy (InfoNCE), averaged over the batch and both directions.

    Args:
        temperature: initial divisor of the similarities; its inverse is learned, at most
            :data:`MAX_SCALE`. None: what is given is used as it is.
    """

    def __init__(self, temperature: float | None = 0.07) -> None:
        super().__init__()
        if temperature is not None and not temperature > 0:
            raise ConfigError(f'ContrastiveLoss: temperature={temperature!r}; give a positive number or None')
        self.log_scale = None if temperature is None else nn.Parameter(torch.tensor(-math.log(temperature)))

    def forward(self, similarity: Tensor, matching: Tensor) -> Tensor:
        """Loss of a batch; arguments as for :class:`HardTripletLoss`."""
        _check(similarity, matching)
        logits = similarity
        if self.log_scale is not None:
            logits = similarity * self.log_scale.clamp(max=math.log(MAX_SCALE)).exp()
        target = torch.arange(len(logits), device=logits.device)
        others = matching & ~torch.eye(len(logits), dtype=torch.bool, device=logits.device)
        logits = logits.masked_fill(others, float('-inf'))
        return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
