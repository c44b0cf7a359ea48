"""From a config and a checkpoint to a localizer that is ready to answer."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger, print_log
from mmengine.registry import DefaultScope
from torch import nn

from xemap.config import load_config
from xemap.errors import ConfigError
from xemap.models.checkpoint import load_weights
from xemap.models.localizers.base import Localizer, NetworkLocalizer
from xemap.registry import MODELS, TRANSFORMS


@contextmanager
def quiet() -> Iterator[None]:
    """Without mmengine's report on every single parameter that it initializes."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def build_model(
    config: str | Path | Config,
    checkpoint: str | Path | None = None,
    device: str | torch.device | None = 'cpu',
) -> nn.Module:
    """Build the model of a config, of whatever kind, in eval mode.

    Args:
        config: path of a config, name of one of the project's, or the config.
        checkpoint: weights to load; None keeps the initial ones.
        device: as torch names it; None = the GPU where there is one.

    Raises:
        ConfigError: the config is missing or unknown, or has no ``model``, or the device is not there.
        CheckpointError: the checkpoint cannot be read or does not fit.
    """
    config = read_config(config)
    where = _device(device)
    if 'model' not in config:
        raise ConfigError(f'config {config.filename} has no "model"')
    with DefaultScope.overwrite_default_scope('xemap'):
        model = MODELS.build(config.model)
        if checkpoint is None:
            with quiet():
                model.init_weights()
        else:
            load_weights(model, checkpoint)
    if checkpoint is None and next(model.parameters(), None) is not None:
        print_log('no checkpoint: the model has the weights that its config starts with', logger='current', level=30)
    return model.to(where).eval()


def build_localizer(
    config: str | Path | Config,
    checkpoint: str | Path | None = None,
    device: str | torch.device | None = 'cpu',
) -> Localizer:
    """Build a localizer in eval mode.

    Its :meth:`~xemap.models.localizers.Localizer.localize` prepares images as the config's test pipeline does.
    Arguments and errors as :func:`build_model`.

    Raises:
        ConfigError: also where the model is no localizer.
    """
    config = read_config(config)
    _device(device)
    require_localizer(config)
    localizer: Any = build_model(config, checkpoint, device)
    with DefaultScope.overwrite_default_scope('xemap'):
        _set_pipeline(localizer, config)
    return localizer


def read_config(config: str | Path | Config) -> Config:
    """A config as it is, or by its path or name."""
    return config if isinstance(config, Config) else load_config(config)


def require_localizer(config: Config) -> None:
    """Refuse the config of a model that answers no queries about images.

    Raises:
        ConfigError: it has no model, or one of another kind, as a retrieval model is.
    """
    if 'model' not in config:
        raise ConfigError(f'config {config.filename} has no "model"')
    with DefaultScope.overwrite_default_scope('xemap'):
        kind = MODELS.get(config.model.type) if isinstance(config.model.type, str) else config.model.type
    if inspect.isclass(kind) and not issubclass(kind, Localizer):
        raise ConfigError(
            f'config {config.filename}: {kind.__name__} is no Localizer and answers no queries about images; give the '
            'checkpoint of a retrieval model to a config in configs/selo'
        )


def _set_pipeline(localizer: Localizer, config: Config) -> None:
    """Give a network its config's test pipeline, from behind the step that reads the image."""

    def is_a(step: Any, name: str) -> bool:
        kind, expected = step['type'] if isinstance(step, dict) else step, TRANSFORMS.get(name)
        kind = TRANSFORMS.get(kind) if isinstance(kind, str) else kind
        return issubclass(kind, expected) if inspect.isclass(kind) else isinstance(kind, expected)

    dataset = (config.get('test_dataloader') or {}).get('dataset') or {}
    steps = list(dataset.get('pipeline') or config.get('test_pipeline') or [])
    read = [i for i, step in enumerate(steps) if is_a(step, 'LoadImage')]
    steps = steps[read[-1] + 1 :] if read else steps
    if not steps:
        return
    if isinstance(localizer, NetworkLocalizer):
        localizer.set_pipeline(steps)
    elif others := [step['type'] for step in steps if not is_a(step, 'PackXeMapInputs')]:
        raise ConfigError(
            f'config {config.filename}: {type(localizer).__name__} takes images as they are; leave {others[0]} out of '
            'its test pipeline, as configs/_base_/datasets/synthetic_full.py does'
        )


def _device(name: str | torch.device | None) -> torch.device:
    try:
        device = torch.device(name or ('cuda' if torch.cuda.is_available() else 'cpu'))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f'device "{name}" is not there ({str(error).splitlines()[0]}); use cpu') from error
    return device
