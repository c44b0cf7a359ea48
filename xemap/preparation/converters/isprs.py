"""ISPRS Potsdam and Vaihingen: large orthophotos of two German towns with masks of six classes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

from xemap.errors import LayoutError
from xemap.preparation.converters.base import Item
from xemap.preparation.converters.mask_source import Labels, TileSource

COLORS = {
    '#FFFFFF': 'impervious surface',
    '#0000FF': 'building',
    '#00FFFF': 'low vegetation',
    '#00FF00': 'tree',
    '#FFFF00': 'car',
    '#FF0000': 'clutter',
    '#000000': None,  # the boundaries between objects, in the labels called noBoundary
}
IDS = {0: None, **dict(enumerate((name for name in COLORS.values() if name), 1))}
"""Class numbers in the crops that mmsegmentation's converters make: 0 boundary, then the classes in the order above."""
ANY_COLOR = 442.0
"""A tolerance above the distance of black and white."""
CROP_FOLDERS = (('img_dir', 'ann_dir'), ('img', 'ann_ids'))
"""Images and masks where the source lies as crops with ids."""


class IsprsConverter(TileSource):
    """Tiles with color-coded labels, cut into crops of 512; or crops with class numbers, as they are.

    Crops with numbers lie in ``img_dir`` and ``ann_dir``, or ``img`` and ``ann_ids``, with or without subfolders,
    and are called ``<tile>_<x0>_<y0>_<x1>_<y1>.png``. The division is the official one by tile, as
    mmsegmentation lists it.

    Args:
        data_root, folder: see :class:`SourceConverter`.
        images: folder of the tiles, relative to the source's folder; None = the published one.
        labels: folder of their labels, with boundaries or without (``…_noBoundary.tif``); None = the published
            one of complete labels.
        options: see :class:`TileSource`.
    """

    no_query = frozenset({'clutter'})
    images_folder: ClassVar[str]
    labels_folders: ClassVar[tuple[str, ...]]
    """The first that exists is used."""
    image_name: ClassVar[str]
    label_name: ClassVar[str]
    crop_name: ClassVar[str]
    """Patterns of stems; the first group is the tile."""
    train_tiles: ClassVar[frozenset[str]]
    off_colors: ClassVar[frozenset[str]] = frozenset()
    """Tiles whose label colors are not quite the documented ones: the nearest class is taken."""

    def __init__(
        self,
        data_root: str | Path,
        folder: str | Path | None = None,
        *,
        images: str | Path | None = None,
        labels: str | Path | None = None,
        **options: Any,
    ) -> None:
        root = Path(data_root) / (folder or self.default_folder)
        folders = [(root / first, root / second) for first, second in CROP_FOLDERS]
        self.ready_crops = next((pair for pair in folders if pair[0].is_dir()), None) if images is None else None
        self.classes = IDS if self.ready_crops else COLORS
        super().__init__(data_root, folder, **options)
        published = next((name for name in self.labels_folders if (root / name).is_dir()), self.labels_folders[0])
        self.images, self.labels = root / (images or self.images_folder), root / (labels or published)

    def items(self) -> list[Item]:
        if self.ready_crops:
            images, masks = (self._files(folder, self.crop_name, '{tile}/{stem}') for folder in self.ready_crops)
            return [
                self.item(image, Labels(image, mask), self._split(key.split('/')[0]))
                for key, image, mask in self.pairs(images, masks, 'mask')
            ]
        images = self._files(self.images, self.image_name, '{tile}')
        masks = self._files(self.labels, self.label_name, '{tile}')
        items: list[Item] = []
        for tile, image, mask in self.pairs(images, masks, 'mask'):
            tolerance = ANY_COLOR if tile in self.off_colors else 0.0
            items += self.crop_items(Labels(image, mask, tolerance=tolerance), self._split(tile))
        return items

    def _files(self, folder: Path, pattern: str, key: str) -> dict[str, Path]:
        """Files by ``key``, which is made of their tile and stem."""

        def key_of(path: Path) -> str:
            match = re.fullmatch(pattern, path.stem)
            if match is None:
                raise LayoutError(f'{path} is not named {pattern}; put only the files of one kind into {path.parent}')
            return key.format(tile=match.group(1), stem=path.stem)

        return self.files(folder, key=key_of)

    def _split(self, tile: str) -> str:
        return 'train' if tile in self.train_tiles else 'val'


class PotsdamConverter(IsprsConverter):
    """ISPRS Potsdam, masks of six classes.

    Layout: ``2_Ortho_RGB/top_potsdam_2_10_RGB.tif`` and ``5_Labels_all/top_potsdam_2_10_label.tif``: 38 tiles of
    6000 x 6000 pixels at 5 cm, 24 of them for training.
    """

    name = 'potsdam'
    default_folder = 'potsdam'
    images_folder = '2_Ortho_RGB'
    labels_folders = ('5_Labels_all', '5_Labels_all_noBoundary')
    image_name = r'top_potsdam_(\d+_\d+)_RGB'
    label_name = r'top_potsdam_(\d+_\d+)_label(?:_noBoundary)?'
    crop_name = r'(\d+_\d+)_\d+_\d+_\d+_\d+'
    train_tiles = frozenset(
        [*(f'{row}_{column}' for row in range(2, 8) for column in (10, 11, 12))]
        + [*(f'{row}_{column}' for row in (6, 7) for column in (7, 8, 9))]
    )
    off_colors = frozenset({'4_12'})


class VaihingenConverter(IsprsConverter):
    """ISPRS Vaihingen, masks of six classes.

    Layout: ``top/top_mosaic_09cm_area1.tif`` and labels of the same name: 33 tiles of about 2000 x 2500 pixels at
    9 cm, 16 of them for training. The images show infrared, red and green as red, green and blue.
    """

    name = 'vaihingen'
    default_folder = 'vaihingen'
    true_color = False
    images_folder = 'top'
    labels_folders = ('ISPRS_semantic_labeling_Vaihingen_ground_truth_COMPLETE', 'gts_for_participants')
    image_name = r'top_mosaic_09cm_area(\d+)'
    label_name = r'top_mosaic_09cm_area(\d+)(?:_noBoundary)?'
    crop_name = r'area(\d+)_\d+_\d+_\d+_\d+'
    train_tiles = frozenset(map(str, (1, 3, 5, 7, 11, 13, 15, 17, 21, 23, 26, 28, 30, 32, 34, 37)))
