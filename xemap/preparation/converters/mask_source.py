"""Public data sets of images with class masks, and those of large tiles that are cut into crops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image

from xemap.errors import DataError
from xemap.preparation.converters.base import Item
from xemap.preparation.converters.class_table import ClassTable, LabelError
from xemap.preparation.converters.crops import CropWriter, Window, crop_windows
from xemap.preparation.converters.masks import MIN_AREA, class_pixels, load_mask
from xemap.preparation.converters.source import SourceConverter
from xemap.preparation.geometry import count_components
from xemap.preparation.instance import Instance
from xemap.raster.image_io import image_size
from xemap.structures import ImageRecord, MaskRegion

CROP_SIZE = 512
"""Side of crops in pixels, as the paper's counts imply; also the size it trains at."""


@dataclass(frozen=True)
class Labels:
    """The annotation of an :class:`Item` of these sources.

    Args:
        image: the whole image, also where the item is a crop of it.
        mask: its mask, of the same size.
        window: what of both the item is; None = everything.
        tolerance: distance in RGB up to which an unknown color is the nearest class's.
    """

    image: Path
    mask: Path
    window: Window | None = None
    tolerance: float = 0.0


class MaskSource(SourceConverter):
    """A source with a mask of classes for each image. A query's region is every pixel of its class; how
    many objects these are the source does not say.

    Args:
        data_root, folder: see :class:`SourceConverter`.
        options: those of :class:`~xemap.preparation.converters.Converter`.
    """

    classes: Mapping[int, str | None] | Mapping[str, str | None]
    """Name by number or color in the masks, None = ignore; :attr:`no_query` names make no query."""
    least_share = MIN_AREA

    no_query: ClassVar[frozenset[str]] = frozenset({'background'})
    """Classes that name no thing one could ask for."""

    def __init__(self, data_root: str | Path, folder: str | Path | None = None, **options: Any) -> None:
        super().__init__(data_root, folder, **options)
        self.table = ClassTable(self.name, self.classes)
        self._mask: tuple[Path, Image.Image] | None = None

    def instances(self, item: Item, size: tuple[int, int]) -> Iterator[Instance]:
        labels: Labels = item.annotation
        mask, where = self.mask(labels), str(labels.mask)
        if labels.window is not None:
            mask, where = mask.crop(labels.window), f'{where} crop {labels.window[0]}, {labels.window[1]}'
        for name, pixels in class_pixels(mask, self.table, where, self.report, labels.tolerance):
            if name not in self.no_query:
                count = count_components(pixels, self.min_area * pixels.size)
                yield Instance(name, MaskRegion.from_mask(pixels), count)

    def mask(self, labels: Labels) -> Image.Image:
        """The whole mask; only the last one is kept, for the crops that follow one another.

        Raises:
            DataError: it is missing, unreadable, or of another size than the image.
        """
        if self._mask is None or self._mask[0] != labels.mask:
            self._mask = None  # never two masks at a time
            self._mask = labels.mask, load_mask(labels.mask, labels.image, image_size(labels.image))
        return self._mask[1]

    def bad(self, error: DataError, reason: str) -> None:
        super().bad(error, 'labels_unknown' if isinstance(error, LabelError) else reason)


class TileSource(MaskSource):
    """A source of large tiles: its items are crops, which are written as they are converted.

    Tiles and masks are decoded once each, one at a time.

    Args:
        data_root, folder: see :class:`SourceConverter`.
        crops: folder of the crops, relative to the data root; None = ``crops/<name>``.
        crop_size: side of a crop in pixels. What does not fill a crop at the right and bottom border of a tile
            is left out.
        options: those of :class:`~xemap.preparation.converters.Converter`.
    """

    def __init__(
        self,
        data_root: str | Path,
        folder: str | Path | None = None,
        *,
        crops: str | Path | None = None,
        crop_size: int = CROP_SIZE,
        **options: Any,
    ) -> None:
        super().__init__(data_root, folder, **options)
        self.crops = CropWriter(self.data_root / (crops or f'crops/{self.name}'), crop_size)
        self._broken: set[Path] = set()

    def crop_items(self, labels: Labels, split: str) -> Iterator[Item]:
        """An item for each crop of a tile, of which only the header is read; none where that is bad."""
        try:
            height, width = image_size(labels.image)
            windows = crop_windows(width, height, self.crops.size)
            if not windows:
                size = self.crops.size
                raise DataError(
                    f'tile {labels.image} of {width} x {height} pixels holds no crop of {size}; copy it again'
                )
        except DataError as error:
            self.bad(error, 'bad_images')
            return
        for window in windows:
            crop = self.crops.folder / self.crops.name(labels.image, window)
            yield self.item(crop, replace(labels, window=window), split)

    def record(self, item: Item) -> ImageRecord | None:
        labels: Labels = item.annotation
        if labels.window is not None:
            if labels.image in self._broken:
                return None  # reported with its first crop
            try:
                self.mask(labels)
                self.crops.write(labels.image, labels.window)
            except DataError as error:
                self._broken.add(labels.image)
                self.bad(error, 'bad_images')
                return None
        return super().record(item)
