"""The two ways over an image: the whole of it at the model's size, or windows of it, at one scale or several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from xemap.inference.map_store import STRIP, MapStore
from xemap.inference.tiling import blend_tiles, count_tiles, tile_windows
from xemap.raster.raster import Raster, Window
from xemap.structures import Answers, BoxAnswers
from xemap.structures.answers import fill_box

Predict = Callable[[Sequence[np.ndarray], Sequence[str]], Sequence[Answers]]
"""Images (H, W, 3) uint8 RGB and Q queries -> the answers of each image in its own frame."""

Progress = Callable[[int, int], None]
"""Called with (windows done, windows in all)."""

Bands = Iterable[tuple[int, np.ndarray]]
"""y of the first row and (Q, rows, W), from top to bottom."""

WHOLE_PIXELS = 1 << 26
"""Images of more pixels are averaged down while they are read, before the model's own resize."""

OPEN_BYTES = 1 << 29
"""Most bytes of rows that windows still add to; beyond it queries are handled in groups."""


def read_whole(rasters: Sequence[Raster], fixed_size: bool, max_pixels: int = WHOLE_PIXELS) -> list[np.ndarray]:
    """Images that the model sees as a whole, (H, W, 3) uint8 RGB.

    Args:
        fixed_size: the model resizes images itself, so that large ones may be averaged down while they are read.
        max_pixels: of an image that is read as it is.
    """
    images = []
    for raster in rasters:
        step = int(np.ceil(np.sqrt(raster.size[0] * raster.size[1] / max_pixels)))
        small = (max(1, raster.size[0] // step), max(1, raster.size[1] // step)) if fixed_size and step > 1 else None
        images.append(raster.read(None, small).rgb)
    return images


def store_answers(
    raster: Raster, answers: Answers, scratch: str | Path | None, in_memory: int | None = None
) -> MapStore:
    """Maps of the whole image from the answers about it; those of boxes are filled at the image's size.

    Args:
        scratch, in_memory: see :class:`MapStore`.
    """
    if isinstance(answers, BoxAnswers):
        bands: Bands = _filled(answers.resized(raster.size))
    else:
        bands = _averaged([_store_of(answers.maps())], raster.size)
    return _stored(raster, len(answers), [(0, bands)], scratch, in_memory)


def tile_maps(
    predict: Predict,
    raster: Raster,
    queries: Sequence[str],
    tile: int,
    overlap: float,
    scales: Sequence[float],
    batch_size: int,
    scratch: str | Path | None,
    progress: Progress | None = None,
    *,
    in_memory: int | None = None,
    open_bytes: int = OPEN_BYTES,
) -> MapStore:
    """Maps of an image from overlapping windows; the mean over the scales.

    At scale s the image is seen at 1/s of its resolution through windows of ``tile`` pixels of that size. The maps of
    coarse scales are kept at their resolution, and are enlarged band by band while those of scale 1 are made.

    Args:
        scratch, in_memory: see :class:`MapStore`.
        open_bytes: most bytes of rows that windows still add to; beyond it queries are handled in groups.
    """
    grids = _grids(raster.size, scales)
    at_once = max(1, open_bytes // (4 * max(min(tile, height) * width for height, width in grids)))
    groups = [(first, queries[first : first + at_once]) for first in range(0, len(queries), at_once)]
    count = _Counter(len(groups) * sum(count_tiles(grid, tile, overlap) for grid in grids), progress)

    def bands(group: Sequence[str], grid: tuple[int, int]) -> Bands:
        answered = _Windows(predict, raster, group, grid, batch_size, count)

        def maps(windows: Sequence[Window]) -> Iterator[np.ndarray | None]:
            return (None if answers is None else answers.maps() for answers in answered(windows))

        return blend_tiles(maps, grid, len(group), tile, overlap)

    def combined(group: Sequence[str]) -> Bands:
        coarse = []
        for grid in grids:
            if grid != raster.size:
                coarse.append(MapStore(len(group), grid, scratch, in_memory))
                for top, rows in bands(group, grid):
                    for query, map_rows in enumerate(rows):
                        coarse[-1].write(query, top, map_rows)
        yield from _averaged(coarse, raster.size, bands(group, raster.size) if raster.size in grids else None)

    return _stored(raster, len(queries), [(first, combined(group)) for first, group in groups], scratch, in_memory)


def tile_boxes(
    predict: Predict,
    raster: Raster,
    queries: Sequence[str],
    tile: int,
    overlap: float,
    scales: Sequence[float],
    batch_size: int,
    progress: Progress | None = None,
) -> BoxAnswers:
    """The best box of each query over overlapping windows of all scales: the one with the highest score, the first of
    equal ones; an empty answer never wins over a box. Arguments as :func:`tile_maps`.
    """
    grids = _grids(raster.size, scales)
    count = _Counter(sum(count_tiles(grid, tile, overlap) for grid in grids), progress)
    best, scores, presence = np.zeros((len(queries), 4)), np.zeros(len(queries)), np.zeros(len(queries))
    for grid in grids:
        to_image = np.array(raster.size[::-1] * 2) / (grid[::-1] * 2)
        windows = list(tile_windows(grid, tile, overlap))
        for (x0, y0, x1, y1), answers in zip(
            windows, _Windows(predict, raster, queries, grid, batch_size, count)(windows)
        ):
            if answers is not None:
                boxes = answers.boxes((y1 - y0, x1 - x0))
                better = (answers.scores > scores) & boxes.any(1)
                placed = (boxes + np.array([x0, y0] * 2)) * to_image
                best[better], scores[better] = placed[better], answers.scores[better]
                presence = np.maximum(presence, answers.presence)
    return BoxAnswers(best, raster.size, scores, presence)


def _grids(size: tuple[int, int], scales: Sequence[float]) -> list[tuple[int, int]]:
    """(height, width) of an image at each scale."""
    return [(max(1, round(size[0] / scale)), max(1, round(size[1] / scale))) for scale in sorted(set(scales))]


class _Windows:
    """Answers about windows of a grid over an image, read and predicted in batches; None where there is no data.

    Args:
        grid: (height, width) of the image at the scale of the windows.
    """

    def __init__(
        self,
        predict: Predict,
        raster: Raster,
        queries: Sequence[str],
        grid: tuple[int, int],
        batch_size: int,
        count: _Counter,
    ) -> None:
        self._predict, self._raster, self._queries, self._count = predict, raster, queries, count
        self._batch_size = batch_size
        self._scale = np.array(raster.size[::-1] * 2) / np.array(grid[::-1] * 2)

    def __call__(self, windows: Sequence[Window]) -> Iterator[Answers | None]:
        images: list[np.ndarray | None] = []  # None = without data; the model never sees it
        waiting = iter(windows)
        window = next(waiting, None)
        while window is not None:
            part = self._read(window)
            images.append(None if part.empty else part.rgb)
            window = next(waiting, None)
            seen = [image for image in images if image is not None]
            if window is None or not seen or len(seen) == self._batch_size:
                answers = iter(self._predict(seen, self._queries) if seen else ())
                self._count.add(len(images))
                for image in images:
                    yield None if image is None else next(answers)
                images = []

    def _read(self, window: Window):
        x0, y0, x1, y1 = np.rint(window * self._scale).astype(int).tolist()
        return self._raster.read((x0, y0, x1, y1), (window[3] - window[1], window[2] - window[0]))


class _Counter:
    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def add(self, number: int) -> None:
        self._done += number
        if self._progress:
            self._progress(self._done, self._total)


def _averaged(coarse: Sequence[MapStore], size: tuple[int, int], fine: Bands | None = None) -> Bands:
    """Bands of the mean of maps of several resolutions."""
    if fine is None:
        queries = coarse[0].shape[0]
        tops = range(0, size[0], STRIP)
        fine = ((top, np.zeros((queries, min(STRIP, size[0] - top), size[1]), np.float32)) for top in tops)
        number = len(coarse)
    else:
        number = len(coarse) + 1
    for top, rows in fine:
        for store in coarse:
            for query, map_rows in enumerate(rows):
                map_rows += store.resized(query, size, top, top + len(map_rows))
        if number > 1:
            rows /= number
        yield top, rows


def _stored(
    raster: Raster,
    queries: int,
    parts: Iterable[tuple[int, Bands]],
    scratch: str | Path | None,
    in_memory: int | None,
) -> MapStore:
    """Maps from (first query, bands) parts, NaN where the image has no data."""
    store = MapStore(queries, raster.size, scratch, in_memory)
    for first, bands in parts:
        for top, rows in bands:
            valid = raster.valid(top, top + rows.shape[1])
            for query, map_rows in enumerate(rows, start=first):
                store.write(query, top, map_rows, valid)
    return store


def _store_of(maps: np.ndarray) -> MapStore:
    store = MapStore(len(maps), maps.shape[1:], in_memory=maps.nbytes)
    for query, map in enumerate(maps):
        store.write(query, 0, map)
    return store


def _filled(answers: BoxAnswers) -> Bands:
    """Bands of the filled boxes of an image."""
    height, width = answers.size
    boxes = answers.boxes()
    for top in range(0, height, STRIP):
        rows = np.zeros((len(answers), min(STRIP, height - top), width), np.float32)
        for map_rows, box in zip(rows, boxes):
            fill_box(map_rows, box, top)
        yield top, rows
