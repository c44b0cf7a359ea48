"""The training pipeline on synthetic scenes."""

from __future__ import annotations

from itertools import count
from tempfile import TemporaryDirectory
from typing import Any

from mmengine.config import Config

from benchmarks.timing import limited_threads, measure
from xemap.datasets.xemap_dataset import XeMapDataset
from xemap.errors import ConfigError
from xemap.preparation.synthetic import write_synthetic
from xemap.preparation.synthetic.scene import SIZES

RESIZING = ('ResizeImage', 'Letterbox')
"""Steps that say the size of a network's input."""


def training_pipeline(cfg: Config, size: tuple[int, int] | None = None) -> list[dict]:
    """Steps of the config's training data set.

    Args:
        cfg: with ``train_dataloader``.
        size: (height, width) to resize to in place of the config's.

    Raises:
        ConfigError: the data set has no pipeline of its own.
    """
    steps = cfg.get('train_dataloader', {}).get('dataset', {}).get('pipeline')
    if not steps:
        raise ConfigError(f'config {cfg.filename}: train_dataloader.dataset has no "pipeline", which is to be measured')
    return [
        {**step, 'size': size} if size is not None and step['type'] in RESIZING else dict(step) for step in steps
    ]


def pipeline_size(cfg: Config) -> tuple[int, int]:
    """(height, width) of the images that the training pipeline makes.

    Raises:
        ConfigError: there is no step that says so.
    """
    for step in reversed(training_pipeline(cfg)):
        if step['type'] in RESIZING and 'size' in step:
            height, width = step['size']
            return height, width
    raise ConfigError(
        f'config {cfg.filename}: no {" or ".join(RESIZING)} with a size in the training pipeline; give --image-size'
    )


def benchmark_data(
    cfg: Config,
    size: tuple[int, int] | None,
    repeats: int,
    scenes: int,
    scene_sizes: tuple[int, ...] = SIZES,
    seed: int = 0,
) -> dict[str, Any]:
    """Time passes over synthetic scenes on one core, each pass with the augmentation of another epoch.

    The scenes are drawn before, into a temporary folder, and read from the system's file cache.

    Args:
        cfg: whose training pipeline, ``max_queries`` and ``flat`` are taken.
        size: (height, width) to resize to; None = the config's.
        repeats: timed passes.
        scenes: number of images.
        scene_sizes: sides in pixels that the images may have.
        seed: seed of scenes and augmentation.
    """
    pipeline = training_pipeline(cfg, size)
    with TemporaryDirectory(prefix='xemap-benchmark-') as folder, limited_threads(1):
        write_synthetic(folder, 'train', scenes, seed, scene_sizes, workers=1)
        given = cfg.train_dataloader.dataset
        max_queries, flat = given.get('max_queries'), given.get('flat', False)
        dataset = XeMapDataset('train.arrow', folder, pipeline, max_queries, flat, seed=seed)
        epochs = count()

        def read_all() -> None:
            epoch = next(epochs)
            for index in range(len(dataset)):
                dataset[epoch, index]

        time = measure({'pass': read_all}, repeats, title='passes over the data set')['pass']
        queries = int(dataset.query_counts().sum())
    return {
        'scenes': scenes,
        'scene_sizes': list(scene_sizes),
        'samples_per_s': len(dataset) / time['median_s'],
        'queries_per_sample': queries / len(dataset),
        'pass': time,
    }
