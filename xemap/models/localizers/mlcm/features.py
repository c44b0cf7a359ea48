"""What the stages of MLCM hand to each other: images and texts each alone, then the pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers.utils import ModelOutput

from xemap.models.localizers.mlcm.decoder import ImageSide, Memory
from xemap.structures import XeMapDataSample


@dataclass
class MLCMFeatures(ModelOutput):
    """What the network computes for N pairs; P visual tokens in ``grid``.

    Args:
        box: (N, 4) cx, cy, w, h as parts of the input.
        fusion: (N, C) state of the token.
        attention: (N, P) of the token to the visual tokens in the last fusion layer.
        visual_tokens: (N, P, C) after the encoder.
        decoder: (N, P, C) after the decoder; the encoder's input where there is none.
        c5: (B, C', h, w) the backbone's last output.
        grid: (h, w).
        size: (H, W) of the input.
    """

    box: Tensor
    # ModelOutput wants defaults after the first; all are always there.
    fusion: Tensor = None  # type: ignore[assignment]
    attention: Tensor = None  # type: ignore[assignment]
    visual_tokens: Tensor = None  # type: ignore[assignment]
    decoder: Tensor = None  # type: ignore[assignment]
    c5: Tensor = None  # type: ignore[assignment]
    grid: tuple[int, int] = None  # type: ignore[assignment]
    size: tuple[int, int] = None  # type: ignore[assignment]


@dataclass
class EncodedImages:
    """What B images give before any text.

    Args:
        size: (H, W) of the input.
        c5: (B, C', h, w) the backbone's last output.
        grid: (h, w) of the finest level, P = h * w tokens.
        pos: (B, P, C) sine positions of the finest level.
        padding: (B, P) bool, True = padding; None = there is none.
        side: the decoder's image side; None where there is no decoder.
        visual: from :meth:`~xemap.models.localizers.mlcm.MLCM.encode_visual`; None where it depends on texts.
    """

    size: tuple[int, int]
    c5: Tensor
    grid: tuple[int, int]
    pos: Tensor
    padding: Tensor | None
    side: ImageSide | None
    visual: tuple[Tensor, Tensor, Tensor] | None


@dataclass
class EncodedTexts:
    """What T texts give before any image.

    Args:
        words: (T, S, C) projected for the fusion.
        padding: (T, S) bool, True = padding.
        memory: the decoder's text memory; None without text.
    """

    words: Tensor
    padding: Tensor
    memory: Memory | None


def letterbox_padding(inputs: Tensor, data_samples: Sequence[XeMapDataSample]) -> Tensor | None:
    """(B, H, W) bool, True = padding around the ``content`` of an input; None where all images fill theirs."""
    height, width = inputs.shape[-2:]
    contents = [sample.metainfo.get('content', (0, 0, width, height)) for sample in data_samples]
    if all(tuple(content) == (0, 0, width, height) for content in contents):
        return None
    padding = torch.ones(len(inputs), height, width, dtype=torch.bool, device=inputs.device)
    for mask, (x0, y0, x1, y1) in zip(padding, contents):
        mask[y0:y1, x0:x1] = False
    return padding
