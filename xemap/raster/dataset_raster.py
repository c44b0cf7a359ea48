"""GeoTIFF and its kin, read by windows."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from copy import copy
from typing import Any

import numpy as np
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.windows import Window as FileWindow

from xemap.errors import DataError
from xemap.raster.gdal import broken_file_named
from xemap.raster.georeference import Georeference
from xemap.raster.raster import Raster, Window, choose_bands


class FileRaster(Raster):
    """A rasterio dataset, read window by window; nodata, alpha and masks mark pixels without data.

    Args:
        dataset: open; closed with the raster only if :func:`~xemap.raster.raster_file.open_raster` opened it.
        bands, stretch: see :func:`~xemap.raster.raster_file.open_raster`.
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
        super().__init__(name, (dataset.height, dataset.width), dtype, chosen, stretch, place_of(dataset, chosen[0]))
        self._dataset = dataset
        self.averages = self._palette is None
        self._gray_levels = _gray_levels(dataset, chosen[0]) if dtype == np.uint8 and self.averages else None
        flags = [dataset.mask_flag_enums[band - 1] for band in self.bands]
        self._flagged = any(MaskFlags.all_valid not in band for band in flags)
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
        options = dict(
            window=_window(window),
            out_shape=(len(self.bands), *out_size),
            resampling=Resampling.average if smooth and shrinks and self.averages else Resampling.nearest,
        )
        valid = None
        if self._flagged:  # first: where nothing has data, nothing need be decoded
            valid = self._has_flag(window, options)
            if not valid.any():
                return np.zeros((len(self.bands), *out_size), self.dtype), valid
        with broken_file_named(self.name):
            native = self._dataset.read(list(self.bands), **options)
        if self._palette is not None:
            native = np.moveaxis(self._palette[np.minimum(native[0], len(self._palette) - 1)], 2, 0)
        if self._gray_levels is not None:
            native = self._gray_levels[native]
        return native, valid

    def _has_flag(self, window: Window, options: dict) -> np.ndarray:
        with broken_file_named(self.name):
            if self._sparse is not None and self._sparse.empty(window):
                return np.zeros(options['out_shape'][1:], bool)
            return self._dataset.read_masks(list(self.bands), **options).any(0)

    def _has_data(self, window):
        size = window[3] - window[1], window[2] - window[0]
        valid = None
        if self._flagged:
            valid = self._has_flag(window, dict(window=_window(window), out_shape=(len(self.bands), *size)))
        if self.dtype.kind == 'f' and (valid is None or valid.any()):
            with broken_file_named(self.name):
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
            self._known[x, y] = not any(is_stored(self._dataset, x, y, band) for band in self._bands)
        return self._known[x, y]


def is_stored(dataset: Any, x: int, y: int, band: int) -> bool:
    """Whether a block of a TIFF was written."""
    return dataset.get_tag_item(f'BLOCK_OFFSET_{x}_{y}', 'TIFF', bidx=band) is not None


def place_of(dataset: Any, band: int) -> Georeference:
    """Where an open dataset lies; ``band`` (from 1) is the one whose nodata value counts."""
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
