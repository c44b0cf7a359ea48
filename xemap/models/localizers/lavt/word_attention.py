"""Pixel-word attention and the language gate of LAVT (arXiv 2112.02244, section 3)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from xemap.models.localizers.fusing import instance_norm


class PixelWordAttention(nn.Module):
    """Every pixel gathers from the words what it is multiplied with.

    ``G = IN(W_w softmax((IN(W_q V))^T (W_k L) / sqrt(C)) (W_v L))``, ``F = ReLU(W_o(ReLU(W_m V) * G))``; all
    convolutions are 1 x 1, IN is instance normalization.

    Args:
        channels: C of the features V.
        text_width: width of the text tokens L.
    """

    def __init__(self, channels: int, text_width: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels, 1)
        self.key = nn.Linear(text_width, channels)
        self.value = nn.Linear(text_width, channels)
        self.gathered = nn.Linear(channels, channels)
        self.vision = nn.Conv2d(channels, channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, vision: Tensor, text: Tensor, padding: Tensor) -> Tensor:
        """Features (N, C, H, W), text (N, S, D_l) and its padding (N, S) bool -> (N, C, H, W).

        Raises:
            ConfigError: the features have a single cell.
        """
        query = instance_norm(self.query(vision)).flatten(2)
        scores = torch.einsum('ncp,nsc->nps', query, self.key(text)) / math.sqrt(query.shape[1])
        weights = scores.masked_fill(padding[:, None], float('-inf')).float().softmax(-1).to(query.dtype)
        # The projection of what is gathered is linear, so it is applied to the words and not to every pixel.
        gathered = weights @ self.gathered(self.value(text))  # weights sum to 1, so the bias stays itself
        gathered = instance_norm(gathered.transpose(1, 2).unflatten(-1, vision.shape[-2:]))
        return self.out(self.vision(vision).relu() * gathered).relu()


class LanguageGate(nn.Module):
    """How much of what was gathered goes on into the next stage: ``V + tanh(W_2 ReLU(W_1 F)) * F``.

    Args:
        channels: C of the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, vision: Tensor, fused: Tensor) -> Tensor:
        """Features and what was gathered for them, (N, C, H, W) each -> (N, C, H, W)."""
        return vision + self.gate(fused) * fused
