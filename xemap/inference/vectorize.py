"""From maps to regions: thresholds, polygons with scores, boxes and masks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import shapely

from xemap.errors import ConfigError
from xemap.inference.map_store import STRIP, MapStore
from xemap.raster.outlines import outline_polygons

LEVELS = 1 << 16
"""Steps of [0, 1] in which values are counted for Otsu's threshold and for quantiles."""


@dataclass(frozen=True)
class MapRegion:
    """A connected region of a map at or above its threshold; pixels that touch at a corner only are apart.

    Args:
        polygon: shapely Polygon in x, y pixels, perhaps with holes; (0, 0) is the outer corner of the top left pixel.
        score: mean of the map over the region's pixels, in [0, 1].
        pixels: area before simplification.
        box: x0, y0, x1, y1 in pixels, the corners of ``polygon``'s bounding box before simplification.
    """

    polygon: shapely.Polygon
    score: float
    pixels: int
    box: tuple[float, float, float, float]


def parse_threshold(text: str | float) -> float | str:
    """Check a threshold: a number in [0, 1], ``'otsu'``, or ``'q0.95'`` (that quantile of each map).

    Raises:
        ConfigError: it is none of these.
    """
    if text == 'otsu':
        return 'otsu'
    quantile = isinstance(text, str) and text.startswith('q')
    try:
        value = float(text[1:] if isinstance(text, str) and quantile else text)
    except ValueError:
        value = float('nan')
    if not 0 <= value <= 1:
        raise ConfigError(f'threshold "{text}"; give a number in [0, 1], "otsu", or a quantile as "q0.95"')
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
    polygons = outline_polygons(rows >= threshold for _, rows in store.strips(query))
    polygons = polygons[shapely.area(polygons) >= min_area]
    if not len(polygons):
        return []
    sums = _sums(store, query, threshold, polygons)
    pixels = shapely.area(polygons)
    scores = sums / pixels
    boxes = shapely.bounds(polygons)
    outlines = shapely.simplify(polygons, simplify)
    return [
        MapRegion(outlines[i], float(scores[i]), int(pixels[i]), tuple(boxes[i].tolist()))
        for i in np.argsort(-scores, kind='stable')
    ]


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


def _sums(store: MapStore, query: int, threshold: float, polygons: np.ndarray) -> np.ndarray:
    """Sum of the map over each of some of the regions, run by run: a run of a row lies in one region."""
    tree = shapely.STRtree(polygons)
    sums = np.zeros(len(polygons))
    for top, rows in store.strips(query, STRIP):
        step = np.diff(np.pad(rows >= threshold, ((0, 0), (1, 1))).view(np.int8), axis=1)
        y, first = np.nonzero(step == 1)
        end = np.nonzero(step == -1)[1]
        if not len(y):
            continue
        total = np.concatenate([[0.0], np.cumsum(np.nan_to_num(rows), axis=None, dtype=np.float64)])
        width = rows.shape[1]
        run_sums = total[y * width + end] - total[y * width + first]
        run, polygon = tree.query(shapely.points((first + end) / 2, y + top + 0.5), predicate='within')
        sums += np.bincount(polygon, run_sums[run], minlength=len(polygons))
    return sums
