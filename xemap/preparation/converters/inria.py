"""Inria Aerial Image Labeling (AerialImage): 180 labeled tiles of five cities with building masks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xemap.errors import LayoutError
from xemap.preparation.converters.base import Item
from xemap.preparation.converters.mask_source import Labels, TileSource
from xemap.preparation.converters.splits import SplitRule

CLASSES = {0: 'background', 255: 'building'}
CITIES = ('austin', 'chicago', 'kitsap', 'tyrol-w', 'vienna')
"""36 tiles each. The cities of the official test set have no masks."""
OFFICIAL_VAL_TILES = 5
"""The tiles 1 to 5 of each city are the official validation set."""
VAL_SHARE = 2 / 180
"""Table 1 of the paper counts 14418 = 178 * 81 and 162 = 2 * 81 crops: two tiles for validation."""


class InriaConverter(TileSource):
    """Inria Aerial Image Labeling, masks of buildings.

    Layout: ``AerialImageDataset/train/images/austin1.tif`` and ``…/train/gt/austin1.tif``: tiles of 5000 x 5000
    pixels, 81 crops of 512 each. A mask holds 0 and 255, in one band or three equal ones.

    Args:
        data_root, folder: see :class:`SourceConverter`; the folder is that which holds ``train``.
        official_split: the tiles 1 to 5 of each city are for validation. By default two tiles are, the first by
            a hash of seed and name, because the paper's counts imply two and do not say which.
        split_seed: another seed, other tiles.
        options: see :class:`TileSource`.
    """

    name = 'inria'
    default_folder = 'AerialImageDataset'
    classes = CLASSES

    def __init__(
        self,
        data_root: str | Path,
        folder: str | Path | None = None,
        *,
        official_split: bool = False,
        split_seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(data_root, folder, **options)
        self.official_split = official_split
        self.rule = SplitRule(fractions={'val': VAL_SHARE}, seed=split_seed)

    def items(self) -> list[Item]:
        pairs = self.pairs(self._tiles('images'), self._tiles('gt'), 'mask')
        tiles = {tile: Labels(image, mask) for tile, image, mask in pairs}
        if self.official_split:
            split_of = {tile: 'val' if _number(tile) <= OFFICIAL_VAL_TILES else 'train' for tile in tiles}
        else:
            split_of = self.rule.assign(list(tiles)) if tiles else {}
        return [item for tile, labels in tiles.items() for item in self.crop_items(labels, split_of[tile])]

    def _tiles(self, part: str) -> Mapping[str, Path]:
        files = self.files(self.folder / 'train' / part)
        for stem, path in files.items():
            if not re.fullmatch(rf'({"|".join(CITIES)})\d+', stem):
                raise LayoutError(f'{path} is no tile of {", ".join(CITIES)}; only train/images and train/gt are used')
        return files


def _number(tile: str) -> int:
    return int(re.sub(r'\D', '', tile))
