"""DIOR and DIOR-R: upright or oriented boxes of 20 categories."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from xemap.errors import ConfigError, DataError, LayoutError
from xemap.preparation.converters.base import Item
from xemap.preparation.converters.reading import check_size, numbered_lines
from xemap.preparation.converters.source import SourceConverter
from xemap.preparation.converters.splits import SplitRule
from xemap.preparation.converters.voc import dior_category, read_voc
from xemap.preparation.instance import Instance

BOXES = {
    'oriented': ('Oriented Bounding Boxes', 'robndbox'),
    'horizontal': ('Horizontal Bounding Boxes', 'bndbox'),
}
"""Folder and XML element of each kind."""
TABLE_1 = {'train': 8000, 'val': 3725}
"""Images that the paper's Table 1 gives."""


class DiorConverter(SourceConverter):
    """DIOR-R or DIOR, boxes of 20 categories.

    Layout: ``ImageSets/Main/{train,val}.txt`` (image ids, one per line), ``JPEGImages-trainval/<id>.jpg`` and
    ``Annotations/{Oriented,Horizontal} Bounding Boxes/<id>.xml``.

    The paper has 8000 training and 3725 validation images, together the 11725 of the official train and
    val lists (5862 and 5863). It does not say how it divides them; that it takes all of them is inferred
    from the counts. By default they are divided in this proportion by a hash of their ids and ``split_seed``.

    Args:
        data_root: see :class:`SourceConverter`.
        folder: see :class:`SourceConverter`.
        boxes: ``'oriented'`` (DIOR-R) or ``'horizontal'`` (DIOR).
        official_split: divide as the lists do.
        split_seed: another seed, another division.
        images: folder of the images, relative to the source's.
        options: those of :class:`~xemap.preparation.converters.Converter`.

    Raises:
        ConfigError: boxes of another kind.
    """

    name = 'dior'
    default_folder = 'DIOR'

    def __init__(
        self,
        data_root: str | Path,
        folder: str | Path | None = None,
        *,
        boxes: Literal['oriented', 'horizontal'] = 'oriented',
        official_split: bool = False,
        split_seed: int = 0,
        images: str = 'JPEGImages-trainval',
        **options: Any,
    ) -> None:
        super().__init__(data_root, folder, **options)
        if boxes not in BOXES:
            raise ConfigError(f'{self.name}: boxes {boxes!r}; give one of {", ".join(BOXES)}')
        annotations, self.box = BOXES[boxes]
        self.annotations = self.folder / 'Annotations' / annotations
        self.images = self.folder / images
        self.official_split = official_split
        self.split_seed = split_seed

    def items(self) -> list[Item]:
        image_of, annotation_of = self.files(self.images), self.files(self.annotations, ('.xml',))
        split_of = self.listed_ids()
        for key, path in image_of.items():
            if key not in split_of and key in annotation_of:
                self.report.count('images_in_no_split', str(path))
            elif key not in split_of:
                error = DataError(f'{path} has no annotation in {self.annotations}, and no list names it; remove it')
                self.bad(error, 'images_not_annotated')
        items = []
        for split, key in sorted((split, key) for key, split in split_of.items()):
            if key not in image_of:
                error = DataError(f'{self.name}: image {key!r} of the lists is not in {self.images}; copy it')
                self.bad(error, 'annotations_without_image')
            elif key not in annotation_of:
                error = DataError(f'{image_of[key]} has no annotation in {self.annotations}; copy it')
                self.bad(error, 'images_not_annotated')
            else:
                items.append(self.item(image_of[key], annotation_of[key], split))
        return items

    def instances(self, item: Item, size: tuple[int, int]) -> Iterator[Instance | None]:
        annotation = read_voc(item.annotation, self.box)
        check_size(annotation.size, size, item.image, str(item.annotation))
        for member in annotation.objects:
            try:
                category = dior_category(member.category, member.where)
            except DataError as error:
                self.bad(error, 'labels_unknown')
                continue
            yield self.polygon_instance(category, [member.polygon], size, member.where)

    def listed_ids(self) -> dict[str, str]:
        """The split of each image id of the official lists, divided anew unless ``official_split``."""
        split_of: dict[str, str] = {}
        for split in TABLE_1:
            file = self.folder / f'ImageSets/Main/{split}.txt'
            lines = numbered_lines(file)
            if not lines:
                self.bad(DataError(f'{file} is empty; copy it again'), 'lists_empty')
            for number, line in lines:
                if not re.fullmatch(r'[\w-]+', line):
                    raise LayoutError(f"{file} line {number}: {line!r} is no image id; DIOR's lists give one per line")
                if line in split_of:
                    error = DataError(f'{file} line {number}: image {line!r} is listed twice; remove one')
                    self.bad(error, 'images_duplicated')
                else:
                    split_of[line] = split
        if self.official_split or len(split_of) < 2:
            return split_of
        share = TABLE_1['val'] / sum(TABLE_1.values())
        return SplitRule('train', {'val': share}, seed=self.split_seed).assign(sorted(split_of))
