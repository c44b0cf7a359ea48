"""A localizer with the image size that its config feeds it: pixels and queries in, maps out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import print_log

from xemap.datasets.transforms import ResizeImage
from xemap.engine import load_config
from xemap.errors import ConfigError
from xemap.models import build_localizer
from xemap.models.build import require_localizer
from xemap.registry import suggestion
from xemap.structures import XeMapDataSample

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
"""Of a checkout."""

_PROBE = 256


class Predictor:
    """Runs any localizer on images of any size.

    Args:
        config: name of one of the project's configs (``xemap_small_synthetic``), path of a config, or a Config.
        weights: checkpoint; None leaves the model untrained.
        device: as torch names it; None = the GPU where there is one.

    Attributes:
        input_size: (height, width) that images are resized to, the ResizeImage of the config's test pipeline; None =
            the model takes images as they are.

    Raises:
        ConfigError: the config is unknown or of a model that makes no maps, or the device is not there.
        CheckpointError: the weights cannot be read or do not fit.
    """

    def __init__(
        self,
        config: str | Path | Config,
        weights: str | Path | None = None,
        device: str | torch.device | None = None,
    ) -> None:
        cfg = config if isinstance(config, Config) else load_config(find_config(config))
        self.device = _device(device)
        require_localizer(cfg)
        self.model: Any = build_localizer(cfg, weights).to(self.device)
        self._resize = _resize_step(cfg)
        self.input_size = self._resize.size if self._resize else None
        if weights is None:
            print_log('no weights given: the maps are those of an untrained model', logger='current', level=30)

    @torch.no_grad()
    def __call__(self, images: Sequence[np.ndarray], queries: Sequence[str]) -> list[np.ndarray]:
        """Maps of some images, each encoded once.

        Args:
            images: (H, W, 3) uint8 RGB each; of one size if the model takes images as they are and needs that.
            queries: Q texts, asked of each.

        Returns:
            for each image (Q, h, w) float32 in [0, 1] at the model's resolution.
        """
        if not images:
            return []
        tensors, samples = [], []
        for image in images:
            size = image.shape[:2]
            results: dict[str, Any] = {'img': image, 'img_shape': size}
            if self._resize:
                results = self._resize.transform(results)
            sample = XeMapDataSample(metainfo=dict(ori_shape=size, img_shape=tuple(results['img_shape'])))
            sample.texts = list(queries)
            samples.append(sample)
            tensors.append(torch.from_numpy(np.ascontiguousarray(results['img'].transpose(2, 0, 1))))
        predicted = self.model.test_step({'inputs': tensors, 'data_samples': samples})
        return [sample.pred_maps.float().cpu().numpy() for sample in predicted]

    def stride(self) -> int:
        """Pixels of the input that one token of the coarsest level covers; 1 for models without levels."""
        if not hasattr(self.model, 'encode_images'):
            return 1
        with torch.no_grad():
            _, _, shapes = self.model.encode_images(torch.zeros(1, 3, _PROBE, _PROBE, device=self.device))
        return -(-_PROBE // min(min(shape) for shape in shapes))


def find_config(name: str | Path) -> Path:
    """Path of a config: itself, or that of the checkout's config of this name.

    Raises:
        ConfigError: there is none.
    """
    path = Path(name)
    if path.is_file():
        return path
    known = {file.stem: file for file in sorted(CONFIGS.glob('*/*.py')) if file.parent.name != '_base_'}
    if str(name) not in known:
        raise ConfigError(f'config "{name}" is no file and no config of the project; {suggestion(str(name), known)}')
    return known[str(name)]


def _device(name: str | torch.device | None) -> torch.device:
    try:
        device = torch.device(name or ('cuda' if torch.cuda.is_available() else 'cpu'))
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f'device "{name}" is not there ({str(error).splitlines()[0]}); use cpu') from error
    return device


def _resize_step(cfg: Config) -> ResizeImage | None:
    pipeline = cfg.get('test_pipeline')
    if 'test_dataloader' in cfg:
        pipeline = cfg.test_dataloader.dataset.pipeline
    for step in pipeline or []:
        if step['type'] in ('ResizeImage', 'xemap.ResizeImage', ResizeImage):
            return ResizeImage(step.get('size', (512, 512)))
    return None
