"""SeLo with another task (SeLo paper, section V.G): keep what a query means of what another model found.

The other model knows what an object is and where it ends, the correlation map knows which of them is meant.
An object is scored by the map within it and kept where that reaches a threshold.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy import ndimage

from xemap.errors import ConfigError, DataError
from xemap.raster.plain_image import open_image
from xemap.raster.resize import resize_map

STATISTICS = {'mean': ndimage.mean, 'max': ndimage.maximum}
"""Score of an object from the map's values in it."""


@dataclass(frozen=True)
class Area:
    """A connected area of a segmentation and its score.

    Args:
        value: its value in the mask.
        bbox: (x, y, width, height) in pixels.
        pixels: their number.
        score: in [0, 1].
        kept: whether the query means it.
    """

    value: int
    bbox: tuple[int, int, int, int]
    pixels: int
    score: float
    kept: bool


def select_boxes(
    map: np.ndarray, boxes: Sequence[Sequence[float]], threshold: float = 0.5, statistic: str = 'mean'
) -> tuple[np.ndarray, np.ndarray]:
    """Which boxes a query means.

    Args:
        map: (H, W) float in [0, 1], at the size of the image that the boxes belong to.
        boxes: (n, 4) x, y, width, height in pixels (COCO's); parts outside the image do not count.
        threshold: least score of what is kept, in [0, 1].
        statistic: ``'mean'`` or ``'max'`` of the map in the box.

    Returns:
        scores (n,) float64 and whether each is kept (n,) bool.

    Raises:
        DataError: a box that is empty, or wholly outside the image.
        ConfigError: ``threshold`` or ``statistic`` does not fit.
    """
    _check(threshold, statistic)
    height, width = map.shape
    scores = np.empty(len(boxes))
    for i, (x, y, w, h) in enumerate(boxes):
        x0, y0, x1, y1 = max(floor(x), 0), max(floor(y), 0), min(ceil(x + w), width), min(ceil(y + h), height)
        if not (w > 0 and h > 0 and x0 < x1 and y0 < y1):
            raise DataError(
                f'box {i} [{x:g}, {y:g}, {w:g}, {h:g}] (x, y, width, height) covers no pixel of the {width} x {height} '
                'image; do detections and image belong together?'
            )
        inside = map[y0:y1, x0:x1]
        scores[i] = inside.mean(dtype=np.float64) if statistic == 'mean' else inside.max()
    return scores, scores >= threshold


def select_areas(
    map: np.ndarray, mask: np.ndarray, threshold: float = 0.5, statistic: str = 'mean'
) -> tuple[np.ndarray, list[Area]]:
    """Which areas of a segmentation a query means.

    An object is an area of pixels of one value that touch, also at corners.

    Args:
        map: (H, W) float in [0, 1].
        mask: (H, W) uint8, 0 = background; classes or instances have values of their own.
        threshold: least score of what is kept, in [0, 1].
        statistic: ``'mean'`` or ``'max'`` of the map in the area; ``'pixel'`` scores each area by its mean
            but keeps those of its pixels where the map reaches the threshold, for what hangs together all
            over the image, as roads do.

    Returns:
        the mask with 0 where nothing is kept, and all areas; with ``'pixel'`` an area is kept when one of
        its pixels is.

    Raises:
        DataError: map and mask differ in size.
        ConfigError: ``threshold`` or ``statistic`` does not fit.
    """
    _check(threshold, statistic, 'pixel')
    if map.shape != mask.shape:
        raise DataError(f'mask of {mask.shape} and map of {map.shape} (height, width); resize the map to the mask')
    kept = np.zeros_like(mask)
    areas: list[Area] = []
    for value in np.unique(mask[mask > 0]).tolist():
        count, labels, stats, _ = cv2.connectedComponentsWithStats((mask == value).astype(np.uint8), connectivity=8)
        objects = np.arange(1, count)
        scores = STATISTICS['mean' if statistic == 'pixel' else statistic](map, labels, objects)
        if statistic == 'pixel':
            chosen = (labels > 0) & (map >= threshold)
            is_kept = np.isin(objects, labels[chosen])
        else:
            is_kept = scores >= threshold
            chosen = np.concatenate([[False], is_kept])[labels]
        kept[chosen] = value
        for row, score, keep in zip(stats[1:].tolist(), scores, is_kept):
            areas.append(Area(value, tuple(row[:4]), row[cv2.CC_STAT_AREA], float(score), bool(keep)))
    return kept, areas


