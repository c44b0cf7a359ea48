"""Polygons that were made from labels, united: each connected part is one region."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely


def united_polygons(polygons: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Outlines of the connected parts of a union.

    A polygon that meets no other keeps its vertices exactly, since the SeLo metrics depend on them. Polygons that meet
    become the outer outline of their union; two that share only a corner stay two.

    Args:
        polygons: (V, 2) x, y each; self-intersecting ones are taken as the area that they enclose.

    Returns:
        (V, 2) float64 x, y each, in the order of the first polygon of each part.
    """
    arrays = [np.asarray(polygon, np.float64) for polygon in polygons]
    shapes = shapely.make_valid([_shape(array) for array in arrays])
    parts: list[np.ndarray] = []
    for members in _groups(shapes):
        outlines = [] if len(members) == 1 else _outlines(shapely.unary_union(shapes[members]))
        parts += outlines or [arrays[i] for i in members]
    return parts


def _shape(vertices: np.ndarray) -> shapely.Geometry:
    return shapely.Polygon(vertices) if len(vertices) > 2 else shapely.LineString(vertices[[0, -1]])


def _groups(shapes: np.ndarray) -> list[list[int]]:
    """Indices of shapes that meet each other, directly or through others."""
    group = list(range(len(shapes)))

    def root(i: int) -> int:
        while group[i] != i:
            group[i] = group[group[i]]
            i = group[i]
        return i

    for first, second in shapely.STRtree(shapes).query(shapes, 'intersects').T.tolist():
        low, high = sorted((root(first), root(second)))
        group[high] = low
    members: dict[int, list[int]] = {}
    for i in range(len(shapes)):
        members.setdefault(root(i), []).append(i)
    return list(members.values())


def _outlines(union: shapely.Geometry) -> list[np.ndarray]:
    areas = [part for part in shapely.get_parts(union) if part.geom_type == 'Polygon']
    return [shapely.get_coordinates(part.exterior)[:-1] for part in areas]  # the last vertex repeats the first
