"""VisDrone-DET: boxes of people and vehicles in drone images."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from xemap.errors import DataError, LayoutError
from xemap.preparation.converters.base import Item
from xemap.preparation.converters.reading import numbered_lines
from xemap.preparation.converters.source import SourceConverter
from xemap.preparation.instance import Instance

SPLITS = ('train', 'val')
FIELDS = 'left,top,width,height,score,category,truncation,occlusion'
CATEGORIES = (
    'ignored regions',
    'pedestrian',
    'people',
    'bicycle',
    'car',
    'van',
    'truck',
    'tricycle',
    'awning tricycle',
    'bus',
    'motor',
    'others',
)
"""By the number in the file."""
IGNORED = ('ignored regions', 'others')


class VisDroneConverter(SourceConverter):
    """VisDrone-DET, boxes of people and vehicles in drone images.

    Layout: ``VisDrone2019-DET-{train,val}/{images,annotations}`` as unpacked, one text file per image, one object per
    line: ``left,top,width,height,score,category,truncation,occlusion``, with or without a last comma.

    Boxes of score 0 and those of the categories "ignored regions" and "others" are left out and counted.

    Args:
        data_root: see :class:`SourceConverter`.
        folder: see :class:`SourceConverter`.
        options: those of :class:`~xemap.preparation.converters.Converter`.
    """

    name = 'visdrone'
    default_folder = 'VisDrone'
    complete = False  # ignored regions hold people and cars without a label

    def items(self) -> list[Item]:
        items = []
        for split in SPLITS:
            folder = self.folder / f'VisDrone2019-DET-{split}'
            images, annotations = self.files(folder / 'images'), self.files(folder / 'annotations', ('.txt',))
            items += [self.item(image, file, split) for _, image, file in self.pairs(images, annotations)]
        return items

    def instances(self, item: Item, size: tuple[int, int]) -> Iterator[Instance | None]:
        file: Path = item.annotation
        for number, line in numbered_lines(file):
            where = f'{file} line {number}'
            left, top, width, height, score, label = _parse(line, where)[:6]
            if not 0 <= label < len(CATEGORIES):
                error = DataError(f'{where}: category {label}; VisDrone has 0 to {len(CATEGORIES) - 1}')
                self.bad(error, 'labels_unknown')
            elif score == 0 or CATEGORIES[label] in IGNORED:
                self.report.count('objects_ignored', f'{where}: {CATEGORIES[label]}, score {score}')
            else:
                yield self.box_instance(CATEGORIES[label], (left, top, width, height), size, where)


def _parse(line: str, where: str) -> list[int]:
    if re.fullmatch(r'\d+(\s+[\d.eE+-]+){4,5}', line):
        raise LayoutError(f"{where}: {line!r} is YOLO text; get VisDrone's own annotations ({FIELDS})")
    fields = line.removesuffix(',').split(',')
    if len(fields) != FIELDS.count(',') + 1:
        raise LayoutError(f'{where}: {len(fields)} fields in {line!r}; VisDrone has {FIELDS}')
    try:
        return [int(field) for field in fields]
    except ValueError as error:
        raise LayoutError(f'{where}: {line!r} are not all whole numbers ({FIELDS})') from error
