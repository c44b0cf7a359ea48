"""Training and inference of a config's model on made-up images and the texts of synthetic scenes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.model import BaseModel
from mmengine.optim import AmpOptimWrapper, OptimWrapper, build_optim_wrapper
from mmengine.registry import DefaultScope

from benchmarks.flops import share_of_ceiling
from benchmarks.timing import measure
from xemap.engine.runner import config_errors
from xemap.errors import ConfigError
from xemap.models.build import build_localizer, quiet
from xemap.preparation.synthetic import lay_out_scene
from xemap.structures import XeMapDataSample

QUERIES = 9
"""An image where the config sets no ``max_queries``: the mean of the paper's XeMap-Set."""
GROUPS = (1, 4, 9, 32)
"""Queries an image at which inference is measured."""
_OUT_OF_MEMORY = torch.cuda.OutOfMemoryError

Batch = dict[str, list]


def build_model(cfg: Config, device: str) -> BaseModel:
    """The config's model as initialized; pretrained weights, which change no speed, are left out.

    Raises:
        ConfigError: the model does not fit, or its text encoder is not here.
    """
    cfg = cfg.copy()
    if 'model' in cfg:
        cfg.model = without_pretrained(cfg.model)
    with config_errors('model'), quiet():
        return build_localizer(cfg, device=device)


def without_pretrained(part: Any) -> Any:
    """A copy of a config's part in which nothing names a checkpoint to start from."""
    if isinstance(part, dict):
        kept = {key: None if _names_weights(key, value) else without_pretrained(value) for key, value in part.items()}
        return ConfigDict(kept)
    return [without_pretrained(item) for item in part] if isinstance(part, (list, tuple)) else part


def queries_of_a_step(cfg: Config, pairs: int | None = None) -> list[int]:
    """Queries of each image of one training step, as the config's batch sampler makes them on average.

    Args:
        cfg: with ``train_dataloader``.
        pairs: number of pairs of the step; None = as many as the config says.

    Raises:
        ConfigError: the config has no ``train_dataloader``.
    """
    loader = cfg.get('train_dataloader')
    if not loader:
        raise ConfigError(f'config {cfg.filename} has no "train_dataloader", which says how many pairs per step has')
    dataset = loader.get('dataset', {})
    queries = 1 if dataset.get('flat') else dataset.get('max_queries') or QUERIES
    if pairs is None:
        pairs = (loader.get('batch_sampler') or {}).get('pairs_per_batch') or loader.get('batch_size', 1) * queries
    whole, rest = divmod(pairs, queries)
    return [queries] * whole + [rest] * (rest > 0)


def make_batch(queries: list[int], size: tuple[int, int], seed: int = 0) -> Batch:
    """A batch as the data loader gives it.

    Args:
        queries: number of queries of each image; all texts of the batch differ.
        size: (height, width) of images and targets.
        seed: seed of images, texts and targets.
    """
    rng, height, width = np.random.default_rng(seed), *size
    texts = iter(distinct_texts(sum(queries), seed))
    batch: Batch = {'inputs': [], 'data_samples': []}
    for number in queries:
        image = rng.integers(0, 256, (3, height, width), dtype=np.uint8)
        sample = XeMapDataSample(metainfo={'img_shape': size, 'ori_shape': size})
        sample.texts = [next(texts) for _ in range(number)]
        sample.gt_maps = torch.from_numpy(rng.random((number, height, width), dtype=np.float32))
        sample.gt_masks = sample.gt_maps > 0.5
        corners = np.sort(rng.random((number, 2, 2), dtype=np.float32), axis=1) * (width, height)
        sample.gt_boxes = torch.from_numpy(corners.reshape(-1, 4).astype(np.float32))
        batch['inputs'].append(torch.from_numpy(image))
        batch['data_samples'].append(sample)
    return batch


def distinct_texts(number: int, seed: int = 0) -> list[str]:
    """That many different queries of synthetic scenes."""
    texts: dict[str, None] = {}
    for scene in count():
        if len(texts) >= number:
            break
        queries = lay_out_scene(np.random.SeedSequence([seed, scene])).queries()
        texts.update(dict.fromkeys(query.text for query in queries))
    return list(texts)[:number]


def split_pairs(batch: Batch) -> list[Batch]:
    """The same (image, query) pairs in the same order, each a batch of its own, without targets."""
    pairs = []
    for image, sample in zip(batch['inputs'], batch['data_samples']):
        for text in sample.texts:
            alone = XeMapDataSample(metainfo=sample.metainfo)
            alone.texts = [text]
            pairs.append({'inputs': [image], 'data_samples': [alone]})
    return pairs


