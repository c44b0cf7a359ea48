"""Files of results; each appears under its name only when it is complete."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from xemap.files import replacing, write_text
from xemap.inference.map_store import MapStore
from xemap.inference.vectorize import MapRegion
from xemap.raster.georeference import WGS84, Georeference, areas_m2, place_polygons, target_crs

PIXEL_CRS = 'LOCAL_CS["pixels, y down",UNIT["pixel",1],AXIS["X",EAST],AXIS["Y",SOUTH]]'
UNKNOWN_CRS = 'LOCAL_CS["unknown",UNIT["unknown",1],AXIS["X",EAST],AXIS["Y",NORTH]]'
"""Names of coordinates without a CRS; GeoJSON without any name is read as degrees."""


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
        properties: properties of every feature; ``rank`` (1 = highest score), ``score``, ``area_m2`` (None where the
            place is unknown), ``area_px`` and ``box_px`` are added.

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
        of_region = dict(
            rank=i + 1,
            score=round(region.score, 6),
            area_m2=None if areas is None else round(float(areas[i]), 3),
            area_px=region.pixels,
            box_px=list(region.box),
        )
        geometry = {'type': 'Polygon', 'coordinates': [_points(ring, target) for ring in _rings(polygon)]}
        features.append({'type': 'Feature', 'properties': {**properties, **of_region}, 'geometry': geometry})
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


def _rings(polygon: Any) -> list[np.ndarray]:
    return [np.asarray(ring.coords) for ring in (polygon.exterior, *polygon.interiors)]


def _points(ring: np.ndarray, crs: Any) -> list[list[float]]:
    """About a tenth of a millimeter."""
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
