"""DOTA v2.0: oriented boxes of 18 categories in images of up to 29200 pixels per side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xemap.errors import ConfigError, DataError, LayoutError
from xemap.language.nouns import category_words
from xemap.preparation.converters.base import Item
from xemap.preparation.converters.crops import CropWriter, Window, crop_windows
from xemap.preparation.converters.reading import numbered_lines
from xemap.preparation.converters.source import SourceConverter
from xemap.preparation.geometry import as_polygon, clip_polygon, region_area
from xemap.preparation.instance import Instance
from xemap.raster.image_io import image_size
from xemap.structures import PolygonRegion, Query

SPLITS = ('train', 'val')
LABELS = ('labelTxt-v2.0/DOTA-v2.0_{split}', 'labelTxt-v2.0', 'labelTxt')
"""Folders of the label files below that of a split; the first that is there counts."""
HEADER = ('imagesource:', 'gsd:')
FIELDS = 9
"""Fields in a line: eight coordinates and the category, then the flag "difficult" in most files."""
CATEGORIES = frozenset(
    (
        'plane',
        'ship',
        'storage tank',
        'baseball diamond',
        'tennis court',
        'basketball court',
        'ground track field',
        'harbor',
        'bridge',
        'large vehicle',
        'small vehicle',
        'helicopter',
        'roundabout',
        'soccer ball field',
        'swimming pool',
        'container crane',
        'airport',
        'helipad',
    )
)


@dataclass(frozen=True)
class DotaCrop:
    """What a crop shows.

    Args:
        image: the whole image.
        size: (height, width) of it.
        window: the part of it.
        writer: writer of the crop's file.
    """

    image: Path
    size: tuple[int, int]
    window: Window
    writer: CropWriter


@dataclass(frozen=True)
class DotaLabels:
    """Annotation of an :class:`Item`: labels of an image, and which crop of it the item is.

    Args:
        file: the label file.
        crop: the crop; None where the item is the whole image.
    """

    file: Path
    crop: DotaCrop | None = None


class DotaConverter(SourceConverter):
    """DOTA v2.0, oriented boxes of 18 categories.

    Layout: ``{train,val}/images/*.png`` and, beside ``images``, one label file per image in ``labelTxt``,
    ``labelTxt-v2.0`` or ``labelTxt-v2.0/DOTA-v2.0_{train,val}``.

    A line with fewer than nine fields describes no object: two of a header (image source, meters a pixel)
    are usual, any other is counted. Objects marked as difficult are referents like others.

    With ``crop_size``, an image that is longer is cut into crops of that size which cover all of it, in the
    last column and row overlapping. An object belongs to every crop in which at least ``min_visible`` of its
    area lies, clipped to it. Only crops with a query are written.

    Args:
        data_root: see :class:`SourceConverter`.
        folder: see :class:`SourceConverter`.
        crop_size: side of the crops in pixels; None = whole images.
        crops: folder of the crops, relative to the data root; None = ``crops/dota``.
        min_visible: share of an object's area inside the image, above 0 and at most 1.
        options: those of :class:`~xemap.preparation.converters.Converter`.

    Raises:
        ConfigError: a size or share out of its range.
    """

    name = 'dota'
    default_folder = 'DOTA'

    def __init__(
        self,
        data_root: str | Path,
        folder: str | Path | None = None,
        *,
        crop_size: int | None = None,
        crops: str | Path | None = None,
        min_visible: float = 0.3,
        **options: Any,
    ) -> None:
        super().__init__(data_root, folder, **options)
        if not 0 < min_visible <= 1:
            raise ConfigError(f'{self.name}: min_visible {min_visible}; give a share above 0 and at most 1')
        self.min_visible = min_visible
        self._writers: dict[str, CropWriter] = {}
        if crop_size is not None:
            target = self.data_root / (crops or f'crops/{self.name}')
            self._writers = {split: CropWriter(target / split, crop_size) for split in SPLITS}
        self._parsed: tuple[Path, list[tuple[str, np.ndarray, str]]] | None = None

    def items(self) -> list[Item]:
        items: list[Item] = []
        for split in SPLITS:
            folders = [self.folder / split / labels.format(split=split) for labels in LABELS]
            labels = next((folder for folder in folders if folder.is_dir()), folders[-1])
            images, files = self.files(self.folder / split / 'images'), self.files(labels, ('.txt',))
            for _, image, file in self.pairs(images, files):
                try:
                    items += self._items_of(image, file, split)
                except DataError as error:
                    self.bad(error, 'bad_images')
        return items

    def _items_of(self, image: Path, file: Path, split: str) -> Iterator[Item]:
        writer = self._writers.get(split)
        if writer is not None:
            size = image_size(image)
            if max(size) > writer.size:
                for window in crop_windows(size[1], size[0], writer.size, cover=True):
                    path = writer.folder / writer.name(image, window)
                    yield self.item(path, DotaLabels(file, DotaCrop(image, size, window, writer)), split)
                return
        yield self.item(image, DotaLabels(file), split)

    def item_size(self, item: Item) -> tuple[int, int]:
        crop: DotaCrop | None = item.annotation.crop
        if crop is None:
            return super().item_size(item)
        x0, y0, x1, y1 = crop.window
        return y1 - y0, x1 - x0

    def queries(self, item: Item, size: tuple[int, int]) -> list[Query]:
        queries = super().queries(item, size)
        crop: DotaCrop | None = item.annotation.crop
        if queries and crop is not None:
            crop.writer.write(crop.image, crop.window)
        return queries

    def _pixels(self, item: Item) -> Callable[[], np.ndarray] | None:
        crop: DotaCrop | None = item.annotation.crop
        read = super()._pixels(item)
        if crop is None or read is None:
            return read

        def write_and_read() -> np.ndarray:  # called only where there are objects, so the crop is kept
            crop.writer.write(crop.image, crop.window)
            return read()

        return write_and_read

    def instances(self, item: Item, size: tuple[int, int]) -> Iterator[Instance | None]:
        labels: DotaLabels = item.annotation
        for category, polygon, where in self._objects(labels.file):
            if labels.crop is not None:
                if not self._belongs(polygon, labels.crop, where):
                    continue
                polygon = polygon - labels.crop.window[:2]
            yield self.polygon_instance(category, [polygon], size, where)

    def _belongs(self, polygon: np.ndarray, crop: DotaCrop, where: str) -> bool:
        """Whether enough of an object lies in the crop."""
        x0, y0, x1, y1 = crop.window
        if (polygon.max(axis=0) <= (x0, y0)).any() or (polygon.min(axis=0) >= (x1, y1)).any():
            return False
        visible = _area(polygon - (x0, y0), (y1 - y0, x1 - x0))
        if 0 < visible < self.min_visible * _area(polygon, crop.size):
            self.report.count('objects_cut_off', f'{where}, crop at {x0}, {y0}')
            return False
        return visible > 0

    def _objects(self, file: Path) -> list[tuple[str, np.ndarray, str]]:
        """Category, polygon and line of every object; those of the last file are kept for its other crops."""
        if self._parsed is None or self._parsed[0] != file:
            self._parsed = file, list(self._parse(file))
        return self._parsed[1]

    def _parse(self, file: Path) -> Iterator[tuple[str, np.ndarray, str]]:
        for number, line in numbered_lines(file):
            where, fields = f'{file} line {number}', line.split()
            if len(fields) < FIELDS:
                if not line.startswith(HEADER):
                    self.report.count('lines_skipped', f'{where}: {line}')
                continue
            if len(fields) > FIELDS + 1 or not fields[FIELDS - 1][0].isalpha():
                raise LayoutError(f'{where}: {line!r} is not DOTA: x1 y1 x2 y2 x3 y3 x4 y4 category difficult')
            try:
                points = [float(field) for field in fields[: FIELDS - 1]]
            except ValueError as error:
                raise LayoutError(f'{where}: {line!r} does not begin with eight coordinates') from error
            category = category_words(fields[FIELDS - 1])
            if category not in CATEGORIES:
                self.bad(DataError(f'{where}: category {fields[FIELDS - 1]!r} is none of DOTA v2.0'), 'labels_unknown')
                continue
            if fields[FIELDS:] not in ([], ['0']):
                self.report.count('objects_difficult', where)
            try:
                yield category, as_polygon(points), where
            except DataError as error:
                self.bad(DataError(f'{where}: {error}'), 'bad_annotations')


def _area(polygon: np.ndarray, size: tuple[int, int]) -> float:
    parts = clip_polygon(polygon, size)
    return region_area(PolygonRegion(parts), size) if parts else 0.0
