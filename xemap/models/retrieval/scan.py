"""SCAN: every word of a text looks for its regions of the image (stacked cross attention, text to image)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from xemap.errors import ConfigError
from xemap.models.retrieval.amfmn import build_backbone, level_widths
from xemap.models.retrieval.base import RetrievalModel, unit
from xemap.models.retrieval.vocabulary import Vocabulary
from xemap.models.retrieval.word_encoders import WordGRU
from xemap.registry import MODELS

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
        pooling: of the words, ``'mean'`` or ``'lse'``.
        sharp: of ``'lse'``.
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
        lengths = torch.tensor([len(own) for own in words], device=regions.device)
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
class SCAN(RetrievalModel):
    """Cells of a ResNet's last level as regions (as in the comparison of the SeLo paper); words by a two-way GRU.

    It trains, localizes and is evaluated with :class:`ScanSimilarity`, which needs all regions and words.
    Where one vector is asked for (:meth:`encode_images`, :meth:`encode_texts`), it is the normalised mean
    of the unit vectors of regions or words: their dot product is, up to its scale, the mean cosine of all
    regions and words, that is the similarity with attention switched off. Training never sees it.

    Args:
        vocabulary: see :class:`~xemap.models.retrieval.word_encoders.WordEmbedding`.
        backbone, backbone_weights: see :func:`~xemap.models.retrieval.amfmn.build_backbone`.
        embed_dim: width of the common space and of the GRU.
        word_dim: width of word vectors.
        image_size, loss, kwargs: see :class:`RetrievalModel`.
        attention: arguments of :class:`ScanSimilarity`.
    """

    def __init__(
        self,
        vocabulary: Vocabulary | Mapping[str, Any] | None = None,
        backbone: dict | None = None,
        backbone_weights: str | None = None,
        embed_dim: int = 1024,
        word_dim: int = 300,
        image_size: int = 256,
        loss: dict | None = None,
        attention: dict | None = None,
        **kwargs,
    ) -> None:
        super().__init__(loss or dict(type='HardTripletLoss', margin=0.2), image_size, **kwargs)
        self.backbone = build_backbone(backbone, backbone_weights)
        self.image_fc = nn.Linear(level_widths(self.backbone)[-1], embed_dim)
        self.text = WordGRU(vocabulary, word_dim, embed_dim, bidirectional=True)
        self.attention = ScanSimilarity(**(attention or {}))

    def encode_images(self, pixels: Tensor) -> Tensor:
        return unit(self.image_features(pixels).mean(1))

    def encode_texts(self, texts: list[str]) -> Tensor:
        return _pooled(self.text_features(texts))

    def image_features(self, pixels: Tensor) -> Tensor:
        """Regions (n, R, D), each of unit length."""
        self.check_size(pixels)
        cells = self.backbone(pixels)[-1].flatten(2).transpose(1, 2)
        return unit(self.image_fc(cells))

    def text_features(self, texts: list[str]) -> list[Tensor]:
        """Words of each text, (L, D), each of unit length."""
        states, lengths = self.text(texts)
        return [own[:length] for own, length in zip(unit(states), lengths.tolist())]

    def similarity(self, images: Tensor, texts: Sequence[Tensor]) -> Tensor:
        return self.attention(images, texts)


def _pooled(words: Sequence[Tensor]) -> Tensor:
    return unit(torch.stack([own.mean(0) for own in words]))
