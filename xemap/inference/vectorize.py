"""From maps to regions: thresholds, polygons with scores, boxes and masks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import cv2
import numpy as np
import rasterio
import shapely
from rasterio.features import shapes
from rasterio.io import MemoryFile
from rasterio.windows import Window

from xemap.errors import ConfigError
from xemap.inference.map_store import STRIP, MapStore
from xemap.raster.gdal import GDAL_OPTIONS, quiet_about_missing_place
from xemap.structures import BoxAnswers

LEVELS = 1 << 16
"""Steps of [0, 1] in which values are counted for Otsu's threshold and for quantiles."""

AUTO_THRESHOLD: dict[str, float | str] = {'map': 'otsu', 'mask': 0.5, 'box': 0.0}
"""Threshold of each form of answer unless another is given: a map has no threshold of its own, a mask is the pixels
that are more likely than not, and a box is an answer whatever its score."""


@dataclass(frozen=True)
class MapRegion:
    """A connected region of a map at or above its threshold; pixels that touch at a corner only are apart.

    Args:
        polygon: shapely Polygon in x, y pixels, perhaps with holes; (0, 0) is the outer corner of the top left pixel.
        score: mean of the map over the region's pixels, or the score of a box, in [0, 1].
        pixels: area before simplification.
        box: x0, y0, x1, y1 in pixels, the corners of ``polygon``'s bounding box before simplification.
    """

    polygon: shapely.Polygon
    score: float
    pixels: int
    box: tuple[float, float, float, float]


def parse_threshold(text: str | float) -> float | str:
    """Check a threshold: a number in [0, 1], ``'otsu'``, ``'q0.95'`` (that quantile of each map), or ``'auto'``, the
    one of :data:`AUTO_THRESHOLD`. Of boxes it is the least score.

    Raises:
        ConfigError: it is none of these.
    """
    if text in ('auto', 'otsu'):
        return str(text)
    quantile = isinstance(text, str) and text.startswith('q')
    try:
        value = float(text[1:] if isinstance(text, str) and quantile else text)
    except ValueError:
        value = float('nan')
    if not 0 <= value <= 1:
        raise ConfigError(f'threshold "{text}"; give a number in [0, 1], "auto", "otsu", or a quantile as "q0.95"')
    return str(text) if quantile else value


def find_threshold(store: MapStore, query: int, rule: float | str) -> float:
    """The value that a rule stands for in one map.

    Otsu's threshold is that between 256 classes; quantiles are exact to 1/65535. Pixels that are NaN do not count.

    Args:
        rule: as from :func:`parse_threshold`.
    """
    if not isinstance(rule, str):
        return rule
    counts = np.zeros(LEVELS, np.int64)
    for _, rows in store.strips(query):
        values = np.clip(rows[~np.isnan(rows)], 0, 1)
        counts += np.bincount((values * (LEVELS - 1) + 0.5).astype(np.int64), minlength=LEVELS)
    if not counts.any():
        return 1.0
    if rule == 'otsu':
        return _otsu(counts.reshape(256, -1).sum(1)) / 256
    rank = max(1, int(np.ceil(float(rule[1:]) * counts.sum())))
    return float(np.searchsorted(np.cumsum(counts), rank) - 0.5) / (LEVELS - 1)


def find_regions(
    store: MapStore, query: int, threshold: float, min_area: float = 0.0, simplify: float = 1.0
) -> list[MapRegion]:
    """Regions of one map at or above a threshold, those with the highest score first.

    Works through the map by strips; memory follows the length of the regions' borders.

    Args:
        min_area: leave out regions of fewer pixels.
        simplify: distance in pixels by which a simplified outline may differ (Douglas-Peucker, validity kept);
            0 keeps the edges of pixels.

    Raises:
        ConfigError: a negative number.
    """
    if min_area < 0 or simplify < 0:
        raise ConfigError(f'min_area={min_area}, simplify={simplify}; give pixels, at least 0')
    parts = _Parts()
    polygons = outline_polygons(parts.of_strips(store, query, threshold), store.size)
    owner = parts.owner(polygons)
    pixels = np.bincount(owner, parts.pixels, len(polygons))
    sums = np.bincount(owner, parts.sums, len(polygons))
    kept = np.flatnonzero(pixels >= min_area)
    scores = sums[kept] / pixels[kept]
    boxes = shapely.bounds(polygons[kept])
    outlines = shapely.simplify(polygons[kept], simplify)
    return [
        MapRegion(outlines[i], float(scores[i]), int(pixels[kept[i]]), tuple(boxes[i].tolist()))
        for i in np.argsort(-scores, kind='stable')
    ]


def box_regions(answers: BoxAnswers, query: int, min_score: float = 0.0, min_area: float = 0.0) -> list[MapRegion]:
    """The box of a query as a region with its own score; none for an empty answer.

    Args:
        answers: in pixels of the image.
        query: which of them.
        min_score: leave out boxes with a lower score.
        min_area: leave out boxes of fewer pixels.
    """
    x0, y0, x1, y1 = box = tuple(answers.boxes()[query].tolist())
    area = (x1 - x0) * (y1 - y0)
    if area <= 0 or area < min_area or answers.scores[query] < min_score:
        return []
    return [MapRegion(shapely.box(*box), float(answers.scores[query]), round(area), (x0, y0, x1, y1))]


