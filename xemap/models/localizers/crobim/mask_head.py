"""Masks from fused image and text tokens (CroBIM eq. 17)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xemap.errors import ConfigError
from xemap.models.heads import FusedTokens, PixelHead
from xemap.registry import MODELS

LEVELS = ('sum', 'finest')


@MODELS.register_module()
class MaskHead(PixelHead):
    """The product of every position with the text's first token.

    ``V_out = Resample(Conv_i(V_i))`` summed over the levels, ``Y(i, j) = V_out(i, j) . L_out`` with ``L_out`` the
    text's first token ([CLS]), then bilinearly to the input's size. Convolution (1 x 1), resampling and
    product are linear: the product is taken per level first, so that one channel is resampled and not D.

    Concatenating the levels before one convolution is the same function with one bias, so it is no option.

    Args:
        embed_dims: width D of the tokens.
        num_levels: levels of image tokens.
        levels: ``'sum'`` of all, or the ``'finest'`` alone.
        logit_scale: factor on the product; None = ``D ** -0.5``, since both sides come out of layer norms. The print
            has 1.
        align_corners: how levels are resampled, see :func:`torch.nn.functional.interpolate`.
        loss: config of the mask loss, which returns one value per pair.

    Raises:
        ConfigError: an unknown choice.
    """

    def __init__(
        self,
        embed_dims: int = 256,
        num_levels: int = 4,
        levels: str = 'sum',
        logit_scale: float | None = None,
        align_corners: bool = False,
        loss: dict | None = None,
    ) -> None:
        super().__init__(loss)
        if levels not in LEVELS:
            raise ConfigError(f'MaskHead: levels "{levels}" is unknown; use one of {", ".join(LEVELS)}')
        count = num_levels if levels == 'sum' else 1
        self.convs = nn.ModuleList([nn.Conv2d(embed_dims, embed_dims, 1) for _ in range(count)])
        self.logit_scale = embed_dims**-0.5 if logit_scale is None else logit_scale
        self.align_corners = align_corners

    def forward(self, fused: FusedTokens, size: tuple[int, int] | None = None) -> Tensor:
        """Logits of N pairs.

        Args:
            fused: tokens of the levels, the finest first; the text's first token is [CLS].
            size: (H, W) of the masks; None = that of the network's input.

        Returns:
            (N, H, W) float32.
        """
        shapes = fused.shapes
        query = fused.text[:, 0] * self.logit_scale
        tokens = fused.vision.split([h * w for h, w in shapes], 1)
        logits = query.new_zeros((), dtype=torch.float32)
        for conv, level, shape in zip(self.convs, tokens, shapes):
            weight, bias = conv.get_parameter('weight').flatten(1), conv.get_parameter('bias')
            # The convolution is applied to the text instead.
            product = torch.einsum('npd,nd->np', level, query @ weight) + (query @ bias)[:, None]
            logits = logits + self._resize(product.float().view(-1, 1, *shape), shapes[0])
        return self._resize(logits, size or fused.size)[:, 0]

    def _resize(self, maps: Tensor, size: tuple[int, int]) -> Tensor:
        if tuple(maps.shape[-2:]) == tuple(size):
            return maps
        return F.interpolate(maps, size, mode='bilinear', align_corners=self.align_corners)
