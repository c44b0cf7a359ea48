"""Sizes and shapes: what "large", "largest" or "round" means."""

from __future__ import annotations

import math

import cv2
import numpy as np
import shapely

from xemap.language.geometry import Geometry
from xemap.language.verdicts import DOUBT, YES, above, below, leader, unless

SHAPES = ('long', 'square', 'round')
SIZES = ('large', 'small')
SIZE_EXTREMES = ('largest', 'smallest')

LARGE_BAND = (0.05, 0.03)
"""A large object covers at least the first; one that covers at most the second is not large."""
SMALL_BAND = (0.01, 0.017)
"""A small object covers at most the first; one that covers at least the second is not small."""
SIZE_RATIO = 1.6
"""The largest one has at least this many times the area of every other of its category."""
BOX_SIZE_RATIO = 2.5
"""The same for upright boxes: of two equal ships, the oblique one has the larger box."""
LONG_BAND = (3.0, 2.0)
"""Longer over shorter side of the smallest rectangle around a long object, and around one that is not."""
SQUARE_ASPECT, SQUARE_FILL = (1.2, 1.45), (0.88, 0.75)
"""The same ratio of a square object, and the share of that rectangle it fills."""
ROUND_FILL = (0.82, 0.68)
"""Share of the smallest circle around it that a round object fills."""


def has_size(geometry: Geometry, members: np.ndarray, size: str) -> np.ndarray:
    """(n,) verdicts: is the object one of :data:`SIZES`, whatever the others are?"""
    if size == 'large':
        return above(geometry.area[members], *LARGE_BAND)
    return unless(geometry.cut[members], below(geometry.area[members], *SMALL_BAND))


def size_extreme(geometry: Geometry, members: np.ndarray, extreme: str, rough: bool) -> int | None:
    """Position in ``members`` of the largest or smallest one; None where it is unclear.

    Args:
        rough: areas are those of boxes around the objects.
    """
    ratio = BOX_SIZE_RATIO if rough else SIZE_RATIO
    first = leader(np.log(geometry.area[members]), extreme == 'largest', math.log(ratio))
    hidden = first is not None and extreme == 'smallest' and geometry.cut[members[first]]
    return None if hidden else first


def has_shape(outline: shapely.Geometry, shape: str, known: bool, upright: bool) -> int:
    """Verdict: is an outline one of :data:`SHAPES`?

    Args:
        known: the outline is the object's own, no box around it.
        upright: it is a box along the image's axes.
    """
    points = shapely.get_coordinates(outline).astype(np.float32)
    sides = sorted(cv2.minAreaRect(points)[1])
    if shape == 'long':
        # A long box holds something long; in any other upright one it may lie along the diagonal.
        verdict = int(above(np.array(sides[1] / max(sides[0], 1e-6)), *LONG_BAND))
        return verdict if verdict == YES or known or not upright else DOUBT
    if not known:
        return DOUBT
    if shape == 'round':
        radius = max(cv2.minEnclosingCircle(points)[1], 1e-6)
        return int(above(np.array(outline.area / (math.pi * radius**2)), *ROUND_FILL))
    aspect = below(np.array(sides[1] / max(sides[0], 1e-6)), *SQUARE_ASPECT)
    return int(min(aspect, above(np.array(outline.area / max(sides[0] * sides[1], 1e-6)), *SQUARE_FILL)))
