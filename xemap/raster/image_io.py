"""Image files as arrays: what training reads, by the reader that inference uses."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from xemap.raster.raster_file import open_raster, read_header

FACTORS = (8, 4, 2)
"""At which a JPEG decoder can shrink, and TIFF is read as well."""


def read_image(path: str | Path, stretch: tuple[float, float] = (2.0, 98.0), at_least: int | None = None) -> np.ndarray:
    """Read an image file of any format and pixel type that :func:`~xemap.raster.raster_file.open_raster` reads.

    8-bit bands are taken as they are, gray is repeated over three bands. Other types are stretched band by band: the
    lower percentile becomes 0, the upper one 255, linearly between and clipped beyond. Pixels without data
    (transparent, masked, nodata, not finite) are black and do not count. EXIF orientation is not applied, because
    annotations count stored pixels.

    Args:
        path: the file.
        stretch: the two percentiles.
        at_least: where the format can, decode at 1/2, 1/4 or 1/8 of the size as long as no side gets shorter
            than this many pixels; None = at full size. See :func:`read_reduced`.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        DataError: the file is missing, truncated, no image, or declares more pixels than it can hold or may have.
    """
    return read_reduced(path, stretch, at_least)[0]


def read_reduced(
    path: str | Path, stretch: tuple[float, float] = (2.0, 98.0), at_least: int | None = None
) -> tuple[np.ndarray, tuple[int, int], tuple[float, float]]:
    """As :func:`read_image`, the size of the file, and how much of the array it fills.

    With ``at_least``, JPEG and files that are read by windows (TIFF and its kin) come at 1/2, 1/4 or 1/8; PNG, the
    other formats and palettes can only be decoded whole.

    Returns:
        - (h, w, 3) uint8 RGB;
        - (height, width) of the file;
        - (height, width) of the file in pixels of the array: where the side of a JPEG is no multiple of the factor,
          the last row or column is filled in part, and this is smaller than the array's by less than 1.

    Raises:
        DataError: as :func:`read_image`.
    """
    with open_raster(path, at_least=at_least) as raster:
        if raster.percentiles is not None:
            raster.percentiles = stretch
        size = raster.size
        if at_least is not None and raster.averages:
            factor = next((factor for factor in FACTORS if min(size) // factor >= at_least), 1)
            size = -(-size[0] // factor), -(-size[1] // factor)
        return raster.read(None, size).rgb, raster.file_size, raster.extent or (float(size[0]), float(size[1]))


def image_size(path: str | Path) -> tuple[int, int]:
    """(height, width) of an image file, from its header alone.

    Raises:
        DataError: as :func:`read_image`, as far as the header shows it.
    """
    return read_header(path).size
