"""Files of results; each appears under its name only when it is complete."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
import rasterio.shutil
from PIL import Image
from rasterio.windows import Window

from xemap.files import out_of_space, replacing, space_needed, write_text
from xemap.inference.map_store import MapStore
from xemap.inference.vectorize import MapRegion
from xemap.raster.georeference import WGS84, Georeference, areas_m2, place_polygons, target_crs
from xemap.raster.raster_file import GDAL_ERRORS, GDAL_OPTIONS, quiet_about_missing_place

BLOCK = 512

PIXEL_CRS = 'LOCAL_CS["pixels, y down",UNIT["pixel",1],AXIS["X",EAST],AXIS["Y",SOUTH]]'
UNKNOWN_CRS = 'LOCAL_CS["unknown",UNIT["unknown",1],AXIS["X",EAST],AXIS["Y",NORTH]]'
"""Names of coordinates without a CRS; GeoJSON without any name is read as degrees."""


def output_nodata(nodata: float | None, masked: bool) -> float | None:
    """Value that marks pixels without data in a map's file: the image's own, NaN where float32 has none of it."""
    if nodata is not None and abs(nodata) <= float(np.finfo(np.float32).max):
        return float(np.float32(nodata))
    return float('nan') if masked or nodata is not None else None


def write_geotiff(
    path: str | Path, store: MapStore, query: int, georeference: Georeference, masked: bool, tags: dict[str, str]
) -> None:
    """One map as a Cloud-Optimised GeoTIFF, float32, deflated, with overviews.

    Pixels without data get the image's nodata value. A map may have that value too (0, for instance); it is then
    moved to the next float32 towards 0.5.

    Args:
        masked: pixels without data are possible.
        tags: metadata; the value of ``query`` is the band's description too.

    Raises:
        OutOfSpaceError: the disk is full.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = store.size
    nodata = output_nodata(georeference.nodata, masked)
    profile = dict(
        driver='GTiff', dtype='float32', count=1, height=height, width=width, nodata=nodata, BIGTIFF='IF_SAFER',
        crs=georeference.crs, transform=georeference.transform, tiled=height > BLOCK and width > BLOCK,
    )  # fmt: skip
    # The driver's own temporary files go into the folder, and with it.
    with space_needed(path), tempfile.TemporaryDirectory(dir=path.parent, prefix='.xemap') as folder:
        plain, optimised = Path(folder, 'plain.tif'), Path(folder, 'optimised.tif')
        try:
            with rasterio.Env(**GDAL_OPTIONS), quiet_about_missing_place():
                with rasterio.open(plain, 'w', **profile) as dataset:
                    dataset.update_tags(**tags)
                    dataset.set_band_description(1, tags.get('query', ''))
                    for top, rows in store.strips(query, BLOCK):
                        window = Window(0, top, width, len(rows))
                        dataset.write(_with_nodata(rows, nodata), 1, window=window)
                rasterio.shutil.copy(
                    plain, optimised, driver='COG', COMPRESS='DEFLATE', PREDICTOR='YES', BLOCKSIZE=str(BLOCK),
                    OVERVIEW_RESAMPLING='AVERAGE', BIGTIFF='IF_SAFER', NUM_THREADS='ALL_CPUS',
                )  # fmt: skip
        except GDAL_ERRORS as error:  # GDAL does not say why a write failed
            raise out_of_space(path) from error
        os.replace(optimised, path)


def write_npy(path: str | Path, store: MapStore, query: int) -> None:
    """One map as (H, W) float32; NaN where there is no data."""
    with replacing(path) as part, part.open('wb') as file:
        header = {'descr': '<f4', 'fortran_order': False, 'shape': store.size}
        np.lib.format.write_array_header_1_0(file, header)
        for _, rows in store.strips(query):
            file.write(rows.astype('<f4').tobytes())


