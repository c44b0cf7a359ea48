"""Polygons and masks from elsewhere, made fit for regions."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import shapely
from pycocotools import mask as coco_mask

from xemap.errors import DataError
from xemap.structures import MaskRegion, PolygonRegion, Region

MAX_VERTICES = 200_000
"""Most vertices of a polygon; the outlines of real objects have a few thousand at most."""
MANY_VERTICES = 1000
MAX_CROSSINGS = 1000
"""Most crossings of a polygon with itself; its repair takes about a second, with ten times as many over a minute."""


def as_polygon(points) -> np.ndarray:
    """Vertices of a polygon, without the repeated first vertex of a closed ring.

    Args:
        points: (V, 2) x, y pixels, or a flat x0, y0, x1, y1… list.

    Returns:
        (V, 2) float64, V >= 3.

    Raises:
        DataError: not x, y pairs of finite numbers, fewer than 3 vertices or too many.
    """
    try:
        flat = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError('polygon that is no list of x, y numbers; give [(x, y), (x, y), (x, y), …]') from error
    if not (flat.ndim == 1 and flat.size % 2 == 0 or flat.ndim == 2 and flat.shape[1] == 2):
        raise DataError(f'polygon of shape {flat.shape}; give x, y pairs')
    if not np.isfinite(flat).all():
        raise DataError('polygon with a coordinate that is not finite; give pixels')
    vertices = flat.reshape(-1, 2)
    if len(vertices) > MAX_VERTICES:
        raise DataError(f'polygon with {len(vertices)} vertices, {MAX_VERTICES} are the most; simplify it')
    if len(vertices) > 1 and (vertices[0] == vertices[-1]).all():
        vertices = vertices[:-1]
    if len(vertices) < 3:
        raise DataError(f'polygon with {len(vertices)} vertices, 3 are the least; correct it or leave it out')
    return vertices


def box_polygon(left: float, top: float, width: float, height: float) -> np.ndarray:
    """Corners of a box, (4, 2) x, y pixels, clockwise from the top left."""
    right, bottom = left + width, top + height
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float64)


def clip_polygon(polygon: np.ndarray, size: tuple[int, int]) -> list[np.ndarray]:
    """The part of a polygon that lies in the image, 0 <= x <= width and 0 <= y <= height.

    A polygon inside the image is returned vertex by vertex as it is. One that crosses the border
    may fall into several parts; holes that only arise from self-overlap are filled.

    Args:
        polygon: (V, 2) x, y pixels, V >= 3.
        size: (height, width) of the image.

    Returns:
        Parts, each (V, 2) float64; empty where no area of it is inside.
    """
    height, width = size
    if (polygon >= 0).all() and (polygon <= (width, height)).all():
        return [polygon]
    clipped = _valid(polygon).intersection(shapely.box(0, 0, width, height))
    faces = [part for part in shapely.get_parts(clipped) if part.geom_type == 'Polygon' and part.area > 0]
    # Intersection points are computed; rounding must not carry them across the border again.
    return [np.clip(shapely.get_coordinates(face.exterior)[:-1], 0, (width, height)) for face in faces]


def unite(regions: Sequence[Region], size: tuple[int, int]) -> Region:
    """One region of several: polygons stay polygons, anything else becomes a mask.

    Args:
        regions: at least one.
        size: (height, width) of the image.
    """
    if len(regions) == 1:
        return regions[0]
    if all(isinstance(region, PolygonRegion) for region in regions):
        return PolygonRegion([polygon for region in regions for polygon in region.polygons(size)])
    masks = [r if isinstance(r, MaskRegion) else MaskRegion.from_mask(r.mask(size)) for r in regions]
    return MaskRegion(coco_mask.merge([mask.rle for mask in masks]))


def region_area(region: Region, size: tuple[int, int]) -> float:
    """Area in pixels; where polygons overlap it counts once."""
    if isinstance(region, MaskRegion):
        return float(region.area)
    return float(shapely.union_all([_valid(polygon) for polygon in region.polygons(size)]).area)


def count_components(mask: np.ndarray, min_area: float) -> int:
    """Number of 8-connected parts of a mask.

    Args:
        mask: (H, W) bool.
        min_area: parts below this many pixels do not count, unless all are below it.

    Returns:
        At least 1 for a mask that is not empty.
    """
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    return int((areas >= min_area).sum()) or len(areas)


def rle_counts(encoded: bytes) -> np.ndarray:
    """Run lengths of COCO's compressed RLE string.

    pycocotools trusts its input; these numbers let the caller check a file from elsewhere first.
    A run is written in groups of 5 bits, low group first, 48 added to each, with bit 6 set on all
    but the last; from the third run on, it is the difference to the run two places before.

    Returns:
        (R,) int64, starting with a run of zeros; negative for a string that is no RLE.
    """
    digits = np.frombuffer(encoded, np.uint8).astype(np.int64) - 48
    if digits.size == 0:
        return digits
    if (digits < 0).any() or (digits > 63).any() or digits[-1] & 0x20:
        return np.array([-1])
    last = (digits & 0x20) == 0
    starts = np.flatnonzero(np.concatenate([[True], last[:-1]]))
    place = np.arange(digits.size) - np.repeat(starts, np.diff(np.append(starts, digits.size)))
    if place.max() > 7:  # more than 40 bits: no image is that large
        return np.array([-1])
    runs = np.add.reduceat((digits & 0x1F) << (5 * place), starts)
    ends = np.flatnonzero(last)
    negative = (digits[ends] & 0x10) != 0
    runs[negative] -= np.int64(1) << (5 * (place[ends][negative] + 1))
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs


def _valid(polygon: np.ndarray) -> shapely.Geometry:
    shape = shapely.Polygon(polygon)
    # Of many vertices, finding out that it is not valid takes long as well.
    if (len(polygon) > MANY_VERTICES or not shape.is_valid) and estimated_crossings(polygon) > MAX_CROSSINGS:
        raise DataError(f'polygon of {len(polygon)} vertices that crosses itself everywhere; draw its outline only')
    return shape if shape.is_valid else shapely.make_valid(shape)


def estimated_crossings(polygon: np.ndarray, edges: int = 64) -> float:
    """About how often a closed polygon crosses itself, from some of its edges, evenly spaced, against all.

    Args:
        polygon: (V, 2) x, y pixels.
        edges: number to look at; exact where it is V or more.
    """
    starts, ends = polygon, np.roll(polygon, -1, axis=0)
    chosen = np.unique(np.linspace(0, len(polygon) - 1, min(edges, len(polygon))).astype(int))
    number = 0
    for a, b in zip(starts[chosen], ends[chosen]):
        number += int((_opposite(a, b, starts, ends) & _opposite(starts, ends, a, b)).sum())
    return number / 2 * len(polygon) / len(chosen)


def _opposite(a: np.ndarray, b: np.ndarray, p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Whether p and q lie on different sides of the line through a and b; points are (…, 2)."""
    direction = b - a
    sides = [direction[..., 0] * (end - a)[..., 1] - direction[..., 1] * (end - a)[..., 0] for end in (p, q)]
    return sides[0] * sides[1] < 0
