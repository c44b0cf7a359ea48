"""SCAN: every word of a text looks for its regions of the image (stacked cross attention, text to image)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from xemap.errors import ConfigError
from xemap.models.retrieval.regions import RegionWordModel
from xemap.registry import MODELS, build_part

CHUNK = 1 << 24
"""Most (image, text, word, region) combinations at a time outside training; memory follows it."""


@MODELS.register_module()
class ScanSimilarity(nn.Module):
    """Similarity of images as regions and texts as words; no parameters are learned.

    With s_ij the cosine of word i and region j: negative ones are damped (leaky ReLU, 0.1), each region's
    are scaled to length one over the words, and a softmax over the regions at inverse temperature
    ``smooth`` makes the attention a_ij. A word's relevance is the cosine of the word and its attended
    region sum_j a_ij v_j; a text's is the mean over its words, or
    ``log(sum_i exp(sharp * r_i)) / sharp``.

    The attended regions are never built: with G = V V^T of an image, the cosine is
    sum_j a_ij s_ij / sqrt(a_i G a_i).

    Args:
        smooth: inverse temperature of the softmax over regions.
        pooling: pooling of the words, ``'mean'`` or ``'lse'``.
        sharp: sharpness of ``'lse'``.
    """

    def __init__(self, smooth: float = 9.0, pooling: str = 'mean', sharp: float = 6.0) -> None:
        super().__init__()
        if pooling not in ('mean', 'lse'):
            raise ConfigError(f'ScanSimilarity: pooling "{pooling}" is unknown; use "mean" or "lse"')
        self.smooth, self.pooling, self.sharp = smooth, pooling, sharp

    def forward(self, regions: Tensor, words: Sequence[Tensor]) -> Tensor:
        """Similarities.

        Args:
            regions: (n, R, D), each of unit length.
            words: t tensors (L_i, D), each row of unit length.

        Returns:
            (n, t) in [-1, 1] for ``'mean'``.
        """
        lengths = torch.tensor([len(text) for text in words], device=regions.device)
        padded = pad_sequence(list(words), batch_first=True)
        if torch.is_grad_enabled():
            return self._compare(regions, padded, lengths)
        step = max(1, CHUNK // (padded.shape[0] * padded.shape[1] * regions.shape[1]))
        return torch.cat([self._compare(part, padded, lengths) for part in regions.split(step)])

    def _compare(self, regions: Tensor, words: Tensor, lengths: Tensor) -> Tensor:
        real = torch.arange(words.shape[1], device=words.device) < lengths[:, None]
        cosine = torch.einsum('nrd,tld->ntlr', regions, words)
        damped = F.leaky_relu(cosine, 0.1)  # 0 where padding is
        attention = (self.smooth * F.normalize(damped, dim=2)).softmax(-1)
        gram = torch.einsum('nrd,nsd->nrs', regions, regions)
        flat = attention.flatten(1, 2)
        squared = (flat @ gram * flat).sum(-1).view(attention.shape[:3])
        relevance = (attention * cosine).sum(-1) / squared.clamp(min=1e-8).sqrt()
        if self.pooling == 'mean':
            return (relevance * real).sum(-1) / lengths
        return (self.sharp * relevance).masked_fill(~real, float('-inf')).logsumexp(-1) / self.sharp


@MODELS.register_module()
class SCAN(RegionWordModel):
    """Regions and words compared by :class:`ScanSimilarity`, in training, in the metric and under SeLo.

    Args:
        attention: arguments of :class:`ScanSimilarity`.
        kwargs: see :class:`~xemap.models.retrieval.regions.RegionWordModel`.
    """

    def __init__(self, attention: dict | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.attention = build_part(ScanSimilarity, 'attention', attention)

    def similarity(self, images: Tensor, texts: Sequence[Tensor]) -> Tensor:
        return self.attention(images, texts)
