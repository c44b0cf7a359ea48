"""One method: its model over a test set, timed and scored."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from mmengine.runner import set_random_seed

from xemap.engine import load_config
from xemap.engine.saved_config import warn_of_other_model
from xemap.errors import CheckpointError, ConfigError
from xemap.evaluation import SeLoMetric
from xemap.evaluation.provenance import annotation_file_of, describe_run
from xemap.evaluation.scores import Row
from xemap.models.build import build_localizer, require_localizer
from xemap.models.localizers import Localizer
from xemap.raster.image_io import read_image
from xemap.raster.resize import fit_size, resize
from xemap.registry import DATASETS
from xemap.structures import Answers, BoxAnswers

KEPT_SIDE = 384
"""Longest side, in pixels, of the maps that are kept for pictures."""


@dataclass(frozen=True)
class Method:
    """What is compared.

    Args:
        name: in tables and file names.
        config: path of its config.
        checkpoint: weights; None = those the config starts with (a model that needs no training, or an
            untrained one).
    """

    name: str
    config: Path
    checkpoint: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Method:
        """``[NAME=]CONFIG[:CHECKPOINT]``; the name is the config's unless given.

        Raises:
            ConfigError: the config does not exist, or the name is no file name.
            CheckpointError: the checkpoint does not exist; better now than after the methods before it.
        """
        match = re.fullmatch(r'(?:(?P<name>[^=/]+)=)?(?P<config>.+?\.py)(?::(?P<checkpoint>.+))?', text)
        if match is None:
            raise ConfigError(f'method "{text}" is not of the form [NAME=]CONFIG.py[:CHECKPOINT]')
        config = Path(match['config'])
        if not config.is_file():
            raise ConfigError(f'method "{text}": config {config} does not exist; configs/ has those of this project')
        name = (match['name'] or config.stem).strip()
        if not re.fullmatch(r'[\w .+()-]+', name):
            raise ConfigError(
                f'method "{text}": the name {name!r} is no file name; use letters, digits, space and -._+()'
            )
        checkpoint = None if match['checkpoint'] is None else Path(match['checkpoint'])
        if checkpoint is not None and not checkpoint.is_file():
            raise CheckpointError(f'method "{text}": checkpoint {checkpoint} does not exist; give a .pth file')
        return cls(name, config, checkpoint)


@dataclass
class Outcome:
    """What a method did.

    Args:
        method: which.
        rows: scores of each query, see :mod:`xemap.evaluation.report`.
        summary: their means, see :func:`xemap.evaluation.report.summarize`.
        images: number of images.
        read_seconds: reading and preparing images.
        model_seconds: from pixels and texts to maps at the images' size; with ``read_seconds`` it makes
            ``total_seconds``.
        stages: seconds of the model's own parts, where it measures them.
        scoring_seconds: bringing maps to a row of scores, not in ``total_seconds``.
        peak_gpu_bytes: most GPU memory held by tensors, None without a GPU.
        maps: by (image, query), the maps kept for pictures, (h, w) uint8.
        parts: likewise, by text, the maps of the query's parts.
    """

    method: Method
    rows: list[Row]
    summary: dict[str, Any]
    images: int
    read_seconds: float
    model_seconds: float
    stages: dict[str, float] = field(default_factory=dict)
    peak_gpu_bytes: int | None = None
    scoring_seconds: float = 0.0
    maps: dict[tuple[int, int], Any] = field(default_factory=dict, repr=False)
    parts: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict, repr=False)

    @property
    def total_seconds(self) -> float:
        return self.read_seconds + self.model_seconds

    @property
    def queries(self) -> int:
        """Number of queries, scored or not."""
        return len(self.rows)

    def as_dict(self) -> dict[str, Any]:
        """For programs; JSON-serializable."""
        overall = self.summary['overall']
        return {
            'name': self.method.name,
            'config': str(self.method.config),
            'checkpoint': None if self.method.checkpoint is None else str(self.method.checkpoint),
            **{score: overall[score] for score in self.summary['scores']},
            'intervals': overall['intervals'],
            'images': self.images,
            'queries': self.queries,
            'unscored': overall['unscored'],
            'total_seconds': self.total_seconds,
            'read_seconds': self.read_seconds,
            'model_seconds': self.model_seconds,
            'scoring_seconds': self.scoring_seconds,
            'queries_per_second': self.queries / self.total_seconds,
            'stage_seconds': self.stages,
            'peak_gpu_bytes': self.peak_gpu_bytes,
            'by_kind': self.summary['by_kind'],
        }


def test_set(cfg: Config, ann_file: str | None, data_root: str | None):
    """The config's test data with its own pipeline, over other annotations where they are given.

    Raises:
        ConfigError: the config has no test set, or its model makes no maps.
    """
    require_localizer(cfg)
    if not cfg.get('test_dataloader'):
        raise ConfigError(f'config {cfg.filename} has no test_dataloader; a comparison needs one')
    dataset = cfg.test_dataloader.dataset
    if ann_file is not None:
        dataset.ann_file = ann_file
    if data_root is not None:
        dataset.data_root = data_root
    with DefaultScope.overwrite_default_scope('xemap'):
        return DATASETS.build(dataset)


def run_method(
    method: Method,
    ann_file: str | None = None,
    data_root: str | None = None,
    *,
    device: str = 'cpu',
    protocol: str = 'reference',
    normalize: bool = False,
    with_bounds: bool = False,
    keep: Mapping[tuple[int, int], Sequence[str]] | None = None,
    options: list[str] | dict | None = None,
    advance=lambda images: None,
) -> Outcome:
    """Run a method over the test set. Loading the model, scoring its maps and the parts are not in the times.

    Memory holds a batch of answers as the model gives them, and one map at full size.

    Args:
        method: which.
        ann_file, data_root: annotations and data of the test set; default those of the config.
        device: ``'cpu'`` or ``'cuda'``.
        protocol, normalize: of :class:`~xemap.evaluation.SeLoMetric`.
        with_bounds: score the reference answers as well.
        keep: (image, query) whose maps to keep for pictures, with the texts of its parts, which are answered after the
            test set.
        options: overrides of the config.
        advance: called with the number of images done, for progress.

    Raises:
        ConfigError, CheckpointError, DataError: what does not fit.
    """
    cfg = load_config(method.config, options)
    dataset = test_set(cfg, ann_file, data_root)
    set_random_seed((cfg.get('randomness') or {}).get('seed') or 0)  # of what has no weights
    model = build_localizer(cfg, method.checkpoint, device)
    if method.checkpoint is not None:
        warn_of_other_model(cfg, method.checkpoint)
    metric = SeLoMetric(protocol=protocol, normalize=normalize, with_bounds=with_bounds)
    keep = keep or {}
    batch_size = cfg.test_dataloader.get('batch_size', 1)
    outcome = Outcome(method, [], {}, len(dataset), 0.0, 0.0)
    _predict(model, [dataset[0]], device)  # kernels are chosen, buffers filled
    model.reset_stage_seconds()
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
    for start in range(0, len(dataset), batch_size):
        begun = time.perf_counter()
        batch = [dataset[i] for i in range(start, min(start + batch_size, len(dataset)))]
        read = time.perf_counter()
        samples = _predict(model, batch, device)
        outcome.read_seconds += read - begun
        outcome.model_seconds += time.perf_counter() - read
        for sample in samples:
            for number in range(len(sample.queries)):
                begun = time.perf_counter()
                resized = _at_full_size(sample, number)
                done = time.perf_counter()
                outcome.model_seconds += done - begun
                metric.process(None, [resized])
                outcome.scoring_seconds += time.perf_counter() - done
            for query_id, answer in zip(sample.query_ids, sample.answers):
                if (sample.sample_idx, query_id) in keep:
                    outcome.maps[sample.sample_idx, query_id] = _small(answer)
        advance(len(batch))
    outcome.rows = metric.gather()
    run = describe_run(cfg.filename, method.checkpoint, annotation_file_of(cfg))
    outcome.summary = {'protocol': protocol, 'run': run, **metric.summarize(outcome.rows, metric.scores)}
    outcome.stages = dict(model.stage_seconds)
    if device == 'cuda':
        outcome.peak_gpu_bytes = torch.cuda.max_memory_allocated()
    outcome.parts = _part_maps(model, dataset, keep)
    return outcome


def _part_maps(
    localizer: Localizer, dataset: Any, keep: Mapping[tuple[int, int], Sequence[str]]
) -> dict[tuple[int, int], dict[str, np.ndarray]]:
    """Maps of the parts of kept queries; every image is read once."""
    made: dict[tuple[int, int], dict[str, np.ndarray]] = {}
    for i in range(len(dataset)) if any(keep.values()) else ():
        info = dataset.get_data_info(i)
        keys = [(int(info['sample_idx']), int(query_id)) for query_id in info['query_ids']]
        kept = {key: keep[key] for key in keys if keep.get(key)}
        texts = list(dict.fromkeys(text for parts in kept.values() for text in parts))
        if texts:
            (answers,) = localizer.localize([read_image(Path(info['img_path']))], [texts])
            maps = {text: _small(answer) for text, answer in zip(texts, answers)}
            made |= {key: {text: maps[text] for text in parts} for key, parts in kept.items()}
    return made


def _predict(localizer: Localizer, batch: list[dict], device: str) -> list:
    with torch.inference_mode():
        samples = localizer.test_step(pseudo_collate(batch))
    if device == 'cuda':
        torch.cuda.synchronize()
    return samples


def _at_full_size(sample, number: int) -> dict:
    """The sample of one query, with its answer as users get it: in the image's original size."""
    chosen = slice(number, number + 1)
    return {
        **sample.to_dict(),
        'queries': sample.queries[chosen],
        'query_ids': sample.query_ids[chosen],
        'answers': sample.answers[chosen].resized(tuple(sample.ori_shape[:2])),
    }


def _small(answer: Answers) -> np.ndarray:
    """The map of one answer, (h, w) uint8, at most ``KEPT_SIDE`` long."""
    size = fit_size(answer.size, KEPT_SIDE)
    map = answer.maps(size if answer.form == BoxAnswers.form else None)[0]
    return np.rint(resize(map, size) * 255).astype(np.uint8)
