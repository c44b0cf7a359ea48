"""Image encoders stage by stage, so that language can enter between them."""

from __future__ import annotations

from typing import Any

from mmdet.models.backbones import ResNet, SwinTransformer
from torch import Tensor, nn

from xemap.errors import ConfigError


class Stages:
    """The four stages of an MMDetection backbone, Swin or ResNet.

    ``begin``, then for each stage ``run`` and, with the features as they go on, ``advance``. Done without a change
    in between, that is the backbone.

    Args:
        backbone: what is run; its parameters stay where they are.

    Raises:
        ConfigError: another kind of backbone, or one with fewer stages.
    """

    def __init__(self, backbone: nn.Module) -> None:
        if not isinstance(backbone, (SwinTransformer, ResNet)):
            raise ConfigError(
                f'LAVT: {type(backbone).__name__} cannot be run stage by stage; use SwinTransformer or ResNet'
            )
        self._net: Any = backbone
        self._swin = isinstance(backbone, SwinTransformer)
        names = getattr(backbone, 'res_layers', None)
        self._stages = list(backbone.stages) if names is None else [getattr(backbone, name) for name in names]
        if len(self._stages) != 4:
            raise ConfigError(f'LAVT: a backbone of {len(self._stages)} stages; use one of four')

    def begin(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) images to what the first stage takes."""
        net = self._net
        if not self._swin:
            stem = net.stem(images) if net.deep_stem else net.relu(net.norm1(net.conv1(images)))
            return net.maxpool(stem)
        tokens, size = net.patch_embed(images)
        if net.use_abs_pos_embed:
            tokens = tokens + net.absolute_pos_embed
        return _to_map(net.drop_after_pos(tokens), size)

    def run(self, stage: int, features: Tensor) -> Tensor:
        """(B, C, H, W) into a stage to (B, C', H', W') out of its blocks."""
        if not self._swin:
            return self._stages[stage](features)
        tokens, size = _to_tokens(features)
        for block in self._stages[stage].blocks:
            tokens = block(tokens, size)
        return _to_map(tokens, size)

    def advance(self, stage: int, features: Tensor) -> Tensor:
        """What goes into the next stage."""
        downsample = self._stages[stage].downsample if self._swin else None
        if downsample is None:
            return features
        return _to_map(*downsample(*_to_tokens(features)))

    def output(self, stage: int, features: Tensor) -> Tensor:
        """Features of a stage as the backbone returns them: Swin normalizes them."""
        if not self._swin:
            return features
        tokens, size = _to_tokens(features)
        return _to_map(getattr(self._net, f'norm{stage}')(tokens), size)


def _to_tokens(features: Tensor) -> tuple[Tensor, tuple[int, int]]:
    return features.flatten(2).transpose(1, 2), (features.shape[-2], features.shape[-1])


def _to_map(tokens: Tensor, size: tuple[int, int]) -> Tensor:
    # Not unflatten: ONNX would make the number of images a constant.
    return tokens.transpose(1, 2).reshape(tokens.shape[0], tokens.shape[2], *size)
