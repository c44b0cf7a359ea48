"""AIR-SLT: 22 large images and 59 expressions, the test set of the SeLo papers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xemap.errors import DataError, LayoutError
from xemap.preparation.converters.base import Item
from xemap.preparation.converters.reading import load_json
from xemap.preparation.converters.source import SourceConverter
from xemap.preparation.converters.verbatim import DrawnImage, Expression, VerbatimConverter

FIELDS = {'caption': str, 'jpg_name': str, 'points': list}


class AirSltConverter(VerbatimConverter, SourceConverter):
    """AIR-SLT, the test set of the SeLo papers.

    Layout: ``annotations/anno.json`` (or ``anno.json``), a list of ``{caption, jpg_name,
    points}``, and the images in ``imgs``; all of it test data.

    A caption is one query with all its polygons. Vertices are kept exactly: the published scores count
    repeated ones.

    Args:
        data_root: see :class:`SourceConverter`.
        folder: see :class:`SourceConverter`.
        options: those of :class:`~xemap.preparation.converters.Converter`.
    """

    name = 'airslt'
    example = '--data-root data --folder airslt --out data/airslt'
    default_folder = 'airslt'

    def items(self) -> list[Item]:
        files = [self.folder / 'annotations/anno.json', self.folder / 'anno.json']
        file = next((file for file in files if file.is_file()), None)
        if file is None:
            raise DataError(f'{self.name}: neither {files[0]} nor {files[1]} exists; copy the annotations there')
        images = self.folder / 'imgs'
        drawn: dict[str, DrawnImage] = {}
        for number, entry in self._entries(file):
            where = f'{file} entry {number}'
            expression = Expression(entry['caption'], entry['points'], where)
            drawn.setdefault(entry['jpg_name'], DrawnImage(where, [])).expressions.append(expression)
        paths = ((images / name, image) for name, image in drawn.items())
        return self.make_items(paths, images, split='test', exclusive=True)

    def _entries(self, file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
        content = load_json(file)
        if not isinstance(content, list):
            raise LayoutError(f'{file} is no list of entries with {", ".join(FIELDS)}; it is not the file of AIR-SLT')
        for number, entry in enumerate(content, 1):
            for field, kind in FIELDS.items():
                if not isinstance(entry, dict) or not isinstance(entry.get(field), kind):
                    raise LayoutError(f'{file} entry {number} has no {kind.__name__} {field!r}; copy the file again')
            yield number, entry
