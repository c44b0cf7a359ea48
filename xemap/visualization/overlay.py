"""Maps and outlines on images, on one fixed scale.

A map is never stretched to its own range: 0.11 looks like 0.11 in every picture. Colors are those of
"inferno", perceptually uniform, dark at 0 and bright at 1, also for the color-blind and in gray print.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from xemap.errors import DataError
from xemap.raster.resize import fit_size, resize

OUTLINE = (0, 255, 255)
"""Cyan: a color that neither imagery nor the color map has much of."""


def colorize(map: np.ndarray) -> np.ndarray:
    """Colors of a correlation map.

    Args:
        map: (H, W) float in [0, 1] (values outside are clipped, NaN counts as 0), or uint8 0..255.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    levels = map if map.dtype == np.uint8 else np.rint(np.clip(np.nan_to_num(map), 0, 1) * 255).astype(np.uint8)
    return cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1].copy()


def overlay(image: np.ndarray, map: np.ndarray, alpha: float = 0.6) -> np.ndarray:
    """A map over the gray version of its image, so that color means correlation alone.

    Args:
        image: (H, W, 3) uint8 RGB.
        map: (h, w) as for :func:`colorize`, of any size; covers the whole image.
        alpha: weight of the map in [0, 1].

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        DataError: arrays of another shape.
    """
    if image.ndim != 3 or image.shape[2] != 3 or map.ndim != 2:
        raise DataError(f'overlay of a map {map.shape} on an image {image.shape}; give (h, w) and (H, W, 3)')
    gray = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    colors = colorize(resize(map if map.dtype == np.uint8 else map.astype(np.float32, copy=False), image.shape[:2]))
    return cv2.addWeighted(gray, 1 - alpha, colors, alpha, 0)


def draw_outlines(image: np.ndarray, polygons: Sequence[np.ndarray], width: int = 2) -> np.ndarray:
    """A copy of an image with polygons drawn on it.

    Args:
        image: (H, W, 3) uint8 RGB.
        polygons: each (V, 2) x, y pixels of this image.
        width: width of the line in pixels; a thin dark rim around it keeps it visible on bright ground.
    """
    drawn = image.copy()
    points = [np.rint(polygon).astype(np.int32).reshape(-1, 1, 2) for polygon in polygons]
    for color, thickness in (((0, 0, 0), width + 2), (OUTLINE, width)):
        cv2.polylines(drawn, points, isClosed=True, color=color, thickness=thickness, lineType=cv2.LINE_AA)
    return drawn


def shrink(image: np.ndarray, max_side: int) -> np.ndarray:
    """The image, made smaller so that no side is longer than ``max_side`` pixels; never enlarged."""
    return resize(image, fit_size(image.shape[:2], max_side))


def scale_polygons(
    polygons: Sequence[np.ndarray], size: tuple[int, int], new_size: tuple[int, int]
) -> list[np.ndarray]:
    """Polygons after a resize of their image; pixel centers are integers.

    Args:
        polygons: each (V, 2) x, y pixels.
        size, new_size: (height, width) before and after.
    """
    scale = np.array([new_size[1] / size[1], new_size[0] / size[0]])
    return [(np.asarray(polygon, np.float64) + 0.5) * scale - 0.5 for polygon in polygons]
