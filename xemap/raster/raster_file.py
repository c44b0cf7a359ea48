"""Opening image files: GeoTIFF and its kin by rasterio, by windows; JPEG, PNG and the like by Pillow, whole."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from xemap.errors import DataError
from xemap.raster.georeference import Georeference, require_rasterio
from xemap.raster.image_io import read_image
from xemap.raster.raster import STRETCH, ArrayRaster, Raster, choose_bands

PLAIN = {'.bmp', '.gif', '.jpeg', '.jpg', '.png', '.ppm', '.webp'}
"""Formats that Pillow reads as training does."""

CACHE_MB = 128
"""GDAL's cache of blocks; its default follows the machine's memory."""


def open_raster(
    source: str | Path | np.ndarray | Any,
    bands: Sequence[int] | None = None,
    stretch: tuple[float, float] | None = None,
) -> Raster:
    """Open an image.

    Args:
        source: a file, an array (see :class:`ArrayRaster`), or an open rasterio dataset, which stays open.
        bands: see :func:`choose_bands`; None = those called red, green and blue, else the first three, else the first.
        stretch: lower and upper percentile, see :class:`Raster`.

    Returns:
        a raster, to be used in a ``with`` block.

    Raises:
        DataError: the file is missing, broken, no image, or without bands.
        ConfigError: bands or percentiles do not fit, or rasterio is needed and not installed.
    """
    if isinstance(source, np.ndarray):
        return ArrayRaster(source, bands, stretch)
    if not isinstance(source, (str, Path)):
        if not hasattr(source, 'count'):
            raise DataError(f'image {source!r} is no path, array or open rasterio dataset; give one of these')
        return FileRaster(source, bands, stretch)
    path = Path(source)
    if not path.is_file():
        raise DataError(f'image {path} does not exist; check the path')
    if path.suffix.lower() in PLAIN:
        return _open_plain(path, bands, stretch)
    rasterio = require_rasterio(f'{path.suffix or "this"} image {path.name}')
    with ExitStack() as stack:
        stack.enter_context(rasterio.Env(GDAL_CACHEMAX=CACHE_MB))
        with unplaced_is_fine(rasterio):
            try:
                dataset = stack.enter_context(rasterio.open(path))
            except rasterio.errors.RasterioIOError as error:
                raise DataError(f'{path} is no image that can be read ({error}); copy or convert it again') from error
        raster = FileRaster(dataset, bands, stretch)
        raster.opened = stack.pop_all()
        return raster


class FileRaster(Raster):
    """A rasterio dataset, read window by window; nodata, alpha and masks mark pixels without data.

    Args:
        dataset: open; closed with the raster only if :func:`open_raster` opened it.
        bands, stretch: see :func:`open_raster`.
    """

    def __init__(
        self, dataset: Any, bands: Sequence[int] | None = None, stretch: tuple[float, float] | None = None
    ) -> None:
        self._rasterio = rasterio = require_rasterio('an open dataset')
        self.opened = ExitStack()
        name = str(getattr(dataset, 'name', 'dataset'))
        if not dataset.count and dataset.subdatasets:
            raise DataError(
                f'{name} holds {len(dataset.subdatasets)} images, the first {dataset.subdatasets[0]}; give one'
            )
        kinds = list(dataset.colorinterp) if dataset.count else []
        colour = rasterio.enums.ColorInterp
        rgb = (colour.red, colour.green, colour.blue)
        seen = [i for i, kind in enumerate(kinds, start=1) if kind != colour.alpha] or [1] * bool(kinds)
        default = [kinds.index(c) + 1 for c in rgb] if set(rgb) <= set(kinds) else seen
        chosen = choose_bands(name, dataset.count, bands, default if len(default) >= 3 else default[:1])
        self._palette = _palette(dataset, chosen[0]) if kinds[chosen[0] - 1] == colour.palette else None
        dtype = np.dtype(np.uint8 if self._palette is not None else dataset.dtypes[chosen[0] - 1])
        super().__init__(name, (dataset.height, dataset.width), dtype, chosen, stretch, _place(dataset, chosen[0]))
        self._dataset = dataset
        flags = [dataset.mask_flag_enums[band - 1] for band in self.bands]
        self._flagged = any(rasterio.enums.MaskFlags.all_valid not in own for own in flags)

    def close(self) -> None:
        self.opened.close()

    @property
    def masked(self) -> bool:
        return self._flagged or self.dtype.kind == 'f'

    def _native(self, window, out_size, smooth):
        resampling = self._rasterio.enums.Resampling
        shrinks = out_size != (window[3] - window[1], window[2] - window[0])
        average = smooth and shrinks and self._palette is None
        how = dict(
            window=_window(self._rasterio, window),
            out_shape=(len(self.bands), *out_size),
            resampling=resampling.average if average else resampling.nearest,
        )
        with self._reading():
            native = self._dataset.read(list(self.bands), **how)
            valid = self._dataset.read_masks(list(self.bands), **how).any(0) if self._flagged else None
        if self._palette is not None:
            native = np.moveaxis(self._palette[np.minimum(native[0], len(self._palette) - 1)], 2, 0)
        return native, valid

    def _has_data(self, window):
        valid = None
        with self._reading():
            if self._flagged:
                valid = self._dataset.read_masks(list(self.bands), window=_window(self._rasterio, window)).any(0)
            if self.dtype.kind == 'f':
                bands = self._dataset.read(list(self.bands), window=_window(self._rasterio, window))
                finite = np.isfinite(bands).all(0)
                valid = finite if valid is None else valid & finite
        return valid

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except self._rasterio.errors.RasterioError as error:
            cause = error.__cause__ or error
            raise DataError(f'{self.name} is broken: {cause}; copy it again') from error


@contextmanager
def unplaced_is_fine(rasterio: Any) -> Iterator[None]:
    """Rasterio warns of files without georeference; results say so themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', rasterio.errors.NotGeoreferencedWarning)
        yield


def _open_plain(path: Path, bands: Sequence[int] | None, stretch: tuple[float, float] | None) -> ArrayRaster:
    """Pixels by Pillow; the place from a world file or header where rasterio is installed."""
    rgb = read_image(path, stretch or STRETCH)
    with Image.open(path) as image:
        wide = image.mode.startswith('I;16') or any(';16' in str(tile[3]) for tile in image.tile)  # stretched by now
        has_alpha = 'A' in image.getbands() or 'transparency' in image.info
        valid = np.asarray(image.convert('RGBA').getchannel('A')) > 0 if has_alpha else None
    return ArrayRaster(rgb, bands, None if wide else stretch, valid, str(path), _place_of_plain(path))


def _place_of_plain(path: Path) -> Georeference:
    beside = [path.with_suffix(suffix) for suffix in _world_suffixes(path)]
    if not any(file.is_file() for file in [*beside, path.with_name(path.name + '.aux.xml')]):
        return Georeference()
    rasterio = require_rasterio(f'the world file of {path.name}')
    with unplaced_is_fine(rasterio), rasterio.open(path) as dataset:
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
    colours = np.zeros((256, 3), np.uint8)
    for value, colour in dataset.colormap(band).items():
        if value < len(colours):
            colours[value] = colour[:3]
    return colours


def _window(rasterio: Any, window: tuple[int, int, int, int]) -> Any:
    x0, y0, x1, y1 = window
    return rasterio.windows.Window(x0, y0, x1 - x0, y1 - y0)
