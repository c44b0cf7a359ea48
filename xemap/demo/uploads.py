"""Opening files of strangers: only known formats, by their content, and no larger than allowed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio
from PIL import Image
from rasterio.errors import RasterioIOError

from xemap.errors import DataError
from xemap.raster.gdal import GDAL_OPTIONS, quiet_about_missing_place

PLAIN = {'.jpg': 'JPEG', '.jpeg': 'JPEG', '.png': 'PNG', '.bmp': 'BMP', '.webp': 'WEBP'}
TIFF = ('.tif', '.tiff')
SUFFIXES = (*TIFF, *PLAIN)
MAX_BANDS = 16


@contextmanager
def opened(path: str | Path, max_pixels: int) -> Iterator[Any]:
    """An upload as a source for :func:`~xemap.raster.raster_file.open_raster`.

    A suffix proves nothing: by content, GDAL would take a VRT, which names other files of this machine or on the
    network, and Pillow would hand PostScript to an interpreter. So the format is fixed before a file is opened.

    Raises:
        DataError: another format, a broken file, or more pixels or bands than allowed.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in PLAIN:
        try:
            with Image.open(path, formats=[PLAIN[suffix]]) as image:
                _check(path.name, *image.size, 1, max_pixels)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise DataError(f'{path.name} is broken or no {PLAIN[suffix]} image; choose another file') from error
        yield path
    elif suffix in TIFF:
        options = {**GDAL_OPTIONS, 'GDAL_DISABLE_READDIR_ON_OPEN': 'EMPTY_DIR'}
        with rasterio.Env(**options), quiet_about_missing_place():
            try:
                dataset = rasterio.open(path, driver='GTiff')
            except RasterioIOError as error:
                raise DataError(f'{path.name} is broken or no TIFF image; choose another file') from error
            with dataset:
                _check(path.name, dataset.width, dataset.height, dataset.count, max_pixels)
                yield dataset
    else:
        raise DataError(f'{path.name} is none of {", ".join(SUFFIXES)}; convert it, or choose another file')


def _check(name: str, width: int, height: int, bands: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise DataError(
            f'{name} has {width} x {height} pixels, more than the {max_pixels / 1e6:g} million allowed here; '
            'cut it, or use tools/infer.py'
        )
    if bands > MAX_BANDS:
        raise DataError(f'{name} has {bands} bands, more than {MAX_BANDS}; choose fewer')