def outline_polygons(strips: Iterable[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Polygons of the 4-connected regions of a mask, along the edges of its pixels, holes kept.

    Memory follows the borders of the regions: the mask is kept compressed, and GDAL follows it row by row.

    Args:
        strips: (n, W) bool, from top to bottom, together the mask.
        size: (H, W) of the mask.

    Returns:
        (P,) shapely Polygons in x, y; (0, 0) is the outer corner of the top left pixel, so that their areas are
        numbers of pixels.
    """
    profile = dict(driver='GTiff', dtype='uint8', count=1, height=size[0], width=size[1], compress='packbits')
    with quiet_about_missing_place(), rasterio.Env(**GDAL_OPTIONS), MemoryFile() as memory:
        top, some = 0, False
        with memory.open(**profile, sparse_ok=True) as file:
            for strip in strips:
                if strip.any():
                    some = True
                    file.write(strip.view(np.uint8), 1, window=Window(0, top, size[1], len(strip)))
                top += len(strip)
        if not some:
            return np.empty(0, object)
        with memory.open() as file:
            band = rasterio.band(file, 1)
            outlines = [shape['coordinates'] for shape, _ in shapes(band, mask=band, connectivity=4)]
    lengths = [len(ring) for outline in outlines for ring in outline]
    coordinates = np.array(list(chain.from_iterable(ring for outline in outlines for ring in outline)), np.float64)
    rings = shapely.linearrings(coordinates, indices=np.repeat(np.arange(len(lengths)), lengths))
    first = np.cumsum([0, *(len(outline) for outline in outlines)])
    polygons = shapely.polygons(rings[first[:-1]])
    for i in np.flatnonzero(np.diff(first) > 1):  # the first ring is the outer one
        polygons[i] = shapely.polygons(rings[first[i]], rings[first[i] + 1 : first[i + 1]])
    broken = ~shapely.is_valid(polygons)  # a ring that meets itself at a corner: its loops are holes
    polygons[broken] = shapely.buffer(polygons[broken], 0)
    return polygons


class _Parts:
    """The connected parts of each strip of a mask, with what a region needs of the map: one pass over it."""

    def __init__(self) -> None:
        self._sums: list[np.ndarray] = []
        self._pixels: list[np.ndarray] = []
        self._points: list[np.ndarray] = []

    @property
    def sums(self) -> np.ndarray:
        """Sum of the map over each part, (n,) float64."""
        return np.concatenate([*self._sums, np.zeros(0)])

    @property
    def pixels(self) -> np.ndarray:
        """Number of pixels of each part, (n,) int64."""
        return np.concatenate([*self._pixels, np.zeros(0, np.int64)])

    def of_strips(self, store: MapStore, query: int, threshold: float) -> Iterator[np.ndarray]:
        """The mask of a map, strip by strip; takes note of the parts on the way."""
        for top, rows in store.strips(query, STRIP):
            mask = rows >= threshold
            place = np.flatnonzero(mask)
            if len(place):
                _, labels = cv2.connectedComponents(mask.view(np.uint8), connectivity=4)
                label = labels.ravel()[place] - 1
                self._sums.append(np.bincount(label, rows.ravel()[place]))
                self._pixels.append(np.bincount(label))
                first = np.empty(len(self._pixels[-1]), np.int64)
                first[label[::-1]] = place[::-1]  # of several, the last one stays
                y, x = np.divmod(first, rows.shape[1])
                self._points.append(np.stack([x + 0.5, y + top + 0.5], 1))
            yield mask

    def owner(self, polygons: np.ndarray) -> np.ndarray:
        """Number of the polygon that each part lies in, (n,) int64."""
        if not self._points:
            return np.zeros(0, np.int64)
        part, polygon = shapely.STRtree(polygons).query(shapely.points(np.concatenate(self._points)), 'within')
        owner = np.empty(len(self.pixels), np.int64)
        owner[part] = polygon
        return owner


def region_mask(map: np.ndarray, threshold: float, min_area: float = 0.0) -> np.ndarray:
    """The pixels of the regions that :func:`find_regions` finds, (H, W) bool."""
    mask = map >= threshold
    if min_area <= 1:
        return mask
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    kept = stats[:, cv2.CC_STAT_AREA] >= min_area
    kept[0] = False
    return kept[labels]


def _otsu(counts: np.ndarray) -> int:
    """First class of the upper of two groups of classes whose means differ most; all above where one class is full."""
    values = np.arange(len(counts))
    below = np.cumsum(counts, dtype=np.float64)
    total, sums = below[-1], np.cumsum(counts * values, dtype=np.float64)
    with np.errstate(divide='ignore', invalid='ignore'):
        spread = (sums[-1] * below - sums * total) ** 2 / (below * (total - below))
    if not np.isfinite(spread).any():
        return len(counts)
    return int(np.nanargmax(np.where(np.isfinite(spread), spread, np.nan))) + 1
