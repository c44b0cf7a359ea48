"""An MLCM small enough to run hundreds of times, and inputs for it."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope

from xemap.models.build import quiet
from xemap.models.localizers.mlcm import MLCM
from xemap.registry import MODELS

TEXT_WIDTH, WIDTH, WORDS = 48, 32, 12


def tiny_mlcm(**overrides: Any) -> ConfigDict:
    """Config of an MLCM for 128 pixels at stride 16: levels of 8 x 8, 3 x 3 and 1 x 1 tokens, no text encoder."""
    config = dict(
        type='MLCM',
        data_preprocessor=dict(type='ImgDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3, bgr_to_rgb=False),
        backbone=dict(
            type='ResNet',
            depth=18,
            base_channels=8,
            num_stages=3,
            strides=(1, 2, 2),
            dilations=(1, 1, 1),
            out_indices=(2,),
            norm_eval=False,
            style='pytorch',
        ),
        language_model=None,
        text_width=TEXT_WIDTH,
        head=dict(type='BoxHead'),
        in_channels=32,
        width=WIDTH,
        num_heads=4,
        feedforward=64,
        dropout=0.0,
        num_encoder_layers=2,
        num_fusion_layers=2,
        num_added=2,
        grid=(8, 8),
        max_words=WORDS,
    )
    return ConfigDict({**config, **overrides})


def build(config: dict, seed: int = 0) -> MLCM:
    """In eval mode, with norms and positions moved off their initial values."""
    torch.manual_seed(seed)
    with DefaultScope.overwrite_default_scope('xemap'), quiet():
        model = MODELS.build(config)
        model.init_weights()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def features(number: int, images: int | None = None, size: int = 128, seed: int = 0) -> dict[str, torch.Tensor]:
    """What ``forward_features`` takes, for ``number`` texts of 3 to all tokens."""
    generator = torch.Generator().manual_seed(seed)
    lengths = [3 + (5 * i) % (WORDS - 2) for i in range(number)]
    return dict(
        images=torch.randn(images or number, 3, size, size, generator=generator),
        words=torch.randn(number, WORDS, TEXT_WIDTH, generator=generator),
        sentence=torch.randn(number, TEXT_WIDTH, generator=generator).tanh(),
        word_mask=torch.stack([(torch.arange(WORDS) < length).long() for length in lengths]),
    )


def letterbox_mask(number: int, size: int = 128, top: int = 32) -> torch.Tensor:
    """(number, size, size) bool, True in the upper and lower ``top`` rows."""
    mask = torch.zeros(number, size, size, dtype=torch.bool)
    mask[:, :top] = mask[:, -top:] = True
    return mask
