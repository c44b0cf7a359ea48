"""One vector per text from its tokens (the paper's Table 3)."""

from __future__ import annotations

from collections.abc import Callable

from mmengine.registry import Registry
from torch import Tensor

from xemap.errors import ConfigError
from xemap.registry import suggestion

TEXT_POOLINGS = Registry('text pooling', scope='xemap')
"""Functions (text (N, S, C), padding (N, S) bool, True = padding) -> (N, C), by name."""


def find_pooling(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The pooling of a name.

    Raises:
        ConfigError: there is none.
    """
    pooling = TEXT_POOLINGS.get(name)
    if pooling is None:
        raise ConfigError(f'pooling "{name}" is unknown; {suggestion(name, TEXT_POOLINGS.module_dict)}')
    return pooling


@TEXT_POOLINGS.register_module('mean')
def mean(text: Tensor, padding: Tensor) -> Tensor:
    """Mean of the real tokens."""
    keep = (~padding).to(text.dtype)[..., None]
    return (text * keep).sum(1) / keep.sum(1)


@TEXT_POOLINGS.register_module('max')
def maximum(text: Tensor, padding: Tensor) -> Tensor:
    """Largest value of each channel over the real tokens."""
    return text.masked_fill(padding[..., None], float('-inf')).amax(1)


@TEXT_POOLINGS.register_module('first')
def first(text: Tensor, padding: Tensor) -> Tensor:
    """The first token."""
    return text[:, 0]
