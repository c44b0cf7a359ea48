"""From a config and a checkpoint to a model that is ready to predict."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from torch import nn

from xemap.errors import ConfigError
from xemap.models.checkpoint import load_weights
from xemap.models.retrieval.base import RetrievalModel
from xemap.registry import MODELS


@contextmanager
def quiet() -> Iterator[None]:
    """Without mmengine's report on every single parameter that it initialises."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def build_localizer(config: str | Path | Config, checkpoint: str | Path | None = None) -> nn.Module:
    """Build a localizer in eval mode.

    Args:
        config: path of a config, or the config.
        checkpoint: weights to load; None keeps the initial ones.

    Returns:
        the module; call ``forward(inputs, data_samples, mode='predict')`` after its ``data_preprocessor``.

    Raises:
        ConfigError: the config is missing or has no ``model``.
        CheckpointError: the checkpoint cannot be read or does not fit.
    """
    if not isinstance(config, Config):
        if not Path(config).is_file():
            raise ConfigError(f"config {config} does not exist; configs/ holds the project's")
        config = Config.fromfile(config)
    if 'model' not in config:
        raise ConfigError(f'config {config.filename} has no "model"')
    with DefaultScope.overwrite_default_scope('xemap'):
        model = MODELS.build(config.model)
        if checkpoint is None:
            with quiet():
                model.init_weights()
        else:
            load_weights(model, checkpoint)
    return model.eval()


def require_localizer(config: Config) -> None:
    """Refuse the config of a model that makes no maps.

    Raises:
        ConfigError: it is of a retrieval model.
    """
    with DefaultScope.overwrite_default_scope('xemap'):
        kind = MODELS.get(config.model.type) if config.get('model') else None
    if isinstance(kind, type) and issubclass(kind, RetrievalModel):
        raise ConfigError(
            f'config {config.filename} is of a retrieval model, {kind.__name__}, which makes no maps; give its '
            'checkpoint to a config in configs/selo'
        )
