"""Which color a region has, in words: by HSV, and only where it is clear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from xemap.language.verdicts import DOUBT, NO, YES

SAMPLE_SIDE = 48
"""A larger region is looked at in every so-manieth pixel, about this many in each direction."""
ERODE = 0.15
"""Share of the region's half width that is left out along its outline: there colors mix."""
DOMINANT = 0.6
"""A color holds where the median pixel has it surely and at least this share of pixels has it more or less."""
FOREIGN = 0.25
"""It does not hold where the median pixel lacks it and at most this share has it more or less."""


@dataclass(frozen=True)
class Range:
    """A part of HSV space: hue in degrees (may run through 0), saturation and value in [0, 1]."""

    hue: tuple[float, float]
    saturation: tuple[float, float]
    value: tuple[float, float]

    def contains(self, hsv: np.ndarray) -> np.ndarray:
        """(…,) bool for (…, 3) h, s, v."""
        first, last = self.hue
        hue = (hsv[..., 0] - first) % 360 <= last - first
        bands = ((hsv[..., 1], self.saturation), (hsv[..., 2], self.value))
        return np.logical_and.reduce([hue, *((low <= x) & (x <= high) for x, (low, high) in bands)])


_ANY = (0.0, 360.0)
COLORS: Mapping[str, tuple[Range, Range]] = {
    'red': (Range((-12, 11.5), (0.4, 1), (0.35, 1)), Range((-25, 26), (0.25, 1), (0.2, 1))),
    'brown': (Range((12, 42), (0.25, 0.75), (0.2, 0.55)), Range((0, 55), (0.13, 0.9), (0.12, 0.75))),
    'yellow': (Range((46, 66), (0.4, 1), (0.55, 1)), Range((36, 80), (0.25, 1), (0.35, 1))),
    'green': (Range((78, 160), (0.22, 1), (0.2, 1)), Range((60, 180), (0.1, 1), (0.08, 1))),
    'blue': (Range((195, 255), (0.3, 1), (0.3, 1)), Range((175, 275), (0.15, 1), (0.15, 1))),
    'white': (Range(_ANY, (0, 0.14), (0.82, 1)), Range(_ANY, (0, 0.25), (0.65, 1))),
    'gray': (Range(_ANY, (0, 0.14), (0.36, 0.66)), Range(_ANY, (0, 0.25), (0.2, 0.82))),
    'black': (Range(_ANY, (0, 1), (0, 0.18)), Range(_ANY, (0, 1), (0, 0.32))),
}
"""Color to where it surely is, and to where somebody might still call it that."""


def color_verdicts(pixels: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Does each object have the color?

    Args:
        pixels: the pixels of each object, (n, 3) uint8 RGB, see :func:`inner_pixels`; n = 0 is a doubt.

    Returns:
        By color, (N,) verdicts.
    """
    verdicts = {name: np.full(len(pixels), DOUBT, np.int8) for name in COLORS}
    for i, rgb in enumerate(pixels):
        if not len(rgb):
            continue
        hsv = to_hsv(rgb)
        median = to_hsv(np.median(rgb, axis=0).round().astype(np.uint8)[None])[0]
        for name, (sure, possible) in COLORS.items():
            share = possible.contains(hsv).mean()
            if sure.contains(median) and share >= DOMINANT:
                verdicts[name][i] = YES
            elif not possible.contains(median) and share <= FOREIGN:
                verdicts[name][i] = NO
    return verdicts


def to_hsv(rgb: np.ndarray) -> np.ndarray:
    """(n, 3) uint8 RGB to float32 hue in degrees, saturation and value in [0, 1]."""
    return cv2.cvtColor(rgb[None].astype(np.float32) / 255, cv2.COLOR_RGB2HSV)[0]


def inner_pixels(image: np.ndarray, mask: np.ndarray, left: int, top: int) -> np.ndarray:
    """Pixels of a region, away from its outline.

    Args:
        image: (H, W, 3) uint8 RGB.
        mask: (h, w) bool, the region within its bounding box.
        left, top: corner of that box in the image.

    Returns:
        (n, 3) uint8.
    """
    step = max(1, max(mask.shape) // SAMPLE_SIDE)
    inside = np.ascontiguousarray(mask[::step, ::step], dtype=np.uint8)
    depth = cv2.distanceTransform(np.pad(inside, 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    crop = image[top : top + mask.shape[0] : step, left : left + mask.shape[1] : step]
    return crop[(inside > 0) & (depth > ERODE * depth.max())]
