"""What every use of GDAL shares: its settings, its errors and its warnings."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from xemap.errors import DataError

CACHE_MB = 128
"""GDAL's cache of blocks; its default follows the machine's memory."""

GDAL_OPTIONS = {
    'GDAL_CACHEMAX': CACHE_MB,
    # Most overviews hold picked pixels, not averages: one of at least twice the size is averaged from.
    'GDAL_OVERVIEW_OVERSAMPLING_THRESHOLD': '0.51',
}

GDAL_ERRORS = (RasterioError, CPLE_BaseError, MemoryError)
"""What rasterio raises about a file that is broken, or a disk that is full."""


@contextmanager
def broken_file_named(name: str) -> Iterator[None]:
    try:
        yield
    except GDAL_ERRORS as error:
        cause = error.__cause__ or error
        raise DataError(f'image {name} is truncated or no known image ({cause}); copy it again') from error


@contextmanager
def quiet_about_missing_place() -> Iterator[None]:
    """Rasterio warns of files without georeference; results say so themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        yield
