"""What heads take, and how their losses become one number."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from mmdet.utils import reduce_mean
from torch import Tensor, nn

from xemap.errors import ConfigError
from xemap.models.fusion.deformable import LevelShapes
from xemap.structures import Answers, XeMapDataSample


@dataclass(frozen=True)
class FusedTokens:
    """What the fusion of XeMap-Network gives for N (image, query) pairs.

    Args:
        vision: (N, P, C) image tokens, the levels one after another.
        shapes: (h, w) of every level.
        text: (N, S, C) text tokens.
        text_padding: (N, S) bool, True = padding.
        size: (H, W) of the network's input.
        counts: how many of the pairs belong to each of the B images, in their order; they add up to N.
        attention: of each relation block of the fusion, what its heads attended to; each (N, H, cells of its level).
    """

    vision: Tensor
    shapes: LevelShapes
    text: Tensor
    text_padding: Tensor
    size: tuple[int, int]
    counts: Sequence[int]
    attention: Sequence[Tensor] = ()


class Head(nn.Module, ABC):
    """Makes answers from what a network fused: :class:`FusedTokens`, or what else the network gives.

    ``form`` is the form of its answers, and becomes that of the network.
    """

    form: ClassVar[str]

    @abstractmethod
    def forward(self, fused: Any) -> Any:
        """Raw predictions, the first dimension being the N pairs."""

    @abstractmethod
    def loss(self, fused: Any, samples: Sequence[XeMapDataSample]) -> dict[str, Tensor]:
        """Losses by name, against the targets of the B samples; averaged over the pairs of all ranks."""

    @abstractmethod
    def predict(self, fused: Any, samples: Sequence[XeMapDataSample]) -> Sequence[Answers]:
        """Answers to ``fused.counts[i]`` queries of each sample i, in the frame of the network's input."""


def batch_targets(samples: Sequence[XeMapDataSample], name: str, remedy: str | None = None) -> Tensor:
    """A target of all pairs of a batch.

    Args:
        samples: Q_i queries each.
        name: ``gt_maps``, ``gt_masks``, ``gt_boxes`` or ``gt_phrases``.
        remedy: what the error says to do; None = the config's ``target``.

    Returns:
        (N, …), N = the sum of Q_i.

    Raises:
        ConfigError: the pipeline makes another target than the head learns.
    """
    for sample in samples:
        if name not in sample:
            made = ', '.join(key for key in sample.all_keys() if key.startswith('gt_'))
            by_task = f"set target = dict(type='Generate{name.removeprefix('gt_').capitalize()}') in the config"
            raise ConfigError(
                f'the network learns {name} and the training pipeline makes {made or "no target"}; {remedy or by_task}'
            )
    return torch.cat([sample.get(name) for sample in samples])


def mean_over_pairs(values: Tensor) -> Tensor:
    """Mean of one value per pair over the pairs of all ranks, which may hold different numbers of pairs.

    Args:
        values: (N,).

    Returns:
        scalar, 0 without any pair; its gradient, averaged over ranks as DDP does, is that of the mean over all pairs.
    """
    return values.sum() / reduce_mean(values.new_tensor(float(len(values)))).clamp(min=torch.finfo(values.dtype).tiny)


def loss_per_pair(module: nn.Module, prediction: Tensor, target: Tensor) -> Tensor:
    """A loss of each pair.

    Args:
        module: a loss that is called with prediction and target.
        prediction, target: (N, …).

    Returns:
        (N,); where the module gives several values per pair, their mean.

    Raises:
        ConfigError: the module has averaged over pairs, which may be spread unevenly over ranks.
    """
    values = module(prediction, target)
    if values.ndim == 0 or len(values) != len(target):
        raise ConfigError(
            f'{type(module).__name__} gives a tensor of shape {tuple(values.shape)} for {len(target)} pairs; set '
            "reduction='none', so that it gives one value per pair (or per pixel); the head averages over pairs"
        )
    return values.flatten(1).mean(1) if values.ndim > 1 else values
