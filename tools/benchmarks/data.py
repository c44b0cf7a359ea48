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
        {**step, 'size': size} if size is not None and step['type'] == 'ResizeImage' else dict(step) for step in steps
    ]


def pipeline_size(cfg: Config) -> tuple[int, int]:
    """(height, width) of the images that the training pipeline makes.

    Raises:
        ConfigError: there is no step that says so.
    """
    for step in reversed(training_pipeline(cfg)):
        if step['type'] == 'ResizeImage' and 'size' in step:
            height, width = step['size']
            return height, width
    raise ConfigError(f'config {cfg.filename}: no ResizeImage with a size in the training pipeline; give --image-size')


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
        cfg: whose training pipeline and ``max_queries`` are taken.
        size: (height, width) to resize to; None = the config's.
        repeats: timed passes.
        scenes: number of images.
        scene_sizes: sides in pixels that the images may have.
        seed: of scenes and augmentation.
    """
    pipeline = training_pipeline(cfg, size)
    with TemporaryDirectory(prefix='xemap-benchmark-') as folder, limited_threads(1):
        write_synthetic(folder, 'train', scenes, seed, scene_sizes, workers=1)
        max_queries = cfg.train_dataloader.dataset.get('max_queries')
        dataset = XeMapDataset('train.arrow', folder, pipeline, max_queries, seed=seed)
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
        'samples_per_s': scenes / time['median_s'],
        'queries_per_sample': queries / scenes,
        'pass': time,
    }
