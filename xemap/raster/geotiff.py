"""Maps as GeoTIFF; a file appears under its name only when it is complete."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.windows import Window

from xemap.files import replacing_together, space_needed
from xemap.raster.gdal import GDAL_ERRORS, GDAL_OPTIONS, quiet_about_missing_place
from xemap.raster.georeference import Georeference

BLOCK = 512
"""Side of the tiles of a written file, pixels."""


def output_nodata(nodata: float | None, masked: bool) -> float | None:
    """Value that marks pixels without data in a map's file: the image's own, NaN where float32 has none of it."""
    if nodata is not None and abs(nodata) <= float(np.finfo(np.float32).max):
        return float(np.float32(nodata))
    return float('nan') if masked or nodata is not None else None


def write_geotiff(
    path: str | Path,
    strips: Iterable[tuple[int, np.ndarray]],
    size: tuple[int, int],
    georeference: Georeference,
    masked: bool,
    tags: dict[str, str],
) -> None:
    """One map as a Cloud-Optimized GeoTIFF, float32, deflated, with overviews. Blocks without data are not stored.

    Pixels without data get the image's nodata value. A map may have that value too (0, for instance); it is then
    moved to the next float32 towards 0.5.

    Args:
        strips: y of the first row and (n, W) float32 rows, NaN without data, from top to bottom; strips of a multiple
            of :data:`BLOCK` rows are written at once.
        size: (H, W) of the map.
        masked: pixels without data are possible.
        tags: metadata; the value of ``query`` is the band's description too.

    Raises:
        OutOfSpaceError: the disk is full.
        OSError: GDAL could not write for another reason.
    """
    path = Path(path)
    height, width = size
    nodata = output_nodata(georeference.nodata, masked)
    profile = dict(
        driver='GTiff', dtype='float32', count=1, height=height, width=width, nodata=nodata, BIGTIFF='IF_SAFER',
        crs=georeference.crs, transform=georeference.transform, tiled=height > BLOCK and width > BLOCK,
        sparse_ok=nodata is not None,
    )  # fmt: skip
    step = BLOCK if profile['tiled'] else width
    # GDAL's temporary files go into the folder, and with it.
    with replacing_together(path.parent, [path.name]) as folder, space_needed(path):
        plain, optimized = folder / f'{path.name}.plain', folder / path.name
        try:
            with rasterio.Env(**GDAL_OPTIONS), quiet_about_missing_place():
                with rasterio.open(plain, 'w', **profile) as dataset:
                    dataset.update_tags(**tags)
                    dataset.set_band_description(1, tags.get('query', ''))
                    for top, rows in strips:
                        for left in range(0, width, step):
                            block = rows[:, left : left + step]
                            if nodata is None or not np.isnan(block).all():
                                window = Window(left, top, block.shape[1], len(block))
                                dataset.write(_with_nodata(block, nodata), 1, window=window)
                rasterio.shutil.copy(
                    plain, optimized, driver='COG', COMPRESS='DEFLATE', PREDICTOR='YES', BLOCKSIZE=str(BLOCK),
                    OVERVIEW_RESAMPLING='AVERAGE', BIGTIFF='IF_SAFER', NUM_THREADS='ALL_CPUS',
                    SPARSE_OK='YES' if profile['sparse_ok'] else 'NO',
                )  # fmt: skip
        except GDAL_ERRORS as error:
            _require_space(folder, 4 * BLOCK * width)
            cause = error.__cause__ or error
            raise OSError(errno.EIO, f'GDAL could not write it ({cause})', str(path)) from error


def _require_space(folder: Path, size: int) -> None:
    """Make the files of a folder longer by ``size`` bytes: GDAL does not say why a write failed, the system does.

    Raises:
        OSError: a file cannot grow.
    """
    for file in folder.iterdir():
        with file.open('ab') as stream:
            stream.write(bytes(size))


def _with_nodata(rows: np.ndarray, nodata: float | None) -> np.ndarray:
    if nodata is None or np.isnan(nodata):
        return rows
    beside = max(np.nextafter(np.float32(nodata), np.float32(0.5)), np.finfo(np.float32).tiny, key=abs)
    return np.where(np.isnan(rows), np.float32(nodata), np.where(rows == np.float32(nodata), beside, rows))
