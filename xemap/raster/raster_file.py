"""Opening image files: JPEG, PNG and the like by Pillow, whole; GeoTIFF and its kin by rasterio, by windows."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as FileWindow

from xemap.errors import DataError
from xemap.raster.georeference import Georeference
from xemap.raster.limits import BLOCK_BYTES, WINDOW_PIXELS, check_content, check_pixels, fits
from xemap.raster.plain_image import decode, is_wide, open_image
from xemap.raster.raster import ArrayRaster, Raster, Window, choose_bands

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

OTHER_DRIVERS = sorted({driver for own in DRIVERS.values() for driver in own} - {'VRT'})
"""For other suffixes."""

CACHE_MB = 128
"""GDAL's cache of blocks; its default follows the machine's memory."""

GDAL_OPTIONS = {
    'GDAL_CACHEMAX': CACHE_MB,
    # Most overviews hold picked pixels, not averages: one of at least twice the size is averaged from.
    'GDAL_OVERVIEW_OVERSAMPLING_THRESHOLD': '0.51',
}


GDAL_ERRORS = (RasterioError, CPLE_BaseError, MemoryError)
"""What rasterio raises about a file that is broken, or a disk that is full."""


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
        with _broken_file_named(name):
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


class FileRaster(Raster):
    """A rasterio dataset, read window by window; nodata, alpha and masks mark pixels without data.

    Args:
        dataset: open; closed with the raster only if :func:`open_raster` opened it.
        bands, stretch: see :func:`open_raster`.
    """

    def __init__(
        self, dataset: Any, bands: Sequence[int] | None = None, stretch: tuple[float, float] | None = None
    ) -> None:
        self.opened = ExitStack()
        name = str(getattr(dataset, 'name', 'dataset'))
        if not dataset.count and dataset.subdatasets:
            raise DataError(
                f'{name} holds {len(dataset.subdatasets)} images, the first {dataset.subdatasets[0]}; give one'
            )
        kinds = list(dataset.colorinterp) if dataset.count else []
        rgb = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        seen = [i for i, kind in enumerate(kinds, start=1) if kind != ColorInterp.alpha] or [1] * bool(kinds)
        default = [kinds.index(c) + 1 for c in rgb] if set(rgb) <= set(kinds) else seen
        chosen = choose_bands(name, dataset.count, bands, default if len(default) >= 3 else default[:1])
        self._palette = _palette(dataset, chosen[0]) if kinds[chosen[0] - 1] == ColorInterp.palette else None
        dtype = np.dtype(np.uint8 if self._palette is not None else dataset.dtypes[chosen[0] - 1])
        super().__init__(name, (dataset.height, dataset.width), dtype, chosen, stretch, _place(dataset, chosen[0]))
        self._dataset = dataset
        self.averages = self._palette is None
        self._gray_levels = _gray_levels(dataset, chosen[0]) if dtype == np.uint8 and self.averages else None
        flags = [dataset.mask_flag_enums[band - 1] for band in self.bands]
        self._flagged = any(MaskFlags.all_valid not in own for own in flags)
        self._sparse = _SparseBlocks(dataset, chosen) if self._flagged else None

    def close(self) -> None:
        self.opened.close()

    def borrowed(self) -> FileRaster:
        same = copy(self)
        same.opened = ExitStack()
        return same

    @property
    def masked(self) -> bool:
        return self._flagged or self.dtype.kind == 'f'

    def _native(self, window, out_size, smooth):
        shrinks = out_size != (window[3] - window[1], window[2] - window[0])
        how = dict(
            window=_window(window),
            out_shape=(len(self.bands), *out_size),
            resampling=Resampling.average if smooth and shrinks and self.averages else Resampling.nearest,
        )
        valid = None
        if self._flagged:  # first: where nothing has data, nothing need be decoded
            valid = self._has_flag(window, how)
            if not valid.any():
                return np.zeros((len(self.bands), *out_size), self.dtype), valid
        with _broken_file_named(self.name):
            native = self._dataset.read(list(self.bands), **how)
        if self._palette is not None:
            native = np.moveaxis(self._palette[np.minimum(native[0], len(self._palette) - 1)], 2, 0)
        if self._gray_levels is not None:
            native = self._gray_levels[native]
        return native, valid

    def _has_flag(self, window: Window, how: dict) -> np.ndarray:
        with _broken_file_named(self.name):
            if self._sparse is not None and self._sparse.empty(window):
                return np.zeros(how['out_shape'][1:], bool)
            return self._dataset.read_masks(list(self.bands), **how).any(0)

    def _has_data(self, window):
        size = window[3] - window[1], window[2] - window[0]
        valid = None
        if self._flagged:
            valid = self._has_flag(window, dict(window=_window(window), out_shape=(len(self.bands), *size)))
        if self.dtype.kind == 'f' and (valid is None or valid.any()):
            with _broken_file_named(self.name):
                bands = self._dataset.read(list(self.bands), window=_window(window))
            finite = np.isfinite(bands).all(0)
            valid = finite if valid is None else valid & finite
        return valid


class _SparseBlocks:
    """Which blocks of a TIFF were never written: known from its index, without reading pixels.

    Only of files with a nodata value, which such blocks consist of.
    """

    def __init__(self, dataset: Any, bands: Sequence[int]) -> None:
        self._dataset = dataset
        by_nodata = dataset.driver == 'GTiff' and all(dataset.nodatavals[band - 1] is not None for band in bands)
        planar = dataset.interleaving is not None and dataset.interleaving.name == 'band'
        self._bands = (list(bands) if planar else [bands[0]]) if by_nodata else []
        self._block = dataset.block_shapes[bands[0] - 1]
        self._known: dict[tuple[int, int], bool] = {}

    def empty(self, window: Window) -> bool:
        """No block that the window touches was written."""
        if not self._bands:
            return False
        rows, columns = self._block
        return all(
            self._is_hole(x, y)
            for y in range(window[1] // rows, -(-window[3] // rows))
            for x in range(window[0] // columns, -(-window[2] // columns))
        )

    def _is_hole(self, x: int, y: int) -> bool:
        if (x, y) not in self._known:
            self._known[x, y] = not any(_is_stored(self._dataset, x, y, band) for band in self._bands)
        return self._known[x, y]


def _is_stored(dataset: Any, x: int, y: int, band: int) -> bool:
    """Whether a block of a TIFF was written."""
    return dataset.get_tag_item(f'BLOCK_OFFSET_{x}_{y}', 'TIFF', bidx=band) is not None


@contextmanager
def _broken_file_named(name: str) -> Iterator[None]:
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
    written = sum(_is_stored(dataset, i % across, i // across, 1) for i in sample)
    check_content(f'image {name}', int(declared * written / len(sample)), stored, compression)


def _place_of_plain(path: Path) -> Georeference:
    beside = [path.with_suffix(suffix) for suffix in _world_suffixes(path)]
    if not any(file.is_file() for file in [*beside, path.with_name(path.name + '.aux.xml')]):
        return Georeference()
    drivers = ['JPEG', 'PNG', 'BMP', 'GIF', 'PNM', 'WEBP']
    with quiet_about_missing_place(), _open_by(str(path), drivers) as dataset:
        return _place(dataset, 1)


def _world_suffixes(path: Path) -> list[str]:
    suffix = path.suffix.lower()
    return ['.wld', f'{suffix}w', f'{suffix[:2]}{suffix[-1]}w']


def _place(dataset: Any, band: int) -> Georeference:
    nodata = dataset.nodatavals[band - 1]
    if dataset.transform.is_identity:
        problem = 'no georeference'
        if dataset.gcps[0]:
            problem = 'ground control points only; gdalwarp makes a georeference of them'
        elif dataset.rpcs:
            problem = 'RPCs only; gdalwarp -rpc makes a georeference of them'
        return Georeference(nodata=nodata, problem=problem)
    return Georeference(dataset.transform, dataset.crs, nodata, '' if dataset.crs else 'unknown CRS')


def _palette(dataset: Any, band: int) -> np.ndarray:
    """(256, 3) uint8 RGB."""
    colors = np.zeros((256, 3), np.uint8)
    for value, color in dataset.colormap(band).items():
        if value < len(colors):
            colors[value] = color[:3]
    return colors


def _gray_levels(dataset: Any, band: int) -> np.ndarray | None:
    """(256,) uint8 brightness of each value, of bands that have fewer bits than 8 or in which 0 is white; else None."""
    bits = int(dataset.tags(band, ns='IMAGE_STRUCTURE').get('NBITS', 8))
    inverted = dataset.tags(ns='IMAGE_STRUCTURE').get('MINISWHITE') == 'YES'
    if bits == 8 and not inverted:
        return None
    levels = np.rint(np.arange(256) * 255 / (2**bits - 1)).clip(0, 255).astype(np.uint8)
    return 255 - levels if inverted else levels


def _window(window: Window) -> FileWindow:
    x0, y0, x1, y1 = window
    return FileWindow(x0, y0, x1 - x0, y1 - y0)
