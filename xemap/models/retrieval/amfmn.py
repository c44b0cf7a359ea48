"""AMFMN: multi-scale visual self-attention and a GRU (paper 'Exploring a fine-grained multiscale method')."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xemap.errors import ConfigError
from xemap.models.retrieval.base import RetrievalModel, unit
from xemap.models.retrieval.vocabulary import Vocabulary
from xemap.models.retrieval.word_encoders import WordGRU
from xemap.registry import MODELS

RESNET18 = dict(type='ResNet', depth=18, out_indices=(0, 1, 2, 3), norm_eval=False, style='pytorch')
"""MMDetection's ResNet-18, whose weight names are torchvision's."""


def build_backbone(config: dict | None, weights: str | None) -> nn.Module:
    """A ResNet with four levels.

    Args:
        config: config of the backbone; None takes :data:`RESNET18`.
        weights: what it starts from: a file of torchvision's weights, or ``torchvision://resnet18`` where
            there is a network; None: random.
    """
    init = {} if weights is None else {'init_cfg': dict(type='Pretrained', checkpoint=weights)}
    return MODELS.build({**(config or RESNET18), **init})


def level_widths(backbone: Any) -> list[int]:
    """Channels of the four levels of a ResNet."""
    return [backbone.feat_dim >> (3 - level) for level in range(4)]


class ScaleAttention(nn.Module):
    """Which parts of the global vector an image's low and high levels ask for.

    Levels 1 and 2 (strides 4, 8) and levels 3 and 4 (strides 16, 32) are each brought together and
    reduced to three channels at stride 16; the mean of the high ones is added to all six. Two 1 x 1
    convolutions make one channel each, the first weighed by the sigmoid of the second.

    Args:
        widths: channels of the four levels.
        image_size: side of the image in pixels.
        out_dim: length of the result.
    """

    def __init__(self, widths: list[int], image_size: int, out_dim: int) -> None:
        super().__init__()
        self.low = nn.Conv2d(widths[0] + widths[1], 3, 3, stride=4)
        self.high = nn.Conv2d(widths[2] + widths[3], 3, 1)
        self.main = nn.Conv2d(6, 1, 1)
        self.attention = nn.Conv2d(6, 1, 1)
        self.fc = nn.Linear((image_size // 16) ** 2, out_dim)

    def forward(self, levels: tuple[Tensor, ...]) -> Tensor:
        """Four levels (n, C, h, w) -> (n, out_dim) in (0, 1)."""
        low = self.low(torch.cat([levels[0], _twice(levels[1])], 1))
        high = self.high(torch.cat([levels[2], _twice(levels[3])], 1))
        both = torch.cat([low, high], 1) + high.mean(1, keepdim=True)
        scene = self.main(both) * self.attention(both).sigmoid()
        return self.fc(scene.flatten(1)).sigmoid()


def _twice(level: Tensor) -> Tensor:
    return F.interpolate(level, scale_factor=2, mode='bilinear', align_corners=False)


@MODELS.register_module()
class AMFMN(RetrievalModel):
    """ResNet-18 whose pooled vector is gated by :class:`ScaleAttention`; words through a wide GRU.

    The reference starts the GRU from skip-thought vectors, which cannot be had any more.

    Args:
        vocabulary: see :class:`~xemap.models.retrieval.word_encoders.WordEmbedding`.
        backbone, backbone_weights: see :func:`build_backbone`.
        embed_dim: width of the common space.
        word_dim: width of word vectors.
        gru_width: width of the GRU.
        image_size: multiple of 32.
        loss: see :class:`RetrievalModel`.
        kwargs: ``mean``, ``std`` and ``init_cfg`` of :class:`RetrievalModel`.

    Raises:
        ConfigError: ``image_size`` is no multiple of 32.
    """

    def __init__(
        self,
        vocabulary: Vocabulary | Mapping[str, Any] | None = None,
        backbone: dict | None = None,
        backbone_weights: str | None = None,
        embed_dim: int = 512,
        word_dim: int = 620,
        gru_width: int = 2400,
        image_size: int = 256,
        loss: dict | None = None,
        **kwargs,
    ) -> None:
        if image_size % 32:
            raise ConfigError(f'AMFMN: image_size={image_size}; give a multiple of 32')
        super().__init__(loss or dict(type='HardTripletLoss', margin=0.2), image_size, **kwargs)
        self.backbone = build_backbone(backbone, backbone_weights)
        widths = level_widths(self.backbone)
        self.scales = ScaleAttention(widths, image_size, embed_dim)
        self.image_fc = nn.Linear(widths[-1], embed_dim)
        self.text = WordGRU(vocabulary, word_dim, gru_width)
        self.text_fc = nn.Linear(gru_width, embed_dim)

    def encode_images(self, pixels: Tensor) -> Tensor:
        self.check_size(pixels)
        levels = self.backbone(pixels)
        whole = self.image_fc(levels[-1].mean((2, 3)))
        return unit(whole * self.scales(levels))

    def encode_texts(self, texts: list[str]) -> Tensor:
        return unit(self.text_fc(self.text.last(texts)).relu())
