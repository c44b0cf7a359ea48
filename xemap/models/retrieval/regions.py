"""Images as regions and texts as words: what SCAN and CAMP have in common."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from xemap.models.retrieval.base import unit
from xemap.models.retrieval.resnet_gru import ResNetGRU


class RegionWordModel(ResNetGRU):
    """Cells of a ResNet's last level as regions (as in the comparison of the SeLo paper); words by a two-way GRU.

    A subclass compares all regions with all words in :meth:`similarity`. Where one vector is needed
    (:meth:`encode_images`, :meth:`encode_texts`), it is the normalized mean of the unit vectors of regions or words:
    their dot product is, up to its scale, the mean cosine of all regions and words. Training never sees it.

    Arguments: see :class:`~xemap.models.retrieval.resnet_gru.ResNetGRU`.
    """

    bidirectional = True

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
