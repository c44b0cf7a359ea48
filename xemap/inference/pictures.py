"""Pictures of a result: the image with outlines, the map, and the maps of parts or levels beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import shapely

from xemap.inference.result import Result
from xemap.raster.raster import Raster
from xemap.raster.resize import fit_size
from xemap.visualization import query_panel, scale_polygons

SIDE, SIDE_OF_SEVERAL = 768, 448
"""Longer side of each image in a picture of one map, and of several, pixels."""


def draw_pictures(raster: Raster, result: Result, parts: Mapping[str, Sequence[str]]) -> list[np.ndarray]:
    """A picture of each query: image with the outlines of its regions, its map, and maps to compare it with.

    Args:
        raster: the image.
        result: its result; the sub-maps of its ``levels`` are drawn where it has them.
        parts: to a query others of ``result.queries`` whose maps stand beside its own (paper Fig. 7).

    Returns:
        Q pictures, (h, w, 3) uint8 RGB.
    """
    image = raster.read(None, fit_size(raster.size, SIDE)).rgb
    pictures = []
    for i, text in enumerate(result.queries):
        chosen = {part: result.queries.index(part) for part in parts.get(text, ())}
        beside = {_caption(part, result, k): result.shown_map(k, SIDE) for part, k in chosen.items()}
        for number, level in enumerate(result.levels or (), start=1):
            beside[f'level {number}'] = level.maps(fit_size(level.size, SIDE))[i]
        name = _caption('whole' if beside else 'prediction', result, i)
        maps = {name: result.shown_map(i, SIDE), **beside}
        rings = [
            np.asarray(ring.coords) - 0.5  # drawings have integers at the centers of pixels
            for region in (result.regions[i] if result.regions else ())
            for ring in shapely.get_rings(region.polygon)
        ]
        outlines = scale_polygons(rings, raster.size, image.shape[:2])
        side = SIDE_OF_SEVERAL if beside else SIDE
        pictures.append(query_panel(image, text, maps, polygons=outlines, max_side=side))
    return pictures


def _caption(name: str, result: Result, query: int) -> str:
    return name if result.box_answers is None else f'{name}: box, score {result.box_answers.scores[query]:.2f}'