def predict(model: BaseModel, batches: list[Batch]) -> torch.Tensor:
    """The answers of the batches, one batch after another: (N, H, W) maps or masks, or (N, 4) boxes in pixels."""
    with torch.no_grad():
        samples = [sample for batch in batches for sample in model.test_step(batch)]
    return torch.from_numpy(np.concatenate([np.float32(sample.answers.data) for sample in samples]))


def make_optimizer(model: BaseModel, cfg: Config) -> OptimWrapper:
    """The config's optimizer, which steps at every step.

    Raises:
        ConfigError: there is none, or a key of it does not fit.
    """
    if 'optim_wrapper' not in cfg:
        raise ConfigError(f'config {cfg.filename} has no "optim_wrapper", which a training step needs')
    wrapper = cfg.optim_wrapper.copy()
    wrapper.pop('accumulative_counts', None)
    with DefaultScope.overwrite_default_scope('xemap'), config_errors('optim_wrapper'):
        return build_optim_wrapper(model, wrapper)


def precision(optimizer: OptimWrapper) -> torch.dtype:
    """That of the matrix products of a step."""
    if isinstance(optimizer, AmpOptimWrapper):
        return optimizer.cast_dtype or torch.get_autocast_dtype('cuda')
    return torch.float32


def benchmark_training(
    model: BaseModel,
    cfg: Config,
    size: tuple[int, int],
    repeats: int,
    device: str,
    seed: int = 0,
    pairs: int | None = None,
) -> dict[str, Any]:
    """Time whole training steps: copy to the device, normalization, forward, backward, optimizer.

    Args:
        model: left in eval mode, with other weights.
        cfg: with ``train_dataloader`` and ``optim_wrapper``.
        size: (height, width) of the images.
        repeats: timed steps.
        device: where the model is.
        seed: seed of data and dropout.
        pairs: number of pairs of a step; None = as many as the config says.

    Raises:
        ConfigError: a key that is missing or does not fit, or more pairs per step than the GPU holds.
    """
    queries = queries_of_a_step(cfg, pairs)
    optimizer = make_optimizer(model, cfg)
    batch = make_batch(queries, size, seed)
    torch.manual_seed(seed)
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
    model.train()

    def step() -> None:
        model.train_step(batch, optimizer)

    try:
        time = measure({'step': step}, repeats, device, 'training steps')['step']
        memory = _peak_memory(device)
        work = share_of_ceiling(step, time['median_s'], device, precision(optimizer))
    except _OUT_OF_MEMORY as error:
        raise ConfigError(
            f'{sum(queries)} pairs per step at {size[0]} x {size[1]} do not fit into the memory of the GPU; '
            'lower --cfg-options train_dataloader.batch_sampler.pairs_per_batch'
        ) from error
    finally:
        model.eval()
        model.zero_grad(set_to_none=True)
    return {
        'pairs_per_step': sum(queries),
        'images_per_step': len(queries),
        'pairs_per_s': sum(queries) / time['median_s'],
        'step': time,
        **memory,
        **work,
    }


def benchmark_inference(
    model: BaseModel,
    size: tuple[int, int],
    repeats: int,
    device: str,
    seed: int = 0,
    groups: Sequence[int] = GROUPS,
) -> list[dict[str, Any]]:
    """Time one image with all its queries against the same pairs one by one, in turn.

    Args:
        model: in eval mode.
        size: (height, width) of the image and the maps.
        repeats: timed rounds.
        device: where the model is.
        seed: seed of image and texts.
        groups: numbers of queries.

    Returns:
        a row for each of ``groups``; ``gain`` is single's median over grouped's, ``max_difference``
        the largest difference between their answers (maps in [0, 1], boxes in pixels).
    """
    rows = []
    for number in groups:
        grouped = make_batch([number], size, seed)
        single = split_pairs(grouped)
        calls = {'grouped': lambda g=grouped: predict(model, [g]), 'single': lambda s=single: predict(model, s)}
        times = measure(calls, repeats, device, f'inference, {number} queries per image')
        difference = (predict(model, [grouped]) - predict(model, single)).abs().max()
        rows.append(
            {
                'queries_per_image': number,
                **{name: {'queries_per_s': number / time['median_s'], **time} for name, time in times.items()},
                'gain': times['single']['median_s'] / times['grouped']['median_s'],
                'max_difference': float(difference),
            }
        )
    return rows


def _names_weights(key: str, value: Any) -> bool:
    if key in ('grounding_dino', 'detr'):
        return True
    return key == 'init_cfg' and isinstance(value, dict) and value['type'] == 'Pretrained'


def _peak_memory(device: str) -> dict[str, Any]:
    if device == 'cuda':
        return {'peak_memory_bytes': torch.cuda.max_memory_allocated(), 'peak_memory_of': 'gpu'}
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == 'darwin' else 1024
    return {'peak_memory_bytes': peak * unit, 'peak_memory_of': 'process'}
