"""Images as regions and texts as words: what SCAN and CAMP have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from xemap.models.retrieval.amfmn import build_backbone, level_widths
from xemap.models.retrieval.base import RetrievalModel, unit
from xemap.models.retrieval.vocabulary import Vocabulary
from xemap.models.retrieval.word_encoders import WordGRU


class RegionWordModel(RetrievalModel):
    """Cells of a ResNet's last level as regions (as in the comparison of the SeLo paper); words by a two-way GRU.

    A subclass compares all regions with all words in :meth:`similarity`. Where one vector is needed
    (:meth:`encode_images`, :meth:`encode_texts`), it is the normalized mean of the unit vectors of regions or words:
    their dot product is, up to its scale, the mean cosine of all regions and words. Training never sees it.

    Args:
        vocabulary: see :class:`~xemap.models.retrieval.word_encoders.WordEmbedding`.
        backbone, backbone_weights: see :func:`~xemap.models.retrieval.amfmn.build_backbone`.
        embed_dim: width of the common space and of the GRU.
        word_dim: width of word vectors.
        image_size, loss, kwargs: see :class:`RetrievalModel`.
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
        **kwargs,
    ) -> None:
        super().__init__(loss or dict(type='HardTripletLoss', margin=0.2), image_size, **kwargs)
        self.backbone = build_backbone(backbone, backbone_weights)
        self.image_fc = nn.Linear(level_widths(self.backbone)[-1], embed_dim)
        self.text = WordGRU(vocabulary, word_dim, embed_dim, bidirectional=True)

    def encode_images(self, pixels: Tensor) -> Tensor:
        return unit(self.image_features(pixels).mean(1))

    def encode_texts(self, texts: list[str]) -> Tensor:
        return unit(torch.stack([words.mean(0) for words in self.text_features(texts)]))

    def image_features(self, pixels: Tensor) -> Tensor:
        """Regions (n, R, D), each of unit length."""
        self.check_size(pixels)
        cells = self.backbone(pixels)[-1].flatten(2).transpose(1, 2)
        return unit(self.image_fc(cells))

    def text_features(self, texts: list[str]) -> Sequence[Tensor]:
        """Words of each text, (L, D), each of unit length."""
        states, lengths = self.text(texts)
        return [text[:length] for text, length in zip(unit(states), lengths.tolist())]
