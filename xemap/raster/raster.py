"""Any image as a raster: windows of it as 8-bit RGB, and which of their pixels have data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import cv2
import numpy as np

from xemap.errors import ConfigError, DataError
from xemap.raster.georeference import Georeference

Window = tuple[int, int, int, int]
"""Pixels x0 <= x < x1, y0 <= y < y1 as (x0, y0, x1, y1); origin top left."""

STRETCH = (2.0, 98.0)
SAMPLE_PIXELS = 1 << 22
"""At most about this many pixels are looked at for the percentiles."""


@dataclass(frozen=True)
class Pixels:
    """A part of a raster.

    Args:
        rgb: (h, w, 3) uint8; black where there is no data.
        valid: (h, w) bool, where there is data; None = everywhere.
    """

    rgb: np.ndarray
    valid: np.ndarray | None

    @property
    def empty(self) -> bool:
        """No pixel has data."""
        return self.valid is not None and not self.valid.any()


class Raster(ABC):
    """An image of any size, pixel type and number of bands.

    8-bit bands are taken as they are unless percentiles are given; of other types the lower percentile of a band
    becomes 0 and the upper one 255, linearly between and clipped beyond. The percentiles are those of the pixels with
    data, of a decimated copy where there are more than :data:`SAMPLE_PIXELS`.

    Args:
        name: for messages.
        size: (height, width).
        dtype: dtype of the pixels.
        bands: the 3 (or 1) bands to see as red, green and blue (or gray), from 1.
        stretch: lower and upper percentile; None = 2 and 98, for other types than 8-bit only.
        georeference: its place.

    Attributes:
        file_size: (height, width) of the file, of which a JPEG may have been decoded at a fraction.
        extent: (height, width) of the file in pixels of the raster; None = ``size``.
        sample_pixels: the percentiles are those of a copy of at most so many pixels.
        averages: parts of it can be read at a fraction of their size without being decoded whole.

    Raises:
        ConfigError: percentiles that do not rise.
        DataError: pixels of a type that has no order (complex).
    """

    def __init__(
        self,
        name: str,
        size: tuple[int, int],
        dtype: np.dtype,
        bands: Sequence[int],
        stretch: tuple[float, float] | None,
        georeference: Georeference,
    ) -> None:
        if stretch is not None and not (len(stretch) == 2 and 0 <= stretch[0] < stretch[1] <= 100):
            raise ConfigError(f'stretch={stretch}; give two rising percentiles, as 2,98')
        if dtype.kind not in 'uifb':
            raise DataError(f'{name} has {dtype} pixels; convert them to a real type')
        if not size[0] or not size[1]:
            raise DataError(f'{name} is {size[1]} x {size[0]} pixels; an image has at least one')
        self.name, self.size, self.dtype, self.georeference = name, size, dtype, georeference
        self.bands = tuple(bands)
        self.file_size, self.averages = size, True
        self.sample_pixels = SAMPLE_PIXELS
        self.extent: tuple[float, float] | None = None
        self.percentiles: tuple[float, float] | None = stretch or (
            None if dtype.kind == 'b' or dtype == np.uint8 else STRETCH
        )

    def __enter__(self) -> Raster:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027  (arrays have nothing to close)
        """Close what was opened here."""

    def borrowed(self) -> Raster:
        """The same raster, which stays open when the returned one is closed."""
        return self

    @property
    @abstractmethod
    def masked(self) -> bool:
        """Whether pixels without data are possible."""

    @abstractmethod
    def _native(self, window: Window, out_size: tuple[int, int], smooth: bool) -> tuple[np.ndarray, np.ndarray | None]:
        """Bands (C, h, w) of the file's type, and where they have data; averaged (``smooth``) or picked if smaller."""

    @abstractmethod
    def _has_data(self, window: Window) -> np.ndarray:
        """(h, w) bool at full size; only of masked rasters."""

    def read(self, window: Window | None = None, out_size: tuple[int, int] | None = None) -> Pixels:
        """A window, averaged down to ``out_size`` (height, width) if that is smaller.

        Args:
            window: x0, y0, x1, y1 within the image; None = all of it.

        Raises:
            DataError: the file cannot be read there.
        """
        window = window or (0, 0, self.size[1], self.size[0])
        native, valid = self._native(window, out_size or (window[3] - window[1], window[2] - window[0]), True)
        if valid is not None and not valid.any():
            return Pixels(np.zeros((*valid.shape, 3), np.uint8), valid)
        native, valid = _without_nan(native, valid)
        planes = [self._to_8bit(i, band) for i, band in enumerate(native)]
        rgb = np.stack(planes if len(planes) == 3 else planes * 3, axis=2)
        if valid is not None:
            rgb[~valid] = 0
        return Pixels(rgb, valid)

    def valid(self, top: int, bottom: int) -> np.ndarray | None:
        """Which pixels of some rows have data, (rows, W) bool; None = all."""
        return self._has_data((0, top, self.size[1], bottom)) if self.masked else None

    @cached_property
    def limits(self) -> list[tuple[float, float]] | None:
        """Values that become 0 and 255, of each band; None = bands are taken as they are."""
        if self.percentiles is None:
            return None
        scale = max(1.0, sqrt(self.size[0] * self.size[1] / self.sample_pixels))
        small = max(1, int(self.size[0] / scale)), max(1, int(self.size[1] / scale))
        native, valid = _without_nan(*self._native((0, 0, self.size[1], self.size[0]), small, False))
        limits = []
        for band in native:
            values = np.sort(band.ravel() if valid is None else band[valid])
            if not len(values):
                return [(0.0, 1.0)] * len(native)
            ranks = [max(1, int(np.ceil(share / 100 * len(values)))) for share in self.percentiles]
            limits.append((float(values[ranks[0] - 1]), float(values[ranks[1] - 1])))
        return limits

    def _to_8bit(self, index: int, band: np.ndarray) -> np.ndarray:
        if self.limits is None:
            return band.astype(np.uint8) * 255 if band.dtype.kind == 'b' else band
        low, high = self.limits[index]
        span = max(high - low, 1.0) if band.dtype.kind != 'f' else (high - low) or 1.0
        if band.dtype == np.uint16:
            table = np.round((np.arange(1 << 16) - low) * 255 / span).clip(0, 255).astype(np.uint8)
            return table[band]
        return np.rint((band.astype(np.float32) - low) * np.float32(255 / span)).clip(0, 255).astype(np.uint8)


