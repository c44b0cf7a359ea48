"""Reading images of any common pixel type as 8-bit RGB."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from xemap.errors import DataError
from xemap.raster.reduced_tiff import read_reduced_tiff

MAX_PIXELS = 1 << 30
"""Larger files are refused before decoding (OpenCV's own limit)."""

_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


def read_image(path: str | Path, stretch: tuple[float, float] = (2.0, 98.0), at_least: int | None = None) -> np.ndarray:
    """Read an image file of 8 or 16 bits per band: gray, gray + alpha, RGB, RGBA, palette.

    Gray is repeated over three bands and alpha is dropped. 16-bit files are stretched band by band:
    the lower percentile becomes 0, the upper one 255, linearly between and clipped beyond. EXIF
    orientation is not applied, because annotations count stored pixels.

    Args:
        path: file of any format that Pillow reads (JPEG, PNG, TIFF, …).
        stretch: the two percentiles.
        at_least: where the format can, decode at 1/2, 1/4 or 1/8 of the size as long as no side gets shorter
            than this many pixels; None = at full size. See :func:`read_reduced`.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        DataError: the file is missing, truncated, no image, or of another pixel type.
    """
    return read_reduced(path, stretch, at_least)[0]


def read_reduced(
    path: str | Path, stretch: tuple[float, float] = (2.0, 98.0), at_least: int | None = None
) -> tuple[np.ndarray, tuple[int, int], tuple[float, float]]:
    """As :func:`read_image`, the size of the file, and how much of the array it fills.

    With ``at_least``, JPEG and TIFF (where rasterio is installed, see :func:`read_reduced_tiff`) come at 1/2,
    1/4 or 1/8; PNG and the other formats can only be decoded whole. 16-bit files are stretched after averaging,
    by the percentiles of a grid of their pixels (of an overview's, where one is read).

    Returns:
        - (h, w, 3) uint8 RGB;
        - (height, width) of the file;
        - (height, width) of the file in pixels of the array: where its side is no multiple of the factor, the
          last row or column is filled in part, and this is smaller than the array's by less than 1.

    Raises:
        DataError: as :func:`read_image`.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f'image {path} does not exist; check data_root and the paths in the annotation file')
    try:
        with _pixel_limit(), Image.open(path) as image:
            if image.mode in ('I', 'F'):
                raise DataError(f'image {path} has "{image.mode}" pixels; convert them to 8 or 16 unsigned bits')
            size = image.size[::-1]
            if at_least is not None and isinstance(image, TiffImageFile):
                reduced = read_reduced_tiff(path, image, at_least)
                if reduced is not None:
                    bands, sample, extent = reduced
                    return _as_rgb8(bands, sample, stretch), size, extent
            elif at_least is not None:
                image.draft('RGB', (at_least, at_least))
            factor = next(f for f in (1, 2, 4, 8) if image.size == (-(-size[1] // f), -(-size[0] // f)))
            extent = (size[0] / factor, size[1] / factor)
            # Decoder arguments name the stored format, as in 'RGB;16B'.
            wide = image.mode.startswith('I;16') or any(';16' in str(tile[3]) for tile in image.tile)
            # Pillow decodes everything or raises; OpenCV 4 fills the missing part of a JPEG with gray.
            if not wide:
                return np.array(image if image.mode == 'RGB' else image.convert('RGB')), size, extent
            if image.format != 'TIFF':
                image.load()
    except _BROKEN as error:
        raise DataError(f'image {path} is truncated or no known image ({error}); copy it again') from error
    wide_bands = _read_wide(path)
    return _as_rgb8(wide_bands, wide_bands, stretch), size, size


def _read_wide(path: Path) -> np.ndarray:
    """(H, W, 1 or 3) uint16, gray or RGB. Pillow cuts 16-bit colour to 8 bits and cannot read some GeoTIFFs."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(
        cv2.utils.logging.LOG_LEVEL_SILENT
    )  # it complains about every GeoTIFF tag; failure is reported below
    try:
        bands = cv2.imread(str(path), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    finally:
        cv2.utils.logging.setLogLevel(level)
    if bands is None:
        raise DataError(f'image {path} is truncated or no known image (16 bits); copy it again')
    return bands[..., None] if bands.ndim == 2 else bands[..., 2::-1]


def _as_rgb8(bands: np.ndarray, sample: np.ndarray, percentiles: tuple[float, float]) -> np.ndarray:
    """(H, W, 1 or 3) uint8 or uint16 -> (H, W, 3) uint8; 16 bits by one look-up table a band, from ``sample``."""
    if bands.dtype == np.uint8:
        return bands if bands.shape[2] == 3 else np.repeat(bands, 3, axis=2)
    values = np.arange(1 << 16)
    ranks = np.ceil(np.array(percentiles) / 100 * sample[..., 0].size).clip(1)
    planes = []
    for band, looked_at in zip(np.moveaxis(bands, 2, 0), np.moveaxis(sample, 2, 0)):
        low, high = np.searchsorted(np.cumsum(np.bincount(looked_at.ravel(), minlength=values.size)), ranks)
        table = np.round((values - low) * 255 / max(high - low, 1)).clip(0, 255).astype(np.uint8)
        planes.append(table[band])
    return np.stack(planes * (3 // len(planes)), axis=2)


@contextmanager
def _pixel_limit() -> Iterator[None]:
    """Pillow warns from 89 million pixels on; large scenes are this project's ordinary input."""
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, MAX_PIXELS
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before
