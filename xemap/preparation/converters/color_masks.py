"""Segmentation masks as images: RGB, indexed, or class numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xemap.errors import ConfigError
from xemap.preparation.converters.base import Converter, Item
from xemap.preparation.converters.class_table import ClassTable
from xemap.preparation.converters.masks import MIN_AREA, class_pixels, load_mask
from xemap.preparation.geometry import count_components
from xemap.preparation.instance import Instance
from xemap.structures import MaskRegion


class ColorMasksConverter(Converter):
    """A folder of images and a folder of masks (RGB, indexed, or class numbers) with the same stems.

    A query's region is every pixel of its class; its referents are the 8-connected parts of at
    least ``min_area``. The class table is JSON, ``[{"color": "#3C1098", "name": "building"}, {"color": "#9B9B9B",
    "ignore": true}]``, or CSV with the columns color, name, ignore; ``id`` replaces ``color`` for masks of class
    numbers.

    Args:
        data_root: see :class:`Converter`.
        images: folder of the images, relative to the data root; searched with its subfolders.
        masks: folder of the masks, likewise.
        classes: the class table, a JSON or CSV file (see :class:`ClassTable`).
        mask_suffix: what a mask's stem has after the image's, such as ``_label``.
        tolerance: take an unknown color for the nearest class up to this distance in RGB, and count it; 0 = never.
        **options: see :class:`Converter`. To rename, join or drop classes, edit the class table.
    """

    example = (
        '--data-root data/dubai_seg --images image --masks mask --classes data/dubai_seg/class_table.json '
        "--out data/dubai_seg --val 0.12 --test 0.25 --group-regex 't(\\d+)\\.'"
    )
    least_share = MIN_AREA

    def __init__(
        self,
        data_root: str | Path,
        images: str | Path,
        masks: str | Path,
        classes: str | Path | ClassTable,
        *,
        mask_suffix: str = '',
        tolerance: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(data_root, **options)
        self.images = self.data_root / images
        self.masks = self.data_root / masks
        if self.images.resolve() == self.masks.resolve() and not mask_suffix:
            raise ConfigError(f'images and masks are both {self.images}; give two folders, or --mask-suffix')
        classes = classes if isinstance(classes, ClassTable) else ClassTable(classes)
        if tolerance < 0 or tolerance and not classes.by_color:
            raise ConfigError(f'tolerance {tolerance}; it is a distance between colors, for tables of colors')
        self.classes = classes
        self.mask_suffix = mask_suffix
        self.tolerance = tolerance

    def items(self) -> list[Item]:
        images, masks = self._by_stem(self.images), self._by_stem(self.masks)
        if self.images.resolve() == self.masks.resolve():
            images = {stem: path for stem, path in images.items() if not stem.endswith(self.mask_suffix)}
            masks = {stem: path for stem, path in masks.items() if stem.endswith(self.mask_suffix)}
        mask_stems = {stem + self.mask_suffix: path for stem, path in images.items()}
        return [self.item(image, mask) for _, image, mask in self.pairs(mask_stems, masks, 'mask')]

    def _by_stem(self, folder: Path) -> dict[str, Path]:
        """Images below a folder, by the path in it without suffix."""
        return self.files(folder, key=lambda path: path.relative_to(folder).with_suffix('').as_posix())

    def instances(self, item: Item, size: tuple[int, int]) -> Iterator[Instance]:
        path: Path = item.annotation
        mask = load_mask(path, item.image, size)
        for name, pixels in class_pixels(mask, self.classes, str(path), self.report, self.tolerance):
            count = count_components(pixels, self.min_area * pixels.size)
            yield Instance(name, MaskRegion.from_mask(pixels), count)
