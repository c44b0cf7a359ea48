"""Large TIFF files at a fraction of their size, without the whole image in memory.

Needs rasterio (extra ``geo``); without it, and for the rarer kinds of TIFF, the caller decodes everything.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import TiffImagePlugin

FACTORS = (8, 4, 2)
"""As a JPEG decoder has them."""

CACHE_MB = 64
"""GDAL's cache of blocks. A file of which one row of blocks is larger (one strip for all rows) would be decoded
again and again; it is left to the caller."""

_STRIP_ROWS = 256
_BITS_PER_SAMPLE, _COMPRESSION, _PHOTOMETRIC = 258, 259, 262
_ORIENTATION, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 274, 338, 339
_PREMULTIPLIED = 1


Reduced = tuple[np.ndarray, np.ndarray, tuple[float, float]]


def read_reduced_tiff(path: Path, image: TiffImagePlugin.TiffImageFile, at_least: int) -> Reduced | None:
    """Read a TIFF at 1/2, 1/4 or 1/8 of its size, strip by strip, averaged over blocks of pixels.

    Of a file with overviews, the smallest that is at least twice as large as asked for takes the place of the
    full image.

    Args:
        path: the file.
        image: the same file, opened by Pillow and not decoded.
        at_least: no side gets shorter than this many pixels.

    Returns:
        - (h, w, 1 or 3) uint8 or uint16, gray or RGB;
        - the same pixels for percentiles: single ones where the other array has averages, because averages
          have no extremes (those of an overview where one is used);
        - (height, width) of the file in pixels of the first array, whose last row and column may stand for less.

        None where the file is too small or of a kind that is not read here: palettes, inverted or rotated
        images, other than 8 or 16 unsigned bits, huge strips.

    Raises:
        OSError: the file is broken (rasterio's errors are of this kind).
    """
    if _factor(image.size, at_least) == 1 or not _is_plain(image):
        return None
    try:
        import rasterio
    except ImportError:
        return None
    count = 3 if len(image.getbands()) >= 3 else 1
    with warnings.catch_warnings(), rasterio.Env(GDAL_CACHEMAX=CACHE_MB, GDAL_DISABLE_READDIR_ON_OPEN='TRUE'):
        warnings.simplefilter('ignore', rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path, driver='GTiff') as dataset:
            steps = dataset.overviews(1)
        # Most overviews hold picked pixels, not averages: read at twice the size, and averaged from there.
        level = sum(min(image.size) // step >= 2 * at_least for step in steps) - 1
        options = {'overview_level': level} if level >= 0 else {}
        with rasterio.open(path, driver='GTiff', **options) as dataset:
            return _read(rasterio, dataset, count, _factor(dataset.shape, at_least))


def _factor(size: tuple[int, ...], at_least: int) -> int:
    return next((factor for factor in FACTORS if min(size) // factor >= at_least), 1)


def _is_plain(image: TiffImagePlugin.TiffImageFile) -> bool:
    """Whether GDAL's values are what Pillow and OpenCV would give: black is 0, or RGB, or YCbCr in JPEG."""
    tags = image.tag_v2
    return (
        set(tags.get(_BITS_PER_SAMPLE, (1,))) in ({8}, {16})
        and set(tags.get(_SAMPLE_FORMAT, (1,))) == {1}
        and (tags.get(_PHOTOMETRIC) in (1, 2) or (tags.get(_PHOTOMETRIC), tags.get(_COMPRESSION)) == (6, 7))
        and tags.get(_ORIENTATION, 1) == 1
        and _PREMULTIPLIED not in tags.get(_EXTRA_SAMPLES, ())
    )


def _read(rasterio: Any, dataset: Any, count: int, factor: int) -> Reduced | None:
    height, width = dataset.height, dataset.width
    block_rows = dataset.block_shapes[0][0]
    row_of_blocks = max(block_rows, factor) * width * dataset.count * np.dtype(dataset.dtypes[0]).itemsize
    if row_of_blocks > CACHE_MB << 20:
        return None
    bands = list(range(1, count + 1))
    if factor == 1:
        whole = np.ascontiguousarray(np.moveaxis(dataset.read(bands), 0, 2))
        return whole, whole, (float(height), float(width))
    out_h, out_w = -(-height // factor), -(-width // factor)
    averages = np.empty((out_h, out_w, count), dataset.dtypes[0])
    picks = np.empty_like(averages)
    step = max(1, _STRIP_ROWS // factor)
    for top in range(0, out_h, step):
        rows = min(step, out_h - top)
        window = rasterio.windows.Window(0, top * factor, width, min(rows * factor, height - top * factor))
        for index, band in enumerate(dataset.read(bands, window=window)):
            # The last block may be cut; its own edge fills it, so that it is no darker.
            missing = rows * factor - band.shape[0], out_w * factor - width
            full = cv2.copyMakeBorder(band, 0, missing[0], 0, missing[1], cv2.BORDER_REPLICATE)
            averages[top : top + rows, :, index] = cv2.resize(full, (out_w, rows), interpolation=cv2.INTER_AREA)
            picks[top : top + rows, :, index] = full[factor // 2 :: factor, factor // 2 :: factor]
    return averages, picks, (height / factor, width / factor)
