"""Opening image files: JPEG, PNG and the like by Pillow, whole; GeoTIFF and its kin by rasterio, by windows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import RasterioError

from xemap.errors import DataError
from xemap.raster.dataset_raster import FileRaster, is_stored, place_of
from xemap.raster.gdal import GDAL_OPTIONS, broken_file_named, quiet_about_missing_place
from xemap.raster.georeference import Georeference
from xemap.raster.limits import BLOCK_BYTES, WINDOW_PIXELS, check_content, check_pixels, fits
from xemap.raster.plain_image import decode, is_wide, open_image
from xemap.raster.raster import ArrayRaster, Raster

PLAIN = ('.bmp', '.gif', '.jpeg', '.jpg', '.png', '.ppm', '.webp')
"""Suffixes of formats that are decoded whole."""

DRIVERS = {
    '.tif': ['GTiff'], '.tiff': ['GTiff'], '.vrt': ['VRT'], '.png': ['PNG'], '.ppm': ['PNM'],
    '.jp2': ['JP2OpenJPEG', 'JP2KAK', 'JP2ECW'], '.img': ['HFA', 'ENVI'], '.ecw': ['ECW'], '.sid': ['MrSID'],
    '.ntf': ['NITF'], '.nitf': ['NITF'], '.asc': ['AAIGrid'], '.gpkg': ['GPKG'], '.kea': ['KEA'],
    '.nc': ['netCDF', 'HDF5'], '.hdf': ['HDF4', 'HDF5'], '.h5': ['HDF5'], '.bil': ['EHdr', 'ENVI'],
    '.bsq': ['ENVI'], '.bip': ['ENVI'], '.dat': ['ENVI'], '.hdr': ['ENVI', 'EHdr'],
}  # fmt: skip
"""GDAL's drivers that may open a file of a suffix. A suffix proves nothing: by content, GDAL would take a VRT, which
names other files of this machine or on the network, whatever it is called."""

OTHER_DRIVERS = sorted({driver for drivers in DRIVERS.values() for driver in drivers} - {'VRT'})
"""For other suffixes."""


def is_gdal_name(source: str | Path) -> bool:
    """Whether it is no file but a name that GDAL knows how to read: ``/vsizip/…``, ``/vsicurl/…``, ``s3://…``."""
    return str(source).startswith('/vsi') or '://' in str(source)


