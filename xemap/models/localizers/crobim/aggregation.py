"""Language-guided aggregation of image features (the first half of LGFA, eqs. 3 to 7)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xemap.errors import ConfigError
from xemap.models.localizers.fusing import instance_norm

ATTENTIONS = ('words', 'channels')


class LanguageGuidedAggregation(nn.Module):
    """Every pixel of one stage attends to the words; what it gathers gates its features.

    With ``attend='words'``::

        Q = InstanceNorm(Conv(V)),  K = L W_k,  U = L W_v                                 eqs. 3, 4
        S = Q^T K^T / sqrt(C)                                                             eq. 5
        Att = GELU(Conv(softmax_words(S) U))                                              eq. 6
        V_l = Conv(Att) * V                                                               eq. 7

    ``'channels'`` takes the printed shapes literally: queries have one channel per token position, the softmax
    runs over the language channels, and padding takes part. Both convolutions are 1 x 1. The last one starts near
    the constant 1, so that the stage starts as the identity.

    Args:
        channels: C of the stage.
        text_width: D_l of the text encoder.
        attend: see above.
        num_tokens: length of the padded texts; ``'channels'`` needs it.

    Raises:
        ConfigError: an unknown choice.
    """

    def __init__(self, channels: int, text_width: int, attend: str = 'words', num_tokens: int = 20) -> None:
        super().__init__()
        if attend not in ATTENTIONS:
            raise ConfigError(
                f'LanguageGuidedAggregation: attend "{attend}" is unknown; use one of {", ".join(ATTENTIONS)}'
            )
        self.attend = attend
        words = attend == 'words'
        self.query = nn.Conv2d(channels, channels if words else num_tokens, 1)
        self.key = nn.Linear(text_width, channels if words else text_width)
        self.value = nn.Linear(text_width, channels if words else text_width)
        self.gate = nn.Conv2d(channels if words else num_tokens, channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        self.factor = 1 / math.sqrt(channels if words else num_tokens)
        nn.init.normal_(self.out.weight, std=0.02)
        nn.init.constant_(self.out.get_parameter('bias'), 1.0)

    def forward(self, vision: Tensor, text: Tensor, padding: Tensor, image_idx: Tensor) -> tuple[Tensor, Tensor]:
        """Aggregate for N pairs of B images with texts.

        Args:
            vision: (B, C, H, W).
            text: (N, S, D_l).
            padding: (N, S) bool, True = padding.
            image_idx: (N,) image of each pair.

        Returns:
            features (N, C, H, W), and scores S before the softmax: (N, H * W, S) for ``'words'``, where those of
            padding are meaningless, and (N, H * W, D_l) for ``'channels'``.

        Raises:
            ConfigError: the stage has a single cell, and ``'words'`` has to normalize over it.
        """
        size = vision.shape[-2:]
        query = self.query(vision)  # once per image
        if self.attend == 'words':
            query = instance_norm(query)
        query = query.flatten(2)[image_idx]
        key, value = self.key(text), self.value(text)
        gate, bias = self.gate.weight.flatten(1), self.gate.get_parameter('bias')
        if self.attend == 'words':
            scores = torch.einsum('ncp,nsc->nps', query, key) * self.factor
            weights = scores.masked_fill(padding[:, None], float('-inf')).float().softmax(-1).to(value.dtype)
            # The gate is linear, so it is applied to the few words and not to every pixel.
            gathered = weights @ (value @ gate.T) + bias
        else:
            scores = torch.einsum('nsp,nsd->npd', query, key) * self.factor
            weights = scores.float().softmax(-1).to(value.dtype)
            gathered = weights @ torch.einsum('nsd,cs->ndc', value, gate) + bias
        attention = F.gelu(gathered).transpose(1, 2).unflatten(-1, size)
        return self.out(attention) * vision[image_idx], scores
