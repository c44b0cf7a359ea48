"""The image being drawn, with a shadow layer and textured fills."""

from __future__ import annotations

import math

import cv2
import numpy as np

from xemap.preparation.synthetic.layout import Plan
from xemap.preparation.synthetic.noise import fractal
from xemap.preparation.synthetic.shapes import Outline, rings

Color = tuple[float, float, float]

_SHIFT = 4
"""Vertices are given to cv2 in 1/16 pixel."""


class Canvas:
    """Draws on an 8-bit RGB image.

    Objects are drawn in two steps: ground surfaces first, then everything that stands up. Between the
    two, :meth:`drop_shadows` darkens what :meth:`cast` collected, so shadows fall on the ground and
    never on the roof that throws them.

    Args:
        plan: the scene's plan (size, scale and sun).
        image: (H, W, 3) uint8, drawn on in place.
        rng: for the grain of surfaces.
    """

    def __init__(self, plan: Plan, image: np.ndarray, rng: np.random.Generator) -> None:
        self.plan, self.image = plan, image
        self.meter = plan.meter
        self._shade = np.zeros(plan.size, np.uint8)
        self._rough = fractal(rng, plan.size, 14 * plan.meter, 4, 0.8)

    def fill(self, points, color: Color, layer: np.ndarray | None = None) -> None:
        """Fill a polygon (V, 2) with one color, anti-aliased."""
        target = self.image if layer is None else layer
        cv2.fillPoly(target, [_fixed(points)], tuple(map(float, color)), cv2.LINE_AA, _SHIFT)

    def line(self, points, color: Color, width: float, closed: bool = False) -> None:
        """Draw a line (V, 2), ``width`` in meters, at least a pixel."""
        thickness = max(1, round(width * self.meter))
        cv2.polylines(self.image, [_fixed(points)], closed, tuple(map(float, color)), thickness, cv2.LINE_AA, _SHIFT)

    def disc(self, center, radius: float, color: Color) -> None:
        """Fill a circle; center x, y and radius in pixels."""
        x, y = _fixed(center)
        cv2.circle(
            self.image,
            (int(x), int(y)),
            round(radius * (1 << _SHIFT)),
            tuple(map(float, color)),
            -1,
            cv2.LINE_AA,
            _SHIFT,
        )

    def window(self, outline: Outline, pad: int = 2) -> tuple[slice, slice] | None:
        """Rows and columns that contain an outline; None outside the image."""
        if outline.is_empty:
            return None
        left, top, right, bottom = outline.bounds
        height, width = self.plan.size
        y0, y1 = max(0, int(top) - pad), min(height, int(bottom) + pad + 2)
        x0, x1 = max(0, int(left) - pad), min(width, int(right) + pad + 2)
        return (slice(y0, y1), slice(x0, x1)) if y1 > y0 and x1 > x0 else None

    def cover(self, outline: Outline, window: tuple[slice, slice]) -> np.ndarray:
        """How much of every pixel in ``window`` an outline covers, float32 in [0, 1]."""
        rows, columns = window
        mask = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
        shifted = [_fixed(ring - (columns.start, rows.start)) for ring in rings(outline)]
        cv2.fillPoly(mask, shifted, 255, cv2.LINE_AA, _SHIFT)
        return mask.astype(np.float32) / 255

    def blend(self, window: tuple[slice, slice], alpha: np.ndarray, color: np.ndarray) -> None:
        """Mix ``color`` (h, w, 3) or (3,) into a window with weights ``alpha`` (h, w)."""
        below = self.image[window].astype(np.float32)
        mixed = below + alpha[..., None] * (np.asarray(color, np.float32) - below)
        self.image[window] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)

    def surface(self, outline: Outline, color: Color, contrast: float = 0.06) -> None:
        """Fill an outline with a color whose brightness varies by ``contrast`` (relative)."""
        window = self.window(outline)
        if window is None:
            return
        texture = np.asarray(color, np.float32) * (1 + contrast * self._rough[window])[..., None]
        self.blend(window, self.cover(outline, window), texture)

    def cast(self, points, height: float) -> None:
        """Collect the shadow of a prism over (V, 2) points, ``height`` in meters."""
        points = np.asarray(points, dtype=np.float64)
        shift = np.array(self.plan.sun) * self.plan.shadow * height * self.meter
        hull = cv2.convexHull(np.concatenate([points, points + shift]).astype(np.float32))[:, 0]
        self.fill(hull, (255, 255, 255), self._shade)

    def cast_outline(self, outline: Outline, height: float) -> None:
        """Collect the shadow of an outline that need not be convex, ``height`` in meters."""
        shift = np.array(self.plan.sun) * self.plan.shadow * height * self.meter
        for step in np.linspace(0, 1, 4):
            for ring in rings(outline):
                self.fill(ring + step * shift, (255, 255, 255), self._shade)

    def drop_shadows(self, depth: float = 0.55) -> None:
        """Darken the image where shadows were cast; sky light makes them bluish."""
        shade = cv2.GaussianBlur(self._shade, (0, 0), max(0.5, 0.4 * self.meter))
        levels = np.arange(256, dtype=np.float32)[:, None] / 255 * np.array([1.0, 0.97, 0.88], np.float32)
        factor = (1 - depth * levels)[shade]
        self.image[:] = (self.image * factor + 0.5).astype(np.uint8)
        self._shade[:] = 0

    def lit(self, angle: float, strength: float = 0.16) -> float:
        """Brightness of a roof face that looks towards ``angle`` (radians)."""
        facing = -(math.cos(angle) * self.plan.sun[0] + math.sin(angle) * self.plan.sun[1])
        return 1 + strength * facing


def circle(center, radius: float, vertices: int = 24) -> np.ndarray:
    """(vertices, 2) points on a circle."""
    t = np.linspace(0, 2 * np.pi, vertices, endpoint=False)
    return np.asarray(center) + radius * np.stack([np.cos(t), np.sin(t)], axis=1)


def tint(color: Color, factor: float) -> Color:
    """A color brightened or darkened, clipped to 0..255."""
    return tuple(float(np.clip(channel * factor, 0, 255)) for channel in color)  # type: ignore[return-value]


def varied(rng: np.random.Generator, color: Color, brightness: float = 0.08, hue: float = 5.0) -> Color:
    """A color near ``color``: relative spread of brightness, absolute spread of the channels."""
    value = np.asarray(color) * (1 + brightness * rng.uniform(-1, 1)) + rng.uniform(-hue, hue, 3)
    return tuple(float(c) for c in np.clip(value, 0, 255))  # type: ignore[return-value]


def _fixed(points) -> np.ndarray:
    return np.round(np.asarray(points, dtype=np.float64) * (1 << _SHIFT)).astype(np.int32)