def open_raster(
    source: str | Path | np.ndarray | Any,
    bands: Sequence[int] | None = None,
    stretch: tuple[float, float] | None = None,
    *,
    max_pixels: int | None = None,
    at_least: int | None = None,
) -> Raster:
    """Open an image.

    Args:
        source: a file, a name as GDAL has them (``/vsizip/``, ``/vsicurl/``, ``s3://``), an array (see
            :class:`ArrayRaster`), an open rasterio dataset or a raster, which stay open.
        bands: see :func:`choose_bands`; None = those called red, green and blue, else the first three, else the first.
        stretch: lower and upper percentile, see :class:`Raster`.
        max_pixels: most pixels that a file may declare; None = the limits of :mod:`xemap.raster.limits`.
        at_least: a JPEG may be decoded at 1/2, 1/4 or 1/8 as long as no side gets shorter than this many pixels.

    Returns:
        a raster, to be used in a ``with`` block.

    Raises:
        DataError: the file is missing, broken, no image, without bands, or declares more pixels than it may have or
            can hold.
        ConfigError: bands or percentiles do not fit.
    """
    if isinstance(source, Raster):
        return source.borrowed()
    if isinstance(source, np.ndarray):
        return ArrayRaster(source, bands, stretch)
    if not isinstance(source, (str, Path)):
        if not hasattr(source, 'count'):
            raise DataError(f'image {source!r} is no path, array or open rasterio dataset; give one of these')
        return FileRaster(source, bands, stretch)
    name = _require_utf8(str(source))
    if is_gdal_name(name):
        return _open_dataset(name, bands, stretch, max_pixels)
    path = Path(source)
    if not path.is_file():
        raise DataError(f'image {path} does not exist; check data_root (of a data set) or the path')
    if path.suffix.lower() in PLAIN:
        with open_image(path, max_pixels) as image:
            if image.format != 'TIFF' and not is_wide(image):
                size = image.size[::-1]
                if at_least is not None:
                    image.draft('RGB', (at_least, at_least))
                factor = next(f for f in (1, 2, 4, 8) if image.size == (-(-size[1] // f), -(-size[0] // f)))
                rgb, valid = decode(image)
                raster = ArrayRaster(rgb, bands, stretch, valid, str(path), _place_of_plain(path))
                raster.file_size, raster.averages = size, False
                raster.extent = (size[0] / factor, size[1] / factor)
                return raster
            drivers = {'TIFF': ['GTiff'], 'PPM': ['PNM']}.get(image.format or '', [image.format or ''])
        return _open_dataset(name, bands, stretch, max_pixels, drivers)
    return _open_dataset(name, bands, stretch, max_pixels)


@dataclass(frozen=True)
class Header:
    """What is known of an image file before its pixels are read.

    Args:
        size: (height, width).
        georeference: its place.
    """

    size: tuple[int, int]
    georeference: Georeference

    @property
    def pixels(self) -> int:
        return self.size[0] * self.size[1]


def read_header(source: str | Path, max_pixels: int | None = None) -> Header:
    """Size and place of a file that :func:`open_raster` would open; pixels are not read.

    Raises:
        DataError: as :func:`open_raster`, as far as the header shows it.
    """
    name = _require_utf8(str(source))
    if not is_gdal_name(name) and Path(name).suffix.lower() in PLAIN:
        with open_image(name, max_pixels) as image:
            if image.format != 'TIFF':
                return Header(image.size[::-1], _place_of_plain(Path(name)))
    with open_raster(name, max_pixels=max_pixels) as raster:
        return Header(raster.size, raster.georeference)


def _open_dataset(
    name: str,
    bands: Sequence[int] | None,
    stretch: tuple[float, float] | None,
    max_pixels: int | None,
    drivers: list[str] | None = None,
) -> Raster:
    suffix = Path(name.partition('?')[0]).suffix.lower()
    drivers = drivers or DRIVERS.get(suffix, OTHER_DRIVERS)
    with ExitStack() as stack:
        stack.enter_context(rasterio.Env(**GDAL_OPTIONS))
        with quiet_about_missing_place():
            dataset = stack.enter_context(_open_by(name, drivers))
        with broken_file_named(name):
            if dataset.count:
                check_pixels(f'image {name}', dataset.shape, max_pixels or WINDOW_PIXELS, whole=False)
                _check_blocks(name, dataset)
            raster = FileRaster(dataset, bands, stretch)
        raster.opened = stack.pop_all()
        return raster


def _open_by(name: str, drivers: Sequence[str]) -> Any:
    """An open dataset; the first of some drivers that can read it."""
    problem: RasterioError | None = None
    for driver in drivers:
        try:
            return rasterio.open(name, driver=driver)
        except RasterioError as error:
            problem = problem or error
    raise DataError(f'image {name} is truncated or no known image ({problem}); copy it again') from problem


def _require_utf8(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        shown = name.encode(errors='backslashreplace').decode()
        raise DataError(f'image "{shown}" has a name that is no UTF-8; rename the file') from error
    return name


def _check_blocks(name: str, dataset: Any) -> None:
    """A block is decoded as a whole, and a file of known compression can hold only so many.

    Blocks of a sparse file are not stored; they are not counted.
    """
    item = max(np.dtype(kind).itemsize for kind in dataset.dtypes)
    pixel = item * (dataset.count if dataset.interleaving and dataset.interleaving.name == 'pixel' else 1)
    rows, columns = dataset.block_shapes[0]
    rows, columns = min(rows, dataset.height), min(columns, dataset.width)
    if rows * columns * pixel > BLOCK_BYTES:
        raise DataError(
            f'image {name} declares blocks of {columns} x {rows} pixels, {rows * columns * pixel / 1e9:.1f} GB each; '
            'convert it (gdal_translate -co TILED=YES)'
        )
    compression = dataset.compression.name if dataset.compression else 'none'
    if dataset.driver != 'GTiff' or is_gdal_name(name) or dataset.tags(1, ns='IMAGE_STRUCTURE').get('NBITS'):
        return
    declared = dataset.height * dataset.width * item * dataset.count
    stored = os.stat(name).st_size
    if fits(declared, stored, compression):
        return
    # Sparse, perhaps: a sample of the blocks tells how many were written; all would take too long.
    down, across = -(-dataset.height // rows), -(-dataset.width // columns)
    sample = np.unique(np.linspace(0, down * across - 1, min(down * across, 20_000)).astype(np.int64)).tolist()
    written = sum(is_stored(dataset, i % across, i // across, 1) for i in sample)
    check_content(f'image {name}', int(declared * written / len(sample)), stored, compression)


def _place_of_plain(path: Path) -> Georeference:
    beside = [path.with_suffix(suffix) for suffix in _world_suffixes(path)]
    if not any(file.is_file() for file in [*beside, path.with_name(path.name + '.aux.xml')]):
        return Georeference()
    drivers = ['JPEG', 'PNG', 'BMP', 'GIF', 'PNM', 'WEBP']
    with quiet_about_missing_place(), _open_by(str(path), drivers) as dataset:
        return place_of(dataset, 1)


def _world_suffixes(path: Path) -> list[str]:
    suffix = path.suffix.lower()
    return ['.wld', f'{suffix}w', f'{suffix[:2]}{suffix[-1]}w']
