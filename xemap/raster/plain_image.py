"""JPEG, PNG and the other formats that are decoded as a whole, by Pillow."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from xemap.errors import DataError
from xemap.raster.limits import WHOLE_PIXELS, check_content, check_pixels

FORMATS = ('BMP', 'GIF', 'JPEG', 'PNG', 'PPM', 'TIFF', 'WEBP')
"""Formats that may be opened, by their content. Pillow's other ones include PostScript, which it has a program of the
machine execute."""

_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, MemoryError)


@contextmanager
def open_image(
    path: str | Path, max_pixels: int | None = None, formats: tuple[str, ...] = FORMATS
) -> Iterator[ImageFile.ImageFile]:
    """A Pillow image of which only the header is read until its pixels are read.

    Args:
        path: file; what it is shows in its content, whatever its suffix.
        max_pixels: most pixels that the header may declare; None = :data:`~xemap.raster.limits.WHOLE_PIXELS`.
        formats: some of :data:`FORMATS`.

    Raises:
        DataError: the file is missing, of another format, too large, or its pixels turn out to be broken.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f'image {path} does not exist; check data_root (of a data set) or the path')
    try:
        with _without_pillows_limit(), Image.open(path, formats=formats) as image:
            check_pixels(f'image {path}', image.size[::-1], max_pixels or WHOLE_PIXELS, whole=True)
            if image.format == 'PNG':
                bits = image.size[0] * image.size[1] * len(image.getbands()) * (1 if image.mode == '1' else 8)
                check_content(f'image {path}', bits // 8, path.stat().st_size, 'deflate')
            yield image
    except UnidentifiedImageError as error:
        raise DataError(f'image {path} is truncated or no known image ({", ".join(formats)}); copy it again') from error
    except _BROKEN as error:  # Pillow: SyntaxError for PNG chunks, ValueError for TIFF tags
        raise DataError(f'image {path} is truncated or no known image ({error}); copy it again') from error


def is_wide(image: ImageFile.ImageFile) -> bool:
    """Whether a file that is not decoded yet has 16 bits per band, which Pillow would cut to 8 in color."""
    # Decoder arguments name the stored format, as in 'RGB;16B'.
    return image.mode.startswith(('I', 'F')) or any(';16' in str(tile[3]) for tile in image.tile)


def decode(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Pixels of an 8-bit image, and where they are not transparent.

    Returns:
        (H, W, 3) uint8 RGB, not blended with anything; and (H, W) bool, None = everywhere.
    """
    if 'A' not in image.getbands() and 'transparency' not in image.info:
        return np.array(image if image.mode == 'RGB' else image.convert('RGB')), None
    rgba = np.asarray(image.convert('RGBA'))
    return np.ascontiguousarray(rgba[..., :3]), rgba[..., 3] > 0


@contextmanager
def _without_pillows_limit() -> Iterator[None]:
    """Pillow warns from 89 million pixels on; large scenes are this project's ordinary input."""
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before
