"""Segmentation masks as images: RGB, indexed, or class numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xemap.errors import ConfigError, DataError
from xemap.preparation.converters.base import Converter, Instance, Item
from xemap.preparation.converters.class_table import ClassTable
from xemap.preparation.converters.geometry import count_components
from xemap.preparation.converters.images import find_images, relative_name
from xemap.preparation.converters.masks import MIN_AREA, class_pixels, load_mask
from xemap.structures import MaskRegion


class ColorMasksConverter(Converter):
    """A folder of images and a folder of masks with the same stems.

    A query's region is every pixel of its class; its referents are the 8-connected parts of at
    least ``min_area``.

    Args:
        data_root: see :class:`Converter`.
        images, masks: folders, relative to the data root; searched with their subfolders.
        classes: the class table, see :class:`ClassTable`.
        mask_suffix: what a mask's stem has after the image's, such as ``_label``.
        tolerance: see :meth:`ClassTable.classes`.
        min_area: see :class:`Converter`.
        **options: see :class:`Converter`. To rename, join or drop classes, edit the class table.
    """

    def __init__(
        self,
        data_root: str | Path,
        images: str | Path,
        masks: str | Path,
        classes: ClassTable,
        *,
        mask_suffix: str = '',
        tolerance: float = 0.0,
        min_area: float = MIN_AREA,
        **options: Any,
    ) -> None:
        super().__init__(data_root, min_area=min_area, **options)
        self.images = self.data_root / images
        self.masks = self.data_root / masks
        if self.images.resolve() == self.masks.resolve() and not mask_suffix:
            raise ConfigError(f'images and masks are both {self.images}; give two folders, or --mask-suffix')
        if tolerance < 0 or tolerance and not classes.by_color:
            raise ConfigError(f'tolerance {tolerance}; it is a distance between colours, for tables of colours')
        self.classes = classes
        self.mask_suffix = mask_suffix
        self.tolerance = tolerance

    def items(self) -> list[Item]:
        images, masks = find_images(self.images, self.bad), find_images(self.masks, self.bad)
        if self.images.resolve() == self.masks.resolve():
            images = {stem: path for stem, path in images.items() if not stem.endswith(self.mask_suffix)}
            masks = {stem: path for stem, path in masks.items() if stem.endswith(self.mask_suffix)}
        items = []
        for stem, path in images.items():
            mask = masks.pop(stem + self.mask_suffix, None)
            if mask is None:
                expected = self.masks / f'{stem}{self.mask_suffix}.*'
                self.bad(DataError(f'image {path} has no mask {expected}; add it or remove the image'), 'bad_images')
                continue
            items.append(Item(path, relative_name(path, self.data_root), mask))
        for mask in masks.values():
            self.bad(DataError(f'mask {mask} has no image in {self.images}; add it or remove the mask'), 'bad_images')
        return items

    def instances(self, item: Item, size: tuple[int, int]) -> Iterator[Instance]:
        path: Path = item.annotation
        mask = load_mask(path, item.image, size)
        for name, pixels in class_pixels(mask, self.classes, str(path), self.report, self.tolerance):
            count = count_components(pixels, self.min_area * pixels.size)
            yield Instance(name, MaskRegion.from_mask(pixels), count)