def write_mask(path: str | Path, mask: np.ndarray) -> None:
    """An (H, W) bool mask as a PNG of 0 and 255."""
    with replacing(path) as part:
        Image.fromarray(mask.view(np.uint8) * 255).save(part)


def write_geojson(
    path: str | Path, regions: Sequence[MapRegion], georeference: Georeference, crs: str, properties: dict[str, Any]
) -> list[dict]:
    """Polygons of one map as GeoJSON.

    Args:
        regions: in pixels, the highest score first.
        crs: see :func:`~xemap.raster.georeference.target_crs`.
        properties: of every feature; ``rank`` (1 = highest score), ``score``, ``area_m2`` (None where the place is
            unknown), ``area_px`` and ``box_px`` are added.

    Returns:
        the features.

    Raises:
        ConfigError, DataError: the CRS is unknown, or not to be had from the image's.
    """
    target, remark = target_crs(georeference, crs)
    outlines = np.array([region.polygon for region in regions], object)
    areas = areas_m2(outlines, georeference)
    placed = place_polygons(outlines, georeference, target)
    features = []
    for i, (region, polygon) in enumerate(zip(regions, placed)):
        own = dict(
            rank=i + 1,
            score=round(region.score, 6),
            area_m2=None if areas is None else round(float(areas[i]), 3),
            area_px=region.pixels,
            box_px=list(region.box),
        )
        geometry = {'type': 'Polygon', 'coordinates': [_points(ring, target) for ring in _rings(polygon)]}
        features.append({'type': 'Feature', 'properties': {**properties, **own}, 'geometry': geometry})
    code = None if target is None else target.to_epsg()
    collection: dict[str, Any] = {'type': 'FeatureCollection'}
    if code != int(WGS84.split(':')[1]):  # without a name it is WGS84, longitude first
        pixels = PIXEL_CRS if georeference.transform is None else UNKNOWN_CRS
        name = pixels if code is None else f'urn:ogc:def:crs:EPSG::{code}'
        collection['crs'] = {'type': 'name', 'properties': {'name': name}}
    collection['coordinates_are'] = str(target) if target is not None else georeference.unit
    if remark:
        collection['remark'] = remark
    head = json.dumps(collection, ensure_ascii=False)[:-1]
    lines = ',\n'.join(json.dumps(feature, ensure_ascii=False) for feature in features)
    write_text(path, f'{head}, "features": [\n{lines}\n]}}\n')
    return features


def small_map(store: MapStore, query: int, max_side: int) -> np.ndarray:
    """A map averaged down so that no side is longer than ``max_side``; 0 where there is no data."""
    step = -(-max(store.size) // max_side)
    if step == 1:
        return np.nan_to_num(store.read(query, 0, store.size[0]))
    width = -(-store.size[1] // step)
    strips = []
    for _, rows in store.strips(query, step * 64):
        size = width, -(-len(rows) // step)
        strips.append(cv2.resize(np.nan_to_num(rows), size, interpolation=cv2.INTER_AREA))
    return np.concatenate(strips)


def _with_nodata(rows: np.ndarray, nodata: float | None) -> np.ndarray:
    if nodata is None or np.isnan(nodata):
        return rows
    beside = max(np.nextafter(np.float32(nodata), np.float32(0.5)), np.finfo(np.float32).tiny, key=abs)
    return np.where(np.isnan(rows), np.float32(nodata), np.where(rows == np.float32(nodata), beside, rows))


def _rings(polygon: Any) -> list[np.ndarray]:
    return [np.asarray(ring.coords) for ring in (polygon.exterior, *polygon.interiors)]


def _points(ring: np.ndarray, crs: Any) -> list[list[float]]:
    """About a tenth of a millimetre."""
    decimals = 4 if crs is None or crs.is_projected else 9
    return np.round(ring, decimals).tolist()


def require_writable(folder: str | Path) -> Path:
    """Make a folder and try it.

    Raises:
        OSError: it cannot be made or written to.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix='.xemap'):
        return folder