class ArrayRaster(Raster):
    """An array in memory; NaN and transparent pixels have no data.

    Args:
        array: (H, W) or (H, W, C), RGB where C >= 3, of any real type.
        valid: (H, W) bool; None = everywhere.
        bands: which of the C, from 1; None = the first three, or the first.

    Raises:
        DataError: an array of another shape, or without bands.
    """

    def __init__(
        self,
        array: np.ndarray,
        bands: Sequence[int] | None = None,
        stretch: tuple[float, float] | None = None,
        valid: np.ndarray | None = None,
        name: str = 'array',
        georeference: Georeference | None = None,
    ) -> None:
        if array.ndim not in (2, 3):
            raise DataError(f'{name} has shape {array.shape}; give (H, W) or (H, W, bands)')
        cube = array[..., None] if array.ndim == 2 else array
        super().__init__(
            name, cube.shape[:2], cube.dtype, choose_bands(name, cube.shape[2], bands), stretch,
            georeference or Georeference(),
        )  # fmt: skip
        self._cube = cube[..., [band - 1 for band in self.bands]]
        self._valid = valid

    @property
    def masked(self) -> bool:
        return self._valid is not None or self._cube.dtype.kind == 'f'

    def _native(self, window, out_size, smooth):
        x0, y0, x1, y1 = window
        cube = self._cube[y0:y1, x0:x1]
        valid = None if self._valid is None else self._valid[y0:y1, x0:x1]
        if out_size != cube.shape[:2]:
            if smooth and cube.dtype in (np.uint8, np.uint16, np.int16, np.float32, np.float64):
                cube = cv2.resize(cube, out_size[::-1], interpolation=cv2.INTER_AREA).reshape(*out_size, -1)
            else:
                cube = _picked(cube, out_size)
            valid = None if valid is None else _picked(valid, out_size)
        return np.moveaxis(cube, 2, 0), valid

    def _has_data(self, window):
        x0, y0, x1, y1 = window
        valid = np.ones((y1 - y0, x1 - x0), bool) if self._valid is None else self._valid[y0:y1, x0:x1]
        return valid & np.isfinite(self._cube[y0:y1, x0:x1]).all(2) if self._cube.dtype.kind == 'f' else valid


def choose_bands(name: str, count: int, bands: Sequence[int] | None, default: Sequence[int] = (1, 2, 3)) -> list[int]:
    """Bands to see as red, green and blue, from 1; one band alone is gray.

    Raises:
        DataError: there are no bands.
        ConfigError: a band that is not there, or not 1 or 3 of them.
    """
    if count < 1:
        raise DataError(f'{name} has no bands; an image has at least one')
    if bands is None:
        return list(default[:3]) if count >= 3 else [1]
    if len(bands) not in (1, 3) or not all(1 <= band <= count for band in bands):
        raise ConfigError(
            f'bands {",".join(map(str, bands))} of {name}, which has {count}; give one (gray) or three (red, green, '
            f'blue) of 1 to {count}'
        )
    return list(bands)


def _without_nan(native: np.ndarray, valid: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    if native.dtype.kind != 'f':
        return native, valid
    finite = np.isfinite(native).all(0)
    if finite.all():
        return native, valid
    return np.where(finite, native, 0), finite if valid is None else valid & finite


def _picked(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Nearest pixels of a (h, w, …) array at ``size``."""
    rows, columns = (((np.arange(n) + 0.5) * length / n).astype(np.int64) for n, length in zip(size, array.shape))
    return array[rows[:, None], columns]
