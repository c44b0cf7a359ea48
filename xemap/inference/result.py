"""What comes out of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from xemap.errors import ConfigError
from xemap.inference.map_store import MapStore
from xemap.inference.vectorize import MapRegion, region_mask
from xemap.inference.writers import small_map, write_geojson, write_mask, write_npy
from xemap.raster.georeference import Georeference
from xemap.raster.geotiff import BLOCK, write_geotiff
from xemap.structures import Answers, BoxAnswers

FORMATS = ('png', 'tif', 'geojson', 'npy', 'mask')


@dataclass
class Result:
    """Maps of one image, and the outputs that were requested. Lists have an entry for each query.

    Args:
        name: name of the image.
        queries: Q texts.
        store: the maps.
        georeference: the image's.
        masked: whether the image can have pixels without data; maps are NaN there.
        tags: metadata of written maps.
        stretch: values of each band that became 0 and 255; None = 8-bit pixels as they are.
        thresholds: where regions begin, of boxes the least score; None = no regions.
        min_area: pixels of the smallest region.
        regions: those at or above the threshold, the highest score first.
        pictures: (h, w, 3) uint8 RGB, image and map over it.
        box_answers: boxes in pixels of the image, from a localizer that predicts boxes; ``store`` then has the filled
            boxes.
        levels: sub-maps of a head with levels, if requested by ``levels=True``: the answers of each level, the
            finest first, at the model's resolution.
        notes: what the user should know of these answers, one sentence each; empty where there is nothing to say.
    """

    name: str
    queries: list[str]
    store: MapStore
    georeference: Georeference
    masked: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    stretch: list[tuple[float, float]] | None = None
    thresholds: list[float] | None = None
    min_area: float = 0.0
    regions: list[list[MapRegion]] | None = None
    pictures: list[np.ndarray] | None = None
    box_answers: BoxAnswers | None = None
    levels: list[Answers] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def maps(self) -> np.ndarray:
        """(Q, H, W) float32 in [0, 1] at the image's size; NaN where it has no data."""
        return self.store.array()

    @property
    def polygons(self) -> list[list[Any]]:
        """Shapely Polygons of the regions in x, y pixels, (0, 0) the outer corner of the top left pixel."""
        return [[region.polygon for region in regions] for regions in self._computed(self.regions)]

    @property
    def boxes(self) -> list[np.ndarray]:
        """(R, 4) float64 x0, y0, x1, y1 of the regions, in the same pixels."""
        return [
            np.array([r.box for r in regions], np.float64).reshape(-1, 4) for regions in self._computed(self.regions)
        ]

    def mask(self, query: int) -> np.ndarray:
        """Pixels of the regions, (H, W) bool."""
        threshold = self._computed(self.thresholds)[query]
        if self.box_answers is not None:
            return (self.maps[query] > 0) & bool(self._computed(self.regions)[query])
        return region_mask(self.maps[query], threshold, self.min_area)

    def shown_map(self, query: int, max_side: int) -> np.ndarray:
        """A map for pictures, (h, w) float32 in [0, 1] with no side above ``max_side``; a box is filled with its score.

        0 where there is no data.
        """
        map = small_map(self.store, query, max_side)
        return map if self.box_answers is None else map * self.box_answers.scores[query]

    def summary(self, query: int) -> str:
        """What was found, in a few words."""
        regions = self._computed(self.regions)[query]
        if self.box_answers is not None:
            return f'box, score {regions[0].score:.2f}' if regions else 'no box'
        threshold = self._computed(self.thresholds)[query]
        fact = f'{len(regions)} region{"" if len(regions) == 1 else "s"} at or above {threshold:.2f}'
        return f'{fact}, best score {regions[0].score:.2f}' if regions else fact

    def save(self, path: str | Path, query: int, crs: str = 'image') -> None:
        """Write one query's map, picture, mask or polygons, by the suffix: .tif, .npy, .png, .mask.png, .geojson.

        Args:
            crs: the CRS of polygons, ``'image'``, ``'wgs84'`` or a code.

        Raises:
            ConfigError: an unknown suffix, or its output was not requested.
        """
        path, text = Path(path), self.queries[query]
        if path.name.endswith('.mask.png'):
            write_mask(path, self.mask(query))
        elif path.suffix == '.png':
            from xemap.visualization import save_picture

            save_picture(path, self._computed(self.pictures)[query])
        elif path.suffix == '.tif':
            strips, tags = self.store.strips(query, BLOCK), {**self.tags, 'query': text}
            write_geotiff(path, strips, self.store.size, self.georeference, self.masked, tags)
        elif path.suffix == '.npy':
            write_npy(path, self.store, query)
        elif path.suffix == '.geojson':
            threshold = round(self._computed(self.thresholds)[query], 6)
            shared = {'query': text, 'threshold': threshold, 'image': Path(self.name).name, **self.tags}
            write_geojson(path, self._computed(self.regions)[query], self.georeference, crs, shared)
        else:
            raise ConfigError(f'{path.name}: unknown suffix; use .tif, .npy, .png, .mask.png or .geojson')

    @staticmethod
    def _computed(value: Sequence | None) -> Any:
        if value is None:
            raise ConfigError('this was not asked for; call the inferencer with threshold=… or pictures=True')
        return value
