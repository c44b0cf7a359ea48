"""Where the pixels of an image lie on the ground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.warp import transform

from xemap.errors import ConfigError, DataError

WGS84 = 'EPSG:4326'


@dataclass(frozen=True)
class Georeference:
    """Place of an image.

    Args:
        transform: affine.Affine from pixels (x, y; (0, 0) = outer corner of the top left pixel) to coordinates of
            ``crs``; may turn and shear. None where the image has none.
        crs: rasterio CRS; None where unknown.
        nodata: value that marks pixels without data in the file.
        problem: why there is no full georeference, '' where there is.
    """

    transform: Any = None
    crs: Any = None
    nodata: float | None = None
    problem: str = 'no georeference'

    @property
    def unit(self) -> str:
        """What coordinates of polygons are, in words."""
        if self.transform is None:
            return f'pixels, x to the right, y down, (0, 0) the outer corner of the top left pixel ({self.problem})'
        if self.crs is None:
            return f"units of the image's transform ({self.problem})"
        return str(self.crs)


def target_crs(georeference: Georeference, crs: str = 'image') -> tuple[Any, str]:
    """The CRS in which polygons of an image are written.

    Args:
        crs: ``'image'``, ``'wgs84'``, or anything that rasterio understands, as ``'EPSG:32616'``.

    Returns:
        rasterio CRS, None for the image's own coordinates where they have no CRS; and a remark, mostly ''. A CRS
        without a number cannot be named in GeoJSON; WGS84 is used in its place.

    Raises:
        ConfigError: an unknown CRS.
        DataError: the image has no place on Earth that could be brought to the CRS.
    """
    if crs.lower() == 'image':
        if georeference.transform is None or georeference.crs is None:
            return None, georeference.problem
        if georeference.crs.to_epsg() is None:
            return _parse(
                WGS84
            ), "the image's CRS has no EPSG number and cannot stand in GeoJSON; polygons are in WGS84"
        return georeference.crs, ''
    parsed = parse_crs(crs)
    if georeference.transform is None or georeference.crs is None:
        raise DataError(f'--crs {crs} of an image without place ({georeference.problem}); leave it out')
    return parsed, ''


def parse_crs(crs: str) -> Any:
    """The rasterio CRS of ``'wgs84'`` or of a code.

    Raises:
        ConfigError: it is unknown, or has no EPSG number, by which GeoJSON names a CRS.
    """
    parsed = _parse(WGS84 if crs.lower() == 'wgs84' else crs)
    if parsed.to_epsg() is None:
        raise ConfigError(f'--crs "{crs}" has no EPSG number and cannot stand in GeoJSON; use wgs84')
    return parsed


def place_polygons(polygons: np.ndarray, georeference: Georeference, crs: Any) -> np.ndarray:
    """Polygons in pixels -> coordinates, outer rings counter-clockwise.

    Args:
        polygons: (P,) shapely Polygons.
        crs: as from :func:`target_crs`.

    Raises:
        DataError: a place that ``crs`` does not have.
    """
    if georeference.transform is not None:
        polygons = _transformed(polygons, georeference, crs)
    return np.array([shapely.geometry.polygon.orient(polygon) for polygon in polygons], object)


def areas_m2(polygons: np.ndarray, georeference: Georeference) -> np.ndarray | None:
    """True areas in square meters, measured in an equal-area projection around the polygons.

    Args:
        polygons: (P,) shapely Polygons in pixels.

    Returns:
        (P,) float64; None where the place is unknown.
    """
    if georeference.transform is None or georeference.crs is None or not len(polygons):
        return None
    x0, y0, x1, y1 = shapely.total_bounds(polygons)
    try:
        middle = _transformed(np.array([shapely.Point((x0 + x1) / 2, (y0 + y1) / 2)]), georeference, _parse(WGS84))[0]
        local = _parse(f'+proj=laea +lon_0={middle.x} +lat_0={middle.y} +datum=WGS84 +units=m')
        return shapely.area(_transformed(polygons, georeference, local))
    except DataError:  # a CRS that is not on the Earth
        return None


def _transformed(geometries: np.ndarray, georeference: Georeference, crs: Any) -> np.ndarray:
    a, b, c, d, e, f = tuple(georeference.transform)[:6]
    matrix = np.array([[a, d], [b, e]])
    placed = shapely.transform(geometries, lambda points: points @ matrix + (c, f))
    if crs is None or crs == georeference.crs:
        return placed

    def move(points: np.ndarray) -> np.ndarray:
        try:
            moved = np.array(transform(georeference.crs, crs, points[:, 0], points[:, 1])).T
        except RasterioError as error:
            raise DataError(f'coordinates of {georeference.crs} cannot become those of {crs} ({error})') from error
        if not np.isfinite(moved).all():
            raise DataError(f'coordinates of {georeference.crs} lie outside of {crs}; choose another --crs')
        return moved

    return shapely.transform(placed, move)


def _parse(text: str) -> Any:
    try:
        return CRS.from_user_input(text)
    except CRSError as error:
        raise ConfigError(f'--crs "{text}" is unknown; use image, wgs84 or a code as EPSG:32616') from error
