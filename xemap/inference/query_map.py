"""The map of one query and one image file, with a config's own pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DefaultScope

from xemap.engine import load_config
from xemap.models.build import build_localizer, require_localizer
from xemap.registry import TRANSFORMS
from xemap.structures import PolygonRegion, Query


def query_map(
    config: str | Path | Config, checkpoint: str | Path | None, image: str | Path, query: str, device: str = 'cpu'
) -> np.ndarray:
    """Predict one map.

    Args:
        config: of any localizer; its ``test_dataloader`` says how images are prepared.
        checkpoint: its weights; None keeps those that the config starts with.
        image: file.
        query: text.
        device: of the model.

    Returns:
        (h, w) float32 in [0, 1], at the resolution of the model; covers the whole image.

    Raises:
        ConfigError, CheckpointError, DataError: what does not fit.
    """
    config = config if isinstance(config, Config) else load_config(config)
    require_localizer(config)
    model: Any = build_localizer(config, checkpoint).to(device)
    with DefaultScope.overwrite_default_scope('xemap'):
        steps = Compose([TRANSFORMS.build(step) for step in config.test_dataloader.dataset.pipeline])
    sample = steps(
        {
            'img_path': str(image),
            'source': '',
            'sample_idx': 0,
            'queries': [Query(query, PolygonRegion([]))],
            'query_ids': [0],
            'rng': np.random.default_rng(0),
        }
    )
    with torch.inference_mode():
        predicted = model.test_step(pseudo_collate([sample]))[0]
    return predicted.pred_maps[0].float().cpu().numpy()
