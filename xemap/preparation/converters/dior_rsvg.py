"""DIOR-RSVG: expressions for single objects in DIOR's images."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from xemap.errors import ConfigError, DataError, LayoutError
from xemap.preparation.converters.base import Item
from xemap.preparation.converters.reading import check_size, checked_text, numbered_lines
from xemap.preparation.converters.source import SourceConverter
from xemap.preparation.converters.voc import VocObject, dior_category, read_voc
from xemap.structures import Query

SPLITS = ('train', 'val', 'test')
DIVISIONS = {
    'released': ('.', {'train': 26991, 'val': 3829, 'test': 7500}),
    'paper': ('RSVGD', {'train': 15328, 'val': 3832, 'test': 19160}),
}
"""Folder of the lists and published number of queries."""
LONGEST_NUMBER = 18
"""Most digits of an object number; Python refuses to read thousands."""


@dataclass(frozen=True)
class Described:
    """Objects of one image that are in one split: the annotation of an :class:`Item`.

    Args:
        objects: in the file's order.
        size: (height, width) that the file states.
        where: the file.
    """

    objects: list[VocObject]
    size: tuple[int, int] | None
    where: str


class DiorRsvgConverter(SourceConverter):
    """DIOR-RSVG, expressions for single objects.

    Layout: ``{train,val,test}.txt``, ``Annotations/*.xml`` and ``JPEGImages/*.jpg``.

    A line of a list is the number of an *object*, counted from 0 over all XML files in the order of their
    paths. So an image may be in several splits, in each with other objects, and one missing file would
    shift the numbers of all objects behind it: the lists must name every object exactly once.

    Two divisions are published. ``released``, 70/10/20 %, comes with the data; ``paper``, 40/10/50 %, is that of the
    paper's results, in the lists of an earlier release (a folder ``RSVGD``). Never test a model of one on the other:
    they are independent draws. Lists with the published numbers of the other division are refused.

    Args:
        data_root: see :class:`SourceConverter`.
        folder: see :class:`SourceConverter`.
        division: the lists of the data ('released') or those of the paper's results ('paper').
        lists: folder of the lists, relative to the source's; its own for 'released' and RSVGD for 'paper' by default.
        options: those of :class:`~xemap.preparation.converters.Converter`.
    """

    name = 'dior_rsvg'
    example = '--data-root data --folder DIOR_RSVG --out data/dior_rsvg'
    from_labels = False
    default_folder = 'DIOR_RSVG'

    def __init__(
        self,
        data_root: str | Path,
        folder: str | Path | None = None,
        *,
        division: Literal['released', 'paper'] = 'released',
        lists: str | None = None,
        **options: Any,
    ) -> None:
        if division not in DIVISIONS:
            raise ConfigError(f'{self.name}: division {division!r}; give one of {", ".join(DIVISIONS)}')
        default, self.published = DIVISIONS[division]
        self.division = division
        super().__init__(data_root, folder, **options)
        self.lists = self.folder / (lists or default)

    def items(self) -> list[Item]:
        split_of = self._listed_objects()
        image_of = self.files(self.folder / 'JPEGImages')
        annotation_of = self.files(self.folder / 'Annotations', ('.xml',))
        items: list[Item] = []
        seen: dict[Path, Path] = {}
        count = 0
        for file in annotation_of.values():
            annotation = read_voc(file)
            by_split: dict[str | None, list[VocObject]] = {}
            for number, member in enumerate(annotation.objects, count):
                by_split.setdefault(split_of.get(number), []).append(member)
            count += len(annotation.objects)
            image = image_of.get(Path(annotation.image or file.name).stem)
            if image is None:
                error = DataError(f'{file}: no image {annotation.image!r} in {self.folder / "JPEGImages"}; copy it')
                self.bad(error, 'annotations_without_image')
                continue
            if seen.setdefault(image, file) is not file:
                error = DataError(f'{seen[image]} and {file} both describe {image}; keep one of them')
                self.bad(error, 'images_duplicated')
                continue
            for split in SPLITS:
                if split in by_split:
                    items.append(self.item(image, Described(by_split[split], annotation.size, str(file)), split))
        if split_of.keys() != set(range(count)):
            raise LayoutError(
                f'{self.lists}: the lists number {len(split_of)} objects up to {max(split_of, default=-1)}, the XML '
                f'files hold {count}, so no number can be trusted; copy both again, complete'
            )
        for image in image_of.values():
            if image not in seen:
                self.bad(DataError(f'{image} has no annotation; copy it'), 'images_not_annotated')
        return items

    def queries(self, item: Item, size: tuple[int, int]) -> list[Query]:
        described: Described = item.annotation
        check_size(described.size, size, item.image, described.where)
        queries = []
        for member in described.objects:
            try:
                text = checked_text(member.text, member.where)
                category = dior_category(member.category, member.where)
            except DataError as error:
                self.bad(error, 'bad_annotations')
                continue
            instance = self.polygon_instance(category, [member.polygon], size, member.where)
            if instance is None:  # the counts of a benchmark must come out
                self.bad(DataError(f'{member.where} has no area in the image; copy the file again'), 'bad_annotations')
            else:
                query = self.expression(text, instance, item, size)
                queries += [query] if query is not None else []
        return queries

    def _listed_objects(self) -> dict[int, str]:
        split_of: dict[int, str] = {}
        for split in SPLITS:
            file = self.lists / f'{split}.txt'
            lines = numbered_lines(file)
            if not lines:
                self.bad(DataError(f'{file} is empty; copy it again'), 'lists_empty')
            for number, line in lines:
                if not line.isdecimal() or len(line) > LONGEST_NUMBER:
                    shown = line if len(line) <= 40 else f'{line[:40]}…'
                    raise LayoutError(f'{file} line {number}: {shown!r} is no object number; give one per line')
                if int(line) in split_of:
                    raise LayoutError(f'{file} line {number}: object {line} is listed twice; copy the lists again')
                split_of[int(line)] = split
        numbers = dict(Counter(split_of.values()))
        for division, (_, published) in DIVISIONS.items():
            if numbers == published and division != self.division:
                raise LayoutError(
                    f'{self.lists}: {" / ".join(map(str, numbers.values()))} objects are the division {division!r}, '
                    f'not {self.division!r}; give its lists, or division={division!r}'
                )
        return split_of
