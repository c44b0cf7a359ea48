"""VisDrone-DET: boxes of people and vehicles in drone images."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from xemap.errors import DataError, LayoutError
from xemap.preparation.converters.base import Instance, Item
from xemap.preparation.converters.geometry import box_polygon
from xemap.preparation.converters.images import relative_name
from xemap.preparation.converters.source import SourceConverter, numbered_lines

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
    """``VisDrone2019-DET-{train,val}/{images,annotations}`` as unpacked, one text file an image, one object
    a line: ``left,top,width,height,score,category,truncation,occlusion``, with or without a last comma.

    Boxes of score 0 and those of the categories "ignored regions" and "others" are left out and counted.

    Args:
        data_root: see :class:`SourceConverter`.
        folder: see :class:`SourceConverter`.
        options: of :class:`~xemap.preparation.converters.Converter`.
    """

    name = 'visdrone'
    default_folder = 'VisDrone'
    complete = False  # ignored regions hold people and cars without a label

    def items(self) -> list[Item]:
        items = []
        for split in SPLITS:
            folder = self.folder / f'VisDrone2019-DET-{split}'
            for image, annotation in self.paired_files(folder / 'images', folder / 'annotations', ('.txt',)):
                items.append(Item(image, relative_name(image, self.data_root), annotation, split))
        return items

    def instances(self, item: Item, size: tuple[int, int]) -> Iterator[Instance]:
        file: Path = item.annotation
        for number, line in numbered_lines(file):
            where = f'{file} line {number}'
            left, top, width, height, score, label = _parse(line, where)[:6]
            if not 0 <= label < len(CATEGORIES):
                error = DataError(f'{where}: category {label}; VisDrone has 0 to {len(CATEGORIES) - 1}')
                self.bad(error, 'labels_unknown')
            elif score == 0 or CATEGORIES[label] in IGNORED:
                self.report.count('objects_ignored', f'{where}: {CATEGORIES[label]}, score {score}')
            elif width < 0 or height < 0:
                self.bad(DataError(f'{where}: box of size {width} x {height}; correct the line'), 'bad_annotations')
            else:
                box = box_polygon(left, top, width, height)
                instance = self.polygon_instance(CATEGORIES[label], [box], size, where)
                if instance is not None:
                    yield instance


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
