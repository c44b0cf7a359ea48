"""Pictures of a few queries, the same ones after every epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop

from xemap.datasets.mcmg import correlation_map
from xemap.datasets.transforms.targets import target_options
from xemap.evaluation import QueryMetric
from xemap.evaluation.scores import Row, Score
from xemap.raster.image_io import read_image
from xemap.raster.resize import fit_size, resize
from xemap.registry import HOOKS
from xemap.structures import XeMapDataSample
from xemap.visualization import query_panel, save_picture, scale_polygons, shrink

MAX_SIDE = 384
MAX_WAITING = 32
"""Pictures of a test that may wait to be drawn; then the test waits for them."""

Key = tuple[int, int]
"""``sample_idx`` and query number."""


@HOOKS.register_module()
class DrawHook(Hook):
    """Draws image, target and prediction of queries, all on the scale 0..1.

    While training, the same ``num_queries`` validation queries, spread evenly over the data set, go to
    ``work_dir/vis_data/epoch_NNN/`` (``iter_NNNNNN/`` where training counts iterations) and to the
    visualizer's back ends. While testing, every query goes to ``show_dir`` if that is set, with its value of the
    evaluator's main score in the title and at the beginning of the file's name; queries without one come last.
    A thread draws while the model goes on. Targets are made as the config's own pipeline makes them.

    Args:
        num_queries: how many validation queries to draw; 0 = none.
        show_dir: where test pictures go; None draws none.
    """

    priority = 'ABOVE_NORMAL'  # before the timer, which would count drawing as loading the next batch

    def __init__(self, num_queries: int = 6, show_dir: str | None = None) -> None:
        self.num_queries = num_queries
        self.show_dir = show_dir
        self._chosen: list[int] = []  # rows of the annotation file
        self._drawn: dict[str, np.ndarray] = {}
        self._target: dict[str, Any] = {}
        self._thread: ThreadPoolExecutor | None = None
        self._drawing: list[Future] = []
        self._unscored: dict[Key, Drawing] = {}
        self._seen = 0  # rows of the metric that were looked at

    def before_val(self, runner) -> None:
        dataset = runner.val_dataloader.dataset
        indices = even_choice(len(dataset), self.num_queries)
        self._chosen = [dataset.get_data_info(i)['sample_idx'] for i in indices]
        self._drawn = {}
        self._target = target_options(runner.cfg)

    def after_val_iter(self, runner, batch_idx: int, data_batch: dict, outputs: Sequence[XeMapDataSample] = ()) -> None:
        for image, sample in zip(data_batch['inputs'], outputs):
            if sample.sample_idx in self._chosen:
                query = self._chosen.index(sample.sample_idx) % len(sample.queries)
                self._drawn[picture_name(sample, query)] = draw_query(
                    picture_of(sample, image), sample, query, self._target
                )

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        # Only the first rank's visualizer writes, and the images are spread over all ranks.
        pictures = {name: picture for part in all_gather_object(self._drawn) for name, picture in part.items()}
        if not is_main_process():
            return
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        step = runner.epoch if by_epoch else runner.iter
        folder = Path(runner.work_dir, 'vis_data', f'epoch_{step:03d}' if by_epoch else f'iter_{step:06d}')
        for name, picture in sorted(pictures.items()):
            save_picture(folder / f'{name}.png', picture)
            runner.visualizer.add_image(f'val_{name}', picture, step)

    def before_test_epoch(self, runner) -> None:
        self._target = target_options(runner.cfg)
        self._drawing, self._unscored, self._seen = [], {}, 0
        if self.show_dir is not None:
            self._thread = ThreadPoolExecutor(1)

    def after_test_iter(
        self, runner, batch_idx: int, data_batch: dict, outputs: Sequence[XeMapDataSample] = ()
    ) -> None:
        if self._thread is None:
            return
        for image, sample in zip(data_batch['inputs'], outputs):
            rgb = self._thread.submit(picture_of, sample, image)
            for query, query_id in enumerate(sample.query_ids):
                self._unscored[int(sample.sample_idx), int(query_id)] = Drawing.of(sample, query, rgb, self._target)
        metric = scored_by(runner.test_loop.evaluator)
        if metric is None:
            self._draw({key: (None, '') for key in self._unscored})
        else:
            new, self._seen = metric.results[self._seen :], len(metric.results)
            self._draw(values_of(new, metric))

    def after_test_epoch(self, runner, metrics: dict | None = None) -> None:
        if self._thread is None:
            return
        metric = scored_by(runner.test_loop.evaluator)
        if metric is not None:  # rows that worker processes had not given back before
            self._draw(values_of(metric.rows, metric))
        self._draw({key: (None, '') for key in self._unscored})
        self._thread.shutdown(wait=True)
        self._thread = None
        for done in self._drawing:
            done.result()

    def _draw(self, values: Mapping[Key, tuple[float | None, str]]) -> None:
        assert self._thread is not None
        for key in [key for key in self._unscored if key in values]:
            save = self._unscored.pop(key).save
            self._drawing.append(self._thread.submit(save, Path(self.show_dir or ''), *values[key]))
        while len(self._drawing) > MAX_WAITING:
            self._drawing.pop(0).result()


@dataclass(frozen=True)
class Drawing:
    """A query of a test, kept until its score is known.

    Args:
        name: name of the file, without score and ending.
        sample: sample of one query, with its answer at most ``MAX_SIDE`` long.
        rgb: the image, (H, W, 3) uint8 RGB.
        target: how targets are made, see :func:`draw_query`.
    """

    name: str
    sample: XeMapDataSample
    rgb: Future
    target: Mapping[str, Any]

    @classmethod
    def of(cls, sample: XeMapDataSample, query: int, rgb: Future, target: Mapping[str, Any]) -> Drawing:
        """A sample's query, without the answers to the others."""
        small = fit_size((int(sample.ori_shape[0]), int(sample.ori_shape[1])), MAX_SIDE)
        kept = XeMapDataSample(metainfo={'ori_shape': sample.ori_shape})
        kept.queries = [sample.queries[query]]
        kept.answers = sample.answers[query].resized(small)
        if 'gt_maps' in sample:
            kept.gt_maps = sample.gt_maps[query : query + 1]
        return cls(picture_name(sample, query), kept, rgb, target)

    def save(self, folder: Path, value: float | None, label: str) -> None:
        """Write the picture; files in order of name are in order of score."""
        score = 'unscored' if value is None else f'{value:.4f}'
        picture = draw_query(self.rgb.result(), self.sample, 0, self.target, value, label)
        save_picture(folder / f'{score}_{self.name}.png', picture)