def read_map(path: str | Path, size: tuple[int, int]) -> np.ndarray:
    """A correlation map from a file, at the size of its image.

    Args:
        path: 8-bit gray picture, 255 = 1; or ``.npy`` with (h, w) numbers in [0, 1].
        size: (height, width) to resize it to, linearly.

    Returns:
        (height, width) float32 in [0, 1].

    Raises:
        DataError: the file is missing or no such map.
    """
    if not Path(path).is_file():
        raise DataError(f'map {path} does not exist; give an 8-bit gray picture or a .npy')
    if Path(path).suffix == '.npy':
        try:
            values = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f'map {path} is no .npy file of numbers ({error})') from error
        if values.ndim != 2 or values.dtype.kind not in 'fui' or not (values.min() >= 0 and values.max() <= 1):
            raise DataError(f'map {path} is {values.dtype} of shape {values.shape}; give (h, w) numbers in [0, 1]')
        return resize_map(values.astype(np.float32), size)
    return resize_map(read_gray(path).astype(np.float32) / 255, size)


def read_gray(path: str | Path) -> np.ndarray:
    """A gray 8-bit or palette picture as (H, W) uint8: values, or indices of the palette.

    Raises:
        DataError: the file is missing, no picture, or has colors.
    """
    with open_image(Path(path)) as image:
        if image.mode not in ('L', 'P', '1'):
            raise DataError(f'{path} has "{image.mode}" pixels; give an 8-bit gray or palette picture')
        return np.array(image, dtype=np.uint8)


def read_detections(path: str | Path, image_id: int | str | None = None) -> list[dict[str, Any]]:
    """Detections of one image from a COCO results file.

    Args:
        path: JSON list of objects with ``image_id`` and ``bbox`` [x, y, width, height].
        image_id: which image; may be left out where the file has one only.

    Raises:
        DataError: the file is missing or no such list, or has no detection of the image.
    """
    if not Path(path).is_file():
        raise DataError(f'detections {path} do not exist; give a COCO results JSON')
    try:
        rows = json.loads(Path(path).read_text(encoding='utf-8'))
    except ValueError as error:
        raise DataError(f'detections {path} are no JSON ({error})') from error
    if not isinstance(rows, list):
        raise DataError(f'detections {path}: a COCO results file is a list, not {type(rows).__name__}')
    for i, row in enumerate(rows):
        box = row.get('bbox') if isinstance(row, dict) else None
        if not (
            isinstance(box, list) and len(box) == 4 and all(type(v) in (int, float) and np.isfinite(v) for v in box)
        ):
            raise DataError(f'detections {path}: entry {i} has no "bbox" of four numbers')
    if not rows:
        raise DataError(f'detections {path} are an empty list; there is nothing to select from')
    ids = list(dict.fromkeys(row.get('image_id') for row in rows))
    if image_id is None and len(ids) > 1:
        raise DataError(f'detections {path} are of {len(ids)} images; choose one with --image-id, as {ids[0]}')
    chosen = [row for row in rows if image_id is None or str(row.get('image_id')) == str(image_id)]
    if not chosen:
        raise DataError(f'detections {path} have none of image {image_id}; they have {", ".join(map(str, ids[:5]))}')
    return chosen


def _check(threshold: float, statistic: str, *more: str) -> None:
    if not 0 <= threshold <= 1:
        raise ConfigError(f'threshold is {threshold}; give a value in [0, 1]')
    known = [*STATISTICS, *more]
    if statistic not in known:
        raise ConfigError(f'statistic "{statistic}" is unknown; use one of {", ".join(known)}')
