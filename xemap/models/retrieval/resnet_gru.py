"""The parts of models that compare a ResNet's last level with the states of a GRU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import nn

from xemap.models.retrieval.amfmn import build_backbone, level_widths
from xemap.models.retrieval.base import RetrievalModel
from xemap.models.retrieval.vocabulary import Vocabulary
from xemap.models.retrieval.word_encoders import WordGRU


class ResNetGRU(RetrievalModel):
    """A ResNet with a projection of its last level, and a GRU over words; a subclass says what of them is compared.

    Args:
        vocabulary: see :class:`~xemap.models.retrieval.word_encoders.WordEmbedding`.
        backbone, backbone_weights: see :func:`~xemap.models.retrieval.amfmn.build_backbone`.
        embed_dim: width of the common space and of the GRU.
        word_dim: width of word vectors.
        image_size, loss, kwargs: see :class:`RetrievalModel`.
    """

    bidirectional: ClassVar[bool] = False
    """Whether the GRU reads the words in both directions."""

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
        self.text = WordGRU(vocabulary, word_dim, embed_dim, bidirectional=self.bidirectional)
