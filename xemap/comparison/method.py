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
from xemap.engine.draw_hook import Key, values_of
from xemap.engine.saved_config import warn_of_other_model
from xemap.errors import CheckpointError, ConfigError
from xemap.evaluation import QueryMetric
from xemap.evaluation.provenance import annotation_file_of, describe_run
from xemap.evaluation.report import join_rows
from xemap.evaluation.results import combined
from xemap.evaluation.scores import Row, Score, named_scores
from xemap.models.build import build_localizer, require_localizer
from xemap.models.localizers import Localizer
from xemap.process_memory import peak_memory, reset_peak_memory
from xemap.raster.image_io import read_image
from xemap.raster.resize import fit_size, resize
from xemap.registry import DATASETS, METRICS
from xemap.structures import Answers, BoxAnswers

KEPT_SIDE = 384
"""Longest side, in pixels, of the maps that are kept for pictures."""

SELO = (dict(type='SeLoMetric'),)
"""Default metrics of the methods."""


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
        cpu_seconds: processor time of all threads within ``total_seconds``; other work on the machine is not in it.
        peak_memory_bytes: most memory that the process held while images were read and the model answered; on a GPU,
            most that tensors held on it. None where the system does not tell.
        parameters: number of the model's parameters.
        scores: those of each metric, under the names that they have in ``summary``.
        bounds: scores of reference answers, each with ``name`` and ``metric``.
        values: by (image, query), the main score of the first metric for this query alone, and its label.
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
    cpu_seconds: float = 0.0
    peak_memory_bytes: int | None = None
    parameters: int = 0
    scoring_seconds: float = 0.0
    scores: list[list[Score]] = field(default_factory=list)
    bounds: list[dict[str, Any]] = field(default_factory=list)
    values: dict[Key, tuple[float | None, str]] = field(default_factory=dict, repr=False)
    maps: dict[Key, Any] = field(default_factory=dict, repr=False)
    parts: dict[Key, dict[str, Any]] = field(default_factory=dict, repr=False)

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
            'cpu_seconds': self.cpu_seconds,
            'read_seconds': self.read_seconds,
            'model_seconds': self.model_seconds,
            'scoring_seconds': self.scoring_seconds,
            'queries_per_second': self.queries / self.total_seconds,
            'stage_seconds': self.stages,
            'peak_memory_bytes': self.peak_memory_bytes,
            'parameters': self.parameters,
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
    metrics: Sequence[dict] = SELO,
    with_bounds: bool = False,
    keep: Mapping[Key, Sequence[str]] | None = None,
    options: list[str] | dict | None = None,
    advance=lambda images: None,
) -> Outcome:
    """Run a method over the test set. Loading the model, scoring its maps and the parts are not in the times.

    Memory holds a batch of answers as the model gives them, and one map at full size.

    Args:
        method: which.
        ann_file, data_root: annotations and data of the test set; default those of the config.
        device: ``'cpu'`` or ``'cuda'``.
        metrics: configs of metrics of queries.
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
    if method.checkpoint is not None:
        warn_of_other_model(cfg, method.checkpoint)  # building completes the model's config, and it would differ
    model = build_localizer(cfg, method.checkpoint, device)
    built: list[QueryMetric] = [METRICS.build({**metric, 'with_bounds': with_bounds}) for metric in metrics]
    keep = keep or {}
    batch_size = cfg.test_dataloader.get('batch_size', 1)
    outcome = Outcome(method, [], {}, len(dataset), 0.0, 0.0)
    _predict(model, [dataset[0]], device)  # kernels are chosen, buffers filled
    model.reset_stage_seconds()
    outcome.parameters = sum(p.numel() for p in model.parameters())
    peaks: list[int | None] = []
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
    for start in range(0, len(dataset), batch_size):
        reset_peak_memory()
        begun, cpu = time.perf_counter(), time.process_time()
        batch = [dataset[i] for i in range(start, min(start + batch_size, len(dataset)))]
        read = time.perf_counter()
        samples = _predict(model, batch, device)
        outcome.read_seconds += read - begun
        outcome.model_seconds += time.perf_counter() - read
        outcome.cpu_seconds += time.process_time() - cpu
        peaks.append(peak_memory())
        for sample in samples:
            for number in range(len(sample.queries)):
                begun, cpu = time.perf_counter(), time.process_time()
                resized = _at_full_size(sample, number)
                done = time.perf_counter()
                outcome.model_seconds += done - begun
                outcome.cpu_seconds += time.process_time() - cpu
                for metric in built:
                    metric.process(None, [resized])
                outcome.scoring_seconds += time.perf_counter() - done
            for query_id, answer in zip(sample.query_ids, sample.answers):
                if (sample.sample_idx, query_id) in keep:
                    outcome.maps[sample.sample_idx, query_id] = _small(answer)
        advance(len(batch))
    peaks = [torch.cuda.max_memory_allocated()] if device == 'cuda' else peaks
    outcome.peak_memory_bytes = max((peak for peak in peaks if peak is not None), default=None)
    _summarize(outcome, built, describe_run(cfg.filename, method.checkpoint, annotation_file_of(cfg)))
    outcome.stages = dict(model.stage_seconds)
    outcome.parts = _part_maps(model, dataset, keep)
    return outcome


def _summarize(outcome: Outcome, metrics: Sequence[QueryMetric], run: dict[str, Any]) -> None:
    """Rows, summary, bounds and the main score of each query."""
    rows = [metric.gather() for metric in metrics]
    outcome.rows, outcome.scores = join_rows(rows), named_scores(metrics)
    summaries = []
    for metric, of_metric, scores in zip(metrics, rows, outcome.scores):
        summary = metric.summarize(of_metric, scores)
        summaries.append(summary)
        outcome.bounds += [
            {'name': name, 'metric': metric.name, **summary[key]}
            for key, name in metric.references.items()
            if key in summary
        ]
    protocols = {metric.name: metric.protocol for metric in metrics if metric.protocols}
    first = next(iter(protocols.values()), None)
    outcome.summary = {'protocol': first, 'protocols': protocols, **combined(summaries, run)}
    outcome.values = values_of(rows[0], metrics[0])


def _part_maps(
    localizer: Localizer, dataset: Any, keep: Mapping[Key, Sequence[str]]
) -> dict[Key, dict[str, np.ndarray]]:
    """Maps of the parts of kept queries; every image is read once."""
    made: dict[Key, dict[str, np.ndarray]] = {}
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
