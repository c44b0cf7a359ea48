"""An inferencer whose pictures show the parts of multi-hop queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xemap.inference.writers import small_map
from xemap.language.decompose import Part
from xemap.raster.raster_file import open_raster
from xemap.visualization import scale_polygons
from xemap.visualization.parts import PICTURE_SIDE, parts_picture


class PartsInferencer:
    """An inferencer whose pictures of multi-hop queries show the parts too.

    Args:
        inferencer: see :class:`~xemap.inference.XeMapInferencer`; is given queries and parts alike.
        parts: of the multi-hop queries, see :func:`~xemap.language.decompose.whole_and_parts`.
    """

    def __init__(self, inferencer: Any, parts: Mapping[str, Sequence[Part]]) -> None:
        self.inferencer, self.parts = inferencer, parts

    def __call__(self, image: Any, queries: Sequence[str], **options: Any) -> Any:
        """As the inferencer; ``queries`` hold the parts, as :func:`whole_and_parts` returns them."""
        from xemap.raster.resize import fit_size

        result = self.inferencer(image, queries, **options)
        if result.pictures is None:
            return result
        with open_raster(image, options.get('bands'), options.get('stretch')) as raster:
            rgb = raster.read(None, fit_size(raster.size, PICTURE_SIDE)).rgb
        maps = {text: small_map(result.store, i, PICTURE_SIDE) for i, text in enumerate(result.queries)}
        for query, parts in self.parts.items():
            shown = {part.text: maps[part.text] for part in parts}
            i = result.queries.index(query)
            rings = [
                np.asarray(ring.coords) - 0.5  # drawings have integers at the centers of pixels
                for region in (result.regions[i] if result.regions else ())
                for ring in (region.polygon.exterior, *region.polygon.interiors)
            ]
            outlines = scale_polygons(rings, result.store.size, rgb.shape[:2])
            result.pictures[i] = parts_picture(rgb, query, maps[query], shown, outlines)
        return result
