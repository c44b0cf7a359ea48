"""Outlines: rectangles at an angle, blobs with an irregular rim, bands along a line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import shapely
from shapely.geometry import LineString, MultiPolygon, Polygon

Outline: TypeAlias = Polygon | MultiPolygon


@dataclass(frozen=True)
class Frame:
    """A rectangle at an angle: center x, y, angle in radians, length (along the angle) and width, pixels."""

    x: float
    y: float
    angle: float
    length: float
    width: float

    def points(self, local) -> np.ndarray:
        """Local coordinates (..., 2), pixels from the center along length and width, to image x, y."""
        local = np.asarray(local, dtype=np.float64)
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return local @ np.array([[cos, sin], [-sin, cos]]) + (self.x, self.y)

    def rectangle(self, u: float = 0, v: float = 0, length: float | None = None, width: float | None = None):
        """Corners (4, 2) of a rectangle about the local point (u, v); by default the frame itself."""
        half_l, half_w = (self.length if length is None else length) / 2, (self.width if width is None else width) / 2
        corners = np.array([[-half_l, -half_w], [half_l, -half_w], [half_l, half_w], [-half_l, half_w]])
        return self.points(corners + (u, v))

    def polygon(self) -> Polygon:
        return Polygon(self.rectangle())

    def part(self, u: float, v: float, length: float, width: float, turn: float = 0.0) -> Frame:
        """A frame about the local point (u, v), turned by ``turn`` radians against this one."""
        x, y = self.points([u, v])
        return Frame(float(x), float(y), self.angle + turn, length, width)

    def inset(self, margin: float) -> Frame:
        return Frame(self.x, self.y, self.angle, self.length - 2 * margin, self.width - 2 * margin)


def image_box(size: tuple[int, int]) -> Polygon:
    """All pixel centers of an image of ``size`` (height, width)."""
    return shapely.box(0, 0, size[1] - 1, size[0] - 1)


def blob(
    rng: np.random.Generator, frame: Frame, roughness: float = 0.2, harmonics: int = 7, vertices: int = 72
) -> Polygon:
    """An ellipse that fills ``frame``, its radius modulated by a few random harmonics."""
    t = np.linspace(0, 2 * np.pi, vertices, endpoint=False)
    order = np.arange(1, harmonics + 1)
    amplitude = roughness * rng.normal(size=harmonics) / order**0.9
    radius = np.exp(np.sum(amplitude[:, None] * np.cos(order[:, None] * t + rng.uniform(0, 6.28, (harmonics, 1))), 0))
    ring = np.stack([radius * np.cos(t) * frame.length / 2, radius * np.sin(t) * frame.width / 2], axis=1)
    return Polygon(frame.points(ring))


def across(
    rng: np.random.Generator, size: tuple[int, int], angle: float, bend: float, offset: float, vertices: int = 64
) -> np.ndarray:
    """A line that crosses the whole image.

    Args:
        rng: source of randomness.
        size: (height, width) of the image.
        angle: its direction, radians.
        bend: amplitude of its curves as a fraction of the image's diagonal; 0 = straight.
        offset: distance from the image's center, signed, as a fraction of the diagonal.

    Returns:
        (vertices, 2) x, y; it begins and ends outside the image.
    """
    height, width = size
    diagonal = math.hypot(height, width)
    t = np.linspace(-0.75, 0.75, vertices)
    waves = rng.uniform(0.6, 2.2, 3)
    phase = rng.uniform(0, 2 * np.pi, (3, 1))
    shift = offset + bend * np.sum(np.sin(6 * waves[:, None] * t + phase) / waves[:, None], axis=0)
    along = np.array([math.cos(angle), math.sin(angle)])
    normal = np.array([-along[1], along[0]])
    return (width / 2, height / 2) + diagonal * (t[:, None] * along + shift[:, None] * normal)


def band(line: np.ndarray, width: float | np.ndarray) -> Outline:
    """The band of ``width`` pixels (a number, or one per vertex) about a line (V, 2)."""
    if np.ndim(width) == 0:
        return LineString(line).buffer(float(width) / 2, join_style='mitre', cap_style='flat')
    tangent = np.gradient(line, axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1) / np.linalg.norm(tangent, axis=1, keepdims=True)
    half = np.asarray(width)[:, None] / 2
    return Polygon(np.concatenate([line + half * normal, (line - half * normal)[::-1]])).buffer(0)


def rings(outline: Outline) -> list[np.ndarray]:
    """Exterior rings of an outline, each (V, 2) without the closing vertex."""
    parts = outline.geoms if isinstance(outline, MultiPolygon) else [outline]
    return [np.asarray(part.exterior.coords)[:-1] for part in parts]


def largest(geometry) -> Polygon:
    """The largest polygon in a geometry; an empty polygon where it holds none."""
    parts = [part for part in shapely.get_parts(geometry) if isinstance(part, Polygon)]
    return max(parts, key=lambda part: part.area, default=Polygon())


def tidy(outline: Outline, size: tuple[int, int], decimals: int = 1) -> Outline:
    """Clipped to the image, without slivers, vertices rounded."""
    clipped = shapely.intersection(outline, image_box(size))
    parts = [part for part in shapely.get_parts(clipped) if isinstance(part, Polygon) and part.area > 16]
    rounded = [Polygon(np.round(np.asarray(part.exterior.coords), decimals)) for part in parts]
    return rounded[0] if len(rounded) == 1 else MultiPolygon(rounded)
