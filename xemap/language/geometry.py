"""The geometry that words are judged by: outlines, centers, bounds and areas of the objects of an image.

Lengths are relative: x to the image's width, y to its height, distances to ``sqrt(width * height)``, areas to
the image's area; y runs downwards.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import shapely

BORDER = 2
"""An object this many pixels from the border may be cut by it: nobody knows how small it is, or its
shape."""


class Entity(Protocol):
    """An object that an expression may refer to: drawn, or measured from labels."""

    @property
    def category(self) -> str:
        """Its class, as in :attr:`Expression.category <xemap.language.expression.Expression.category>`."""

    @property
    def outline(self) -> shapely.Geometry:
        """Polygon(s) in pixels, with holes."""

    @property
    def area(self) -> float:
        """Number of pixels."""

    @property
    def attributes(self) -> Mapping[str, str]:
        """Attributes that are known rather than measured, such as ``{'roof': 'red'}``."""

    @property
    def boxed(self) -> bool:
        """The outline may be a box, in which the object lies somehow."""

    @property
    def upright(self) -> bool:
        """The outline is a box along the image's axes, which says little about the shape inside."""


class Geometry:
    """Arrays over N objects.

    Attributes:
        outlines: (N,) polygons in pixels.
        center: (N, 2) centroids x, y, in [0, 1].
        bounds: (N, 4) left, top, right, bottom, in [0, 1].
        area: (N,) shares of the image.
        cut: (N,) bool, the object may go on beyond the image.
        side: ``sqrt(width * height)`` in pixels.

    Args:
        entities: the objects.
        size: (height, width) of the image.
    """

    def __init__(self, entities: Sequence[Entity], size: tuple[int, int]) -> None:
        self.size = size
        height, width = size
        self.side = math.sqrt(height * width)
        self.outlines = np.array([entity.outline for entity in entities], dtype=object)
        shapely.prepare(self.outlines)
        centroids = shapely.centroid(self.outlines)
        self.center = np.stack([shapely.get_x(centroids), shapely.get_y(centroids)], -1) / (width, height)
        self.bounds = shapely.bounds(self.outlines).reshape(-1, 4) / (width, height, width, height)
        self.area = np.array([entity.area for entity in entities], np.float64) / (height * width)
        margin = np.array([BORDER / width, BORDER / height])
        self.cut = ((self.bounds[:, :2] < margin) | (self.bounds[:, 2:] > 1 - margin)).any(axis=1)

    def extent(self, members: np.ndarray) -> np.ndarray:
        """(n,) longer side of the bounds of some objects."""
        bounds = self.bounds[members]
        return (bounds[:, 2:] - bounds[:, :2]).max(axis=1)

    def gaps(self, members: np.ndarray, anchors: Sequence[int]) -> np.ndarray:
        """(n,) distance of every object to the nearest anchor."""
        tree = shapely.STRtree(self.outlines[list(anchors)])
        nearest = tree.query_nearest(self.outlines[members], return_distance=True, all_matches=False)
        return nearest[1] / self.side
