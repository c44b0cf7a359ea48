"""From images and queries to maps, polygons, boxes and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from xemap.engine.saved_config import config_of_checkpoint
from xemap.errors import ConfigError
from xemap.files import file_hash
from xemap.inference.passes import Progress, read_whole, store_answers, tile_boxes, tile_maps
from xemap.inference.pictures import draw_pictures
from xemap.inference.result import Result
from xemap.inference.tiling import check_tiling
from xemap.inference.vectorize import AUTO_THRESHOLD, box_regions, find_regions, find_threshold, parse_threshold
from xemap.models import build_localizer
from xemap.raster.raster import Raster
from xemap.raster.raster_file import open_raster
from xemap.structures import Answers, BoxAnswers

MODES = ('resize', 'tile')

LOST = 8
"""Images whose longer side is more than this many times the model's lose what is small in them."""


class XeMapInferencer:
    """Answers queries about images with any localizer of the project.

        >>> inferencer = XeMapInferencer('xemap_small_synthetic', 'work_dirs/quickstart/epoch_3.pth')
        >>> result = inferencer('scene.tif', ['the lake', 'the road next to the lake'], threshold='auto')
        >>> result.maps.shape, result.polygons[0]

    Args:
        config_or_name: name of one of the project's configs, path of a config, a Config, or a checkpoint (``.pth``),
            whose own config is read as data.
        weights: checkpoint; None leaves the model untrained.
        device: as torch names it; None = the GPU where there is one.

    Raises:
        ConfigError, CheckpointError: see :func:`~xemap.models.build_localizer`.
    """

    def __init__(self, config_or_name: Any, weights: str | Path | None = None, device: Any = None) -> None:
        if weights is None and isinstance(config_or_name, (str, Path)) and Path(config_or_name).suffix == '.pth':
            config_or_name, weights = config_of_checkpoint(config_or_name), config_or_name
        self.localizer = build_localizer(config_or_name, weights, device)
        self.tags = {'model': _title(config_or_name), 'weights': Path(weights).name if weights else 'untrained'}
        if weights and (digest := file_hash(weights)):
            self.tags['weights_sha256'] = digest

    def __call__(
        self,
        images: Any,
        queries: str | Sequence[str],
        mode: str = 'resize',
        *,
        tile: int = 1024,
        overlap: float = 0.25,
        scales: Sequence[float] = (1,),
        batch_size: int = 8,
        threshold: float | str | None = None,
        min_area: float = 0.0,
        simplify: float = 1.0,
        pictures: bool = False,
        parts: Mapping[str, Sequence[str]] | None = None,
        levels: bool = False,
        bands: Sequence[int] | None = None,
        stretch: tuple[float, float] | None = None,
        scratch: str | Path | None = None,
        in_memory: int | None = None,
        progress: Progress | None = None,
    ) -> Result | list[Result]:
        """Answer all queries for one image or several; an image is encoded once for all of them.

        Args:
            images: a path, an (H, W[, C]) array (RGB), an open rasterio dataset, or a list of such.
            queries: one text or several.
            mode: ``'resize'``, the paper's protocol: the whole image at the model's input size. ``'tile'``: windows at
                the image's own resolution, blended; memory does not follow the image's size.
            tile: side of a window in pixels.
            overlap: share of a window that its neighbor repeats, in [0, 1).
            scales: passes that are averaged, as multiples of ``tile``: ``(1, 4)`` adds one with windows four times as
                wide, seen at a quarter of the resolution, which know more of what lies around.
            batch_size: windows, or images in mode ``'resize'``, that the model sees at a time.
            threshold: see :func:`~xemap.inference.vectorize.parse_threshold`; None = no regions.
            min_area: leave out regions of fewer pixels.
            simplify: tolerance of outlines, in pixels; 0 keeps the edges of pixels.
            pictures: draw image and map side by side.
            parts: to a query other ones whose maps its picture shows beside its own, as those of
                :func:`~xemap.language.decompose.whole_and_parts`.
            levels: keep the sub-maps of the head's levels as well (``result.levels``), and draw them in pictures; in
                mode ``'resize'``.
            bands: the bands to see as red, green, blue, or one as gray, from 1; None = as the file says.
            stretch: percentiles that become 0 and 255; None = 2 and 98, for other than 8-bit pixels only.
            scratch: folder for maps that do not fit in memory; None = the system's.
            in_memory: bytes of maps that fit; None = 512 MB.
            progress: called with (windows done, windows in all), in mode ``'resize'`` with images.

        Returns:
            one result, or a list for a list of images.

        Raises:
            ConfigError: an argument does not fit.
            DataError: an image cannot be read.
        """
        texts = check_queries(queries)
        rule = None if threshold is None else self._threshold_rule(threshold)
        if mode not in MODES:
            raise ConfigError(f'mode "{mode}"; use one of {", ".join(MODES)}')
        if batch_size < 1:
            raise ConfigError(f'batch_size={batch_size}; give at least 1')
        for name, value in (('min_area', min_area), ('simplify', simplify)):
            if not value >= 0:
                raise ConfigError(f'{name}={value}; give pixels, 0 or more')
        if missing := [part for texts_of in (parts or {}).values() for part in texts_of if part not in texts]:
            raise ConfigError(f'part "{missing[0]}" is no query; ask it as well')
        if levels and mode != 'resize':
            raise ConfigError(f'levels in mode "{mode}"; they are shown in mode "resize"')
        if mode == 'tile':
            self._check_tiles(tile, overlap, scales)
        several = isinstance(images, (list, tuple))
        results = []
        sources = iter(images if several else [images])
        fixed_size = self.localizer.input_size is not None
        while group := list(islice(sources, batch_size if mode == 'resize' and fixed_size else 1)):
            rasters = [open_raster(source, bands, stretch) for source in group]
            try:
                answered: Sequence[Answers | None] = [None]
                sub_maps = None
                if mode == 'resize':
                    whole = read_whole(rasters, fixed_size)
                    answered = self._answer(whole, texts)
                    sub_maps = self._answer_levels(whole, texts) if levels else None
                elif self.localizer.form == BoxAnswers.form:
                    answered = [
                        tile_boxes(self._answer, rasters[0], texts, tile, overlap, scales, batch_size, progress)
                    ]
                for i, (raster, answers) in enumerate(zip(rasters, answered)):
                    if answers is None:
                        tiling = (tile, overlap, scales, batch_size, scratch, progress)
                        store = tile_maps(self._answer, raster, texts, *tiling, in_memory=in_memory)
                    else:
                        store = store_answers(raster, answers, scratch, in_memory)
                    result = Result(
                        raster.name, texts, store, raster.georeference, raster.masked,
                        {**self.tags, 'mode': mode}, raster.limits,
                        box_answers=answers.resized(raster.size) if isinstance(answers, BoxAnswers) else None,
                        notes=self._notes(raster, mode, overlap), levels=sub_maps[i] if sub_maps else None,
                    )  # fmt: skip
                    if rule is not None:
                        self._add_regions(result, rule, min_area, simplify)
                    if pictures:
                        result.pictures = draw_pictures(raster, result, parts or {})
                    results.append(result)
                    if progress and mode == 'resize':
                        progress(len(results), len(images) if several else 1)
            finally:
                for raster in reversed(rasters):
                    raster.close()
        return results if several else results[0]

    def _notes(self, raster: Raster, mode: str, overlap: float) -> list[str]:
        given = self.localizer.input_size
        if mode == 'tile':
            return ['overlap 0 leaves hard seams between windows; 0.25 blends them'] if overlap == 0 else []
        if given is None or max(raster.size) <= LOST * max(given):
            return []
        return [
            f'mode "resize" shrinks {raster.size[1]} x {raster.size[0]} pixels to {given[1]} x {given[0]}, and small '
            f'objects vanish; give mode "tile" with tile={4 * max(given)}'
        ]

    def _check_tiles(self, tile: int, overlap: float, scales: Sequence[float]) -> None:
        check_tiling(tile, overlap)
        if not scales or not all(scale >= 1 for scale in scales):
            raise ConfigError(f'scales={tuple(scales)}; give multiples of the tile, at least 1')
        if tile < self.localizer.stride:
            raise ConfigError(
                f"tile={tile} is smaller than the model's stride of {self.localizer.stride} pixels; give a larger one, "
                'as 1024'
            )
        if self.localizer.form == BoxAnswers.form and not self.localizer.scored:
            raise ConfigError(
                f'{type(self.localizer).__name__} scores every box 1, and of the boxes of all windows the highest '
                'score counts; give mode "resize", or a model trained with model.head.with_score=True'
            )

    def _threshold_rule(self, threshold: float | str) -> float | str:
        rule, form = parse_threshold(threshold), self.localizer.form
        if rule == 'auto':
            return AUTO_THRESHOLD[form]
        if form == BoxAnswers.form and isinstance(rule, str):
            raise ConfigError(
                f'threshold "{rule}" is found from a map, and {type(self.localizer).__name__} predicts boxes; give the '
                'least score of a box, in [0, 1], or "auto"'
            )
        return rule

    def _answer(self, images: Sequence[np.ndarray], queries: Sequence[str]) -> list[Answers]:
        return self.localizer.localize(images, [queries] * len(images))

    def _answer_levels(self, images: Sequence[np.ndarray], queries: Sequence[str]) -> list[list[Answers]]:
        """To each image the answers of each level, by the whole network: levels are for looking at, not for speed."""
        head: Any = getattr(self.localizer, 'head', None)
        if not hasattr(head, 'only_level'):
            raise ConfigError(f'{type(self.localizer).__name__} has no levels to show; XeMap-Network with HMSAHead has')
        by_level = []
        for level in range(self.localizer.num_levels):
            with head.only_level(level):
                by_level.append(self._answer(images, queries))
        return [list(answers) for answers in zip(*by_level)]

    @staticmethod
    def _add_regions(result: Result, rule: float | str, min_area: float, simplify: float) -> None:
        queries = range(len(result.queries))
        result.thresholds = [find_threshold(result.store, query, rule) for query in queries]
        result.min_area = min_area
        if (boxes := result.box_answers) is not None:
            result.regions = [box_regions(boxes, query, result.thresholds[query], min_area) for query in queries]
            return
        result.regions = [
            find_regions(result.store, query, result.thresholds[query], min_area, simplify) for query in queries
        ]


def check_queries(queries: str | Sequence[str]) -> list[str]:
    """The texts of one or several queries.

    Raises:
        ConfigError: there are none, or one is empty.
    """
    texts = [queries] if isinstance(queries, str) else list(queries)
    if not texts:
        raise ConfigError('no query; give at least one sentence')
    for text in texts:
        if not isinstance(text, str) or not text.strip():
            raise ConfigError(f'query {text!r} is empty; remove it or give it words')
    return texts


def _title(config: Any) -> str:
    if isinstance(config, (str, Path)):
        return Path(config).stem
    return Path(config.filename).stem if getattr(config, 'filename', None) else 'config'
