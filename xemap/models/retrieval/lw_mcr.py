"""LW-MCR: a light network whose low and high features meet in a bilinear product; texts by convolution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import squeezenet1_1

from xemap.errors import CheckpointError, ConfigError
from xemap.models.checkpoint import read_state_dict
from xemap.models.retrieval.base import RetrievalModel, unit
from xemap.models.retrieval.vocabulary import Vocabulary
from xemap.models.retrieval.word_encoders import TextCNN
from xemap.registry import MODELS

SPLIT = 5
"""Layers of SqueezeNet 1.1 up to its second Fire module."""
_WIDTH = 64


class ChannelAttention(nn.Module):
    """A weight in (0, 1) for each channel, from its mean and maximum (CBAM)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(channels, channels // 2), nn.ReLU(), nn.Linear(channels // 2, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, h, w) -> the same shape."""
        weights = (self.fc(x.mean((2, 3))) + self.fc(x.amax((2, 3)))).sigmoid()
        return x * weights[:, :, None, None]


class SpatialAttention(nn.Module):
    """A weight in (0, 1) for each place, from the mean and maximum over channels by a 7 x 7 convolution (CBAM)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, h, w) -> the same shape."""
        places = torch.stack([x.mean(1), x.amax(1)], 1)
        return x * self.conv(places).sigmoid()


def _stage(in_channels: int, out_channels: int, pool: bool) -> nn.Sequential:
    layers = [
        nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1),
        nn.BatchNorm2d(out_channels),
        nn.PReLU(),
        ChannelAttention(out_channels),
        SpatialAttention(),
    ]
    return nn.Sequential(*layers, *([nn.MaxPool2d(2)] if pool else []))


@MODELS.register_module()
class LWMCR(RetrievalModel):
    """SqueezeNet 1.1, read out after its second Fire module (low) and after its last (high).

    Both are brought to 64 channels on one grid of P cells; ``low high^T / P`` is a 64 x 64 matrix, whose
    root is normalized over its rows and read as an image by two small convolution stages. Published: 256
    pixels, P = 1024.

    Args:
        vocabulary: see :class:`~xemap.models.retrieval.word_encoders.WordEmbedding`.
        backbone_weights: what SqueezeNet starts from: a file of torchvision's weights, or
            ``torchvision://squeezenet1_1`` where there is a network; None: random.
        embed_dim: width of the common space.
        word_dim: width of word vectors.
        image_size, loss, kwargs: see :class:`RetrievalModel`.

    Raises:
        ConfigError: an ``image_size`` at which the two grids differ; 128 and 256 fit.
    """

    def __init__(
        self,
        vocabulary: Vocabulary | Mapping[str, Any] | None = None,
        backbone_weights: str | None = None,
        embed_dim: int = 512,
        word_dim: int = 300,
        image_size: int = 256,
        loss: dict | None = None,
        **kwargs,
    ) -> None:
        super().__init__(loss or dict(type='HardTripletLoss', margin=0.2), image_size, **kwargs)
        self.backbone_weights = backbone_weights
        self.features = squeezenet1_1(weights=None).features
        self.low = _reduce(nn.Conv2d(128, _WIDTH, 3, stride=2, padding=1))
        self.high = _reduce(nn.Conv2d(512, _WIDTH, 1, padding=1))
        self.stages = nn.Sequential(_stage(1, 4, pool=True), _stage(4, 8, pool=False))
        self.image_fc = nn.Linear(8 * (_WIDTH // 8) ** 2, embed_dim)
        self.text = TextCNN(vocabulary, word_dim, out_dim=embed_dim)
        low, high = grid_sides(image_size)
        if low != high:
            raise ConfigError(
                f'LWMCR: at image_size={image_size} its low and high features have {low} and {high} cells per side; '
                'use 256, 128, or another size at which they agree'
            )

    def init_weights(self) -> None:
        """Load what the config names.

        Raises:
            CheckpointError: the file is missing or has no weights of SqueezeNet 1.1.
        """
        super().init_weights()
        if self.backbone_weights is None:
            return
        weights = read_state_dict(self.backbone_weights)
        features = {k.removeprefix('features.'): v for k, v in weights.items() if k.startswith('features.')}
        try:
            self.features.load_state_dict(features)
        except RuntimeError as error:
            raise CheckpointError(
                f"{self.backbone_weights} is no SqueezeNet 1.1 of torchvision's "
                f'({str(error).splitlines()[-1].strip()}); give a file of squeezenet1_1'
            ) from error

    def encode_images(self, pixels: Tensor) -> Tensor:
        self.check_size(pixels)
        low = self.features[:SPLIT](pixels)
        high = self.features[SPLIT:](low)
        low = self.low(low).flatten(2)
        high = self.high(F.interpolate(high, scale_factor=2, mode='bilinear', align_corners=False)).flatten(2)
        product = low @ high.transpose(1, 2) / low.shape[-1]
        scene = F.normalize((product + 1e-5).sqrt(), dim=1)
        return unit(self.image_fc(self.stages(scene[:, None]).flatten(1)))

    def encode_texts(self, texts: list[str]) -> Tensor:
        return unit(self.text(texts))


def _reduce(conv: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(conv, nn.BatchNorm2d(_WIDTH), nn.ReLU())


def grid_sides(image_size: int) -> tuple[int, int]:
    """Cells per side of the low and the high features at an image size in pixels."""
    side = (image_size - 3) // 2 + 1
    side = first = -(-(side - 3) // 2) + 1
    for _ in range(2):
        side = -(-(side - 3) // 2) + 1
    return (first - 1) // 2 + 1, 2 * side + 2
