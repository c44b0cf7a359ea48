"""VSE++: a global image vector and a GRU, trained with the hardest negatives."""

from __future__ import annotations

from torch import Tensor

from xemap.models.retrieval.base import unit
from xemap.models.retrieval.resnet_gru import ResNetGRU
from xemap.registry import MODELS


@MODELS.register_module()
class VSEPP(ResNetGRU):
    """Pooled ResNet-18 (as in the comparison of the SeLo paper) and the last state of a GRU.

    Arguments: see :class:`~xemap.models.retrieval.resnet_gru.ResNetGRU`.
    """

    def encode_images(self, pixels: Tensor) -> Tensor:
        self.check_size(pixels)
        return unit(self.image_fc(self.backbone(pixels)[-1].mean((2, 3))))

    def encode_texts(self, texts: list[str]) -> Tensor:
        return unit(self.text.last(texts))
