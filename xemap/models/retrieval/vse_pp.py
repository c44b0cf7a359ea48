"""VSE++: a global image vector and a GRU, trained with the hardest negatives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from xemap.models.retrieval.amfmn import build_backbone, level_widths
from xemap.models.retrieval.base import RetrievalModel, unit
from xemap.models.retrieval.vocabulary import Vocabulary
from xemap.models.retrieval.word_encoders import WordGRU
from xemap.registry import MODELS


@MODELS.register_module()
class VSEPP(RetrievalModel):
    """Pooled ResNet-18 (as in the comparison of the SeLo paper) and the last state of a GRU.

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
        self.text = WordGRU(vocabulary, word_dim, embed_dim)

    def encode_images(self, pixels: Tensor) -> Tensor:
        self.check_size(pixels)
        return unit(self.image_fc(self.backbone(pixels)[-1].mean((2, 3))))

    def encode_texts(self, texts: list[str]) -> Tensor:
        return unit(self.text.last(texts))