def scored_by(evaluator: Any) -> QueryMetric | None:
    """The metric whose main score orders pictures: the first of queries."""
    return next((metric for metric in evaluator.metrics if isinstance(metric, QueryMetric)), None)


def values_of(rows: Sequence[Row], metric: QueryMetric) -> dict[Key, tuple[float | None, str]]:
    """The main score of each row alone, as a number rather than whether it is above a limit, and its label."""
    main: Score = next(score for score in metric.scores if score.name == (metric.main or metric.scores[0].name))
    score = replace(main, above=None, below=None).renamed(metric.prefix or '')
    label = main.label if main.above is main.below is None else main.column.replace('_', ' ')
    terms = score.terms(rows)
    return {
        (int(row['sample_idx']), int(row['query_id'])): (score.value(top[None], bottom[None]), label)
        for row, top, bottom in zip(rows, *terms)
    }


def even_choice(total: int, number: int) -> list[int]:
    """``number`` different indices spread evenly over ``range(total)``, in order."""
    number = min(number, total)
    return [(2 * i + 1) * total // (2 * number) for i in range(number)]


def picture_of(sample: XeMapDataSample, image) -> np.ndarray:
    """The sample's image file where it is there and was not mirrored, else what the network saw of it.

    Args:
        sample: with ``img_path``.
        image: (3, H, W) uint8 RGB tensor, the network's input.

    Returns:
        (H', W', 3) uint8 RGB, at most ``MAX_SIDE`` pixels long where it comes from the file.
    """
    path = Path(sample.get('img_path') or '')
    if sample.get('flip') or not path.is_file():
        return to_rgb(image)
    return shrink(read_image(path), MAX_SIDE)


def to_rgb(image) -> np.ndarray:
    """(3, H, W) uint8 RGB tensor, as the pipeline packs it, to (H, W, 3) uint8."""
    return image.permute(1, 2, 0).contiguous().cpu().numpy()


def picture_name(sample: XeMapDataSample, query: int) -> str:
    """File name without ending, ordered by image and query: '00012_q03_harbor'."""
    return f'{sample.sample_idx:05d}_q{sample.query_ids[query]:02d}_{Path(sample.img_path).stem}'


def draw_query(
    image: np.ndarray,
    sample: XeMapDataSample,
    query: int,
    target: Mapping[str, Any] | None = None,
    score: float | None = None,
    label: str = 'Rmi',
) -> np.ndarray:
    """Picture of one query of a predicted sample.

    Args:
        image: (H, W, 3) uint8 RGB as the model saw it, of any size; brought back to its own proportions.
        sample: with ``answers`` and ``queries``; the target comes from ``gt_maps``, else from the region.
        query: which of the sample's queries.
        target: ``grids`` and ``sigma`` of targets that are made here, see :func:`correlation_map`; None = its defaults.
        score, label: to be printed.

    Returns:
        (H', W', 3) uint8 RGB.
    """
    size = (int(sample.ori_shape[0]), int(sample.ori_shape[1]))
    small = fit_size(size, MAX_SIDE)
    image = resize(image, small)
    text, region = sample.queries[query].text, sample.queries[query].region
    if 'gt_maps' in sample:
        target_map = sample.gt_maps[query].cpu().numpy()
    else:
        target_map = correlation_map(region.coverage(size, small), **(target or {}))
    outlines = scale_polygons(region.polygons(size), size, small)
    prediction = sample.answers[query].maps(small)[0]
    title = text if score is None else f'{text}   ({label} {score:.3f})'
    return query_panel(image, title, prediction, target_map, outlines, max_side=MAX_SIDE)
