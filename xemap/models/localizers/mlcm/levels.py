"""Levels of the image: the projected backbone output and coarser ones below it (paper section IV.B)."""

from __future__ import annotations

from mmengine.model import BaseModule
from torch import Tensor, nn

from xemap.errors import ConfigError


class AddedLevels(BaseModule):
    """The backbone's last output at the network's width, and ``num_added`` coarser levels.

    An added level is a 1 x 1 convolution and a 3 x 3 convolution of stride 2 without padding, with bias, without norm
    or activation; the first reads the backbone's output, not its projection. From n tokens per side it makes
    ``floor((n - 3) / 2) + 1``: 20, 9, 4, 1 at 640 pixels.

    Args:
        in_channels: number of channels of the backbone's output.
        width: width of every level.
        num_added: levels below the first.
    """

    def __init__(self, in_channels: int, width: int = 256, num_added: int = 3) -> None:
        super().__init__()
        self.input_proj = nn.Conv2d(in_channels, width, 1)
        inputs = [in_channels, *[width] * (num_added - 1)][:num_added]
        self.added = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, width // 2, 1), nn.Conv2d(width // 2, width, 3, stride=2))
            for channels in inputs
        )

    def forward(self, feature: Tensor) -> list[Tensor]:
        """Levels, the finest first.

        Args:
            feature: (B, in_channels, h, w), the backbone's last output.

        Returns:
            (B, width, h, w) and the added levels (B, width, h', w').

        Raises:
            ConfigError: the image is too small for the last level.
        """
        levels = [self.input_proj(feature)]
        for number, convs in enumerate(self.added, start=1):
            if min(feature.shape[-2:]) < 3:
                height, width = feature.shape[-2:]
                raise ConfigError(
                    f'added level {number} of {len(self.added)} needs 3 x 3 tokens above it, there are {height} x '
                    f'{width}; give larger images (480 pixels for 3 levels at stride 32) or set model.num_added to '
                    f'{number - 1}'
                )
            feature = convs(feature)
            levels.append(feature)
        return levels
