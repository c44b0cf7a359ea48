"""Image encoders of the timm library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import timm
import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from timm.layers import Format, LayerNorm2d
from torch import Tensor, nn

from xemap.errors import CheckpointError, ConfigError
from xemap.models.checkpoint import read_state_dict
from xemap.registry import MODELS


@MODELS.register_module()
class TimmBackbone(BaseModule):
    """Feature maps of any timm model that gives them (``features_only``).

    Args:
        name: name of the model, as ``'convnext_base'``; ``'convnext_base.fb_in22k'`` names the weights, too.
        out_indices: levels to return, the finest is 0; None = all. Which strides they have is the model's affair,
            see :attr:`strides`.
        pretrained: start from the published weights of that name, which are fetched where there is a network.
        checkpoint: start from this file of timm's weights, with or without their classifier; it is read without
            executing anything in it. Weights are loaded when training starts, or before a test without a
            checkpoint: a checkpoint of ours needs none.
        norm: a layer norm over the channels of each level, as MMDetection's Swin has it; timm returns the levels of
            some models, as ConvNeXt, as the next stage takes them. Files of timm's have no weights for these norms.
        options: arguments of the model, as ``drop_path_rate``, or ``img_size`` for those of a fixed image size.
        init_cfg: as in MMEngine.

    Attributes:
        out_channels (list[int]), strides (list[int]): of the levels returned.

    Raises:
        ConfigError: timm knows no such model or option, the model has no feature maps or no such levels, or both
            ``pretrained`` and ``checkpoint`` are given.
    """

    def __init__(
        self,
        name: str,
        out_indices: Sequence[int] | None = None,
        pretrained: bool = False,
        checkpoint: str | None = None,
        norm: bool = False,
        options: dict[str, Any] | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if pretrained and checkpoint:
            raise ConfigError(f'TimmBackbone "{name}": pretrained=True or checkpoint="{checkpoint}"; give one of them')
        if not timm.is_model(name):
            known = timm.list_models(f'*{name.partition(".")[0].partition("_")[0]}*')[:5]
            raise ConfigError(
                f'TimmBackbone: timm {timm.__version__} has no model "{name}"; '
                f'use one of timm.list_models(){", as " + ", ".join(known) if known else ""}'
            )
        self.name, self.pretrained, self.checkpoint = name, pretrained, checkpoint
        self.options = dict(options or {}, features_only=True)
        if out_indices is not None:
            self.options['out_indices'] = tuple(out_indices)
        try:
            self.model: Any = timm.create_model(name, **self.options)
        except (RuntimeError, TypeError, AssertionError, IndexError, ValueError, AttributeError) as error:
            raise ConfigError(
                f'TimmBackbone "{name}" with {self.options} cannot be built ({_first_line(error)}); choose other '
                'levels or options, or a model with feature maps'
            ) from error
        info: Any = self.model.feature_info
        self.out_channels: list[int] = info.channels()
        self.strides: list[int] = info.reduction()
        self.norms = nn.ModuleList([LayerNorm2d(channels) for channels in self.out_channels] if norm else [])
        self._channels_last = getattr(self.model, 'output_fmt', Format.NCHW) == Format.NHWC

    def init_weights(self) -> None:
        """Load what the config names.

        Raises:
            CheckpointError: the file cannot be read safely, lacks weights or is of another model; or the published
                weights cannot be fetched.
        """
        super().init_weights()
        if self.pretrained:
            self.model.load_state_dict(self._fetch())
        elif self.checkpoint:
            self.model.load_state_dict(self._read(self.checkpoint))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images (n, 3, H, W) -> the levels, each (n, C, h, w)."""
        levels = [level.permute(0, 3, 1, 2) if self._channels_last else level for level in self.model(images)]
        return tuple(norm(level) for norm, level in zip(self.norms, levels)) if self.norms else tuple(levels)

    def _fetch(self) -> dict[str, Tensor]:
        print_log(f'fetching the weights of {self.name}', logger='current')
        try:
            return timm.create_model(self.name, pretrained=True, **self.options).state_dict()
        except (OSError, RuntimeError) as error:  # every kind of network trouble, or no weights of that name
            raise CheckpointError(
                f'weights of TimmBackbone "{self.name}" cannot be fetched ({_first_line(error)}); where there is no '
                'network, give a file: checkpoint=/path/to/weights.safetensors'
            ) from error

    def _read(self, path: str) -> dict[str, Tensor]:
        """The file's weights by this model's names, as timm's own conversions make them."""
        weights = read_state_dict(path)
        loaded = self._load(weights, path)
        # timm leaves what it does not find at random without a word: whatever does not follow a change of the file.
        changed = self._load({name: value + 1 for name, value in weights.items()}, path)
        random = [k for k, v in loaded.items() if v.is_floating_point() and torch.equal(v, changed[k])]
        if random:
            raise CheckpointError(
                f'{path} lacks {len(random)} of the {len(loaded)} weights of {self.name} ({random[0]}, …); give the '
                'file of that model'
            )
        return loaded

    def _load(self, weights: dict[str, Tensor], path: str) -> dict[str, Tensor]:
        overlay = dict(state_dict=dict(weights))
        try:
            model: Any = timm.create_model(self.name, pretrained=True, pretrained_cfg_overlay=overlay, **self.options)
        except (RuntimeError, KeyError, ValueError, AttributeError) as error:
            raise CheckpointError(f'{path} is no file of {self.name} of timm ({_first_line(error)})') from error
        return model.state_dict()


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1 if isinstance(error, RuntimeError) and len(lines) > 1 else 0][:200] if lines else repr(error)
