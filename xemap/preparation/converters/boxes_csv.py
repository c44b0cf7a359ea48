"""Boxes or polygons in a CSV file, one object a line, as in the Airbus Aircraft data set."""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xemap.errors import DataError
from xemap.preparation.converters.base import Converter, Item
from xemap.preparation.converters.images import IMAGE_SUFFIXES
from xemap.preparation.instance import Instance

MAX_GEOMETRY_CHARACTERS = 100_000
"""A longer geometry is refused before it is parsed: about 8000 vertices."""


class BoxesCsvConverter(Converter):
    """A CSV file with a header line and one box or polygon per line.

    The geometry is a literal list of (x, y) points in pixels, closed or not:
    ``"[(135, 522), (245, 522), (245, 600), (135, 600), (135, 522)]"``. It may run past the border
    of the image, where it is cut.

    Args:
        data_root: see :class:`Converter`.
        annotations: the CSV file, relative to the data root.
        images: folder of the images, relative to the data root.
        image_column: column of the image name.
        geometry_column: column of the points.
        class_column: column of the class name.
        image_suffix: appended to the image names, for files that list them without.
        **options: see :class:`Converter`.
    """

    example = (
        '--data-root data/airbus_aircraft --annotations annotations.csv --images images '
        '--map Truncated_airplane=Airplane --out data/airbus_aircraft --val 0.15'
    )

    def __init__(
        self,
        data_root: str | Path,
        annotations: str | Path,
        images: str | Path,
        *,
        image_column: str = 'image_id',
        geometry_column: str = 'geometry',
        class_column: str = 'class',
        image_suffix: str = '',
        **options: Any,
    ) -> None:
        super().__init__(data_root, **options)
        self.file = self.data_root / annotations
        self.images = self.data_root / images
        self.columns = (image_column, geometry_column, class_column)
        self.image_suffix = image_suffix

    def items(self) -> list[Item]:
        objects: dict[str, list[tuple[int, str, str]]] = {}
        for line, image, geometry, category in self._rows():
            objects.setdefault(image + self.image_suffix, []).append((line, geometry, category))
        if self.images.is_dir():
            for path in sorted(self.images.iterdir()):
                if path.suffix.lower() in IMAGE_SUFFIXES and path.name not in objects:
                    self.report.count('images_not_annotated', path.name)
        return [self.item(self.images / image, rows) for image, rows in sorted(objects.items())]

    def instances(self, item: Item, size: tuple[int, int]) -> Iterator[Instance | None]:
        for line, geometry, category in item.annotation:
            where = f'{self.file} line {line}'
            try:
                points = _parse(geometry)
            except DataError as error:
                self.bad(DataError(f'{where}: {error}'), 'bad_annotations')
                continue
            yield self.polygon_instance(category, [points], size, where)

    def _rows(self) -> Iterator[tuple[int, str, str, str]]:
        """Line number, image, geometry and class of every object."""
        try:
            with self.file.open(newline='', encoding='utf-8-sig') as handle:
                reader = csv.DictReader(handle)
                header = reader.fieldnames or []
                for column in self.columns:
                    if column not in header:
                        raise DataError(
                            f'{self.file} has no column {column!r}; its columns are {", ".join(header) or "none"}; '
                            'name yours with --image-column, --geometry-column and --class-column'
                        )
                for row in reader:
                    image, geometry, category = values = [(row[column] or '').strip() for column in self.columns]
                    if all(values):
                        yield reader.line_num, image, geometry, category
                    else:
                        empty = self.columns[values.index('')]
                        error = DataError(f'{self.file} line {reader.line_num}: {empty} is empty; fill it in')
                        self.bad(error, 'bad_annotations')
        except OSError as error:
            raise DataError(
                f'annotations {self.file} cannot be read ({error.strerror}); check --annotations'
            ) from error
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(f'{self.file} is no UTF-8 CSV file ({error}); export it again') from error


def _parse(geometry: str) -> list:
    shown = geometry if len(geometry) <= 60 else f'{geometry[:60]}…'
    if len(geometry) > MAX_GEOMETRY_CHARACTERS:
        raise DataError(f'geometry of {len(geometry)} characters, {MAX_GEOMETRY_CHARACTERS} are the most; simplify it')
    try:
        points = ast.literal_eval(geometry)  # literals only: nothing in the file is executed
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise DataError(f'geometry {shown!r} is no list of points; give [(x, y), (x, y), (x, y), …]') from error
    if not isinstance(points, (list, tuple)):
        raise DataError(f'geometry {shown!r} is no list of points; give [(x, y), (x, y), (x, y), …]')
    return list(points)
