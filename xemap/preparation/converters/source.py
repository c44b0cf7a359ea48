"""Public data sets in their published folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from xemap.errors import DataError
from xemap.preparation.converters.base import Converter, Item
from xemap.preparation.geometry import region_area
from xemap.preparation.instance import Instance
from xemap.structures import Query


class SourceConverter(Converter):
    """A public data set whose layout, splits and pitfalls are known.

    Items carry the split that the source publishes. What is wrong with one image or object goes through
    :meth:`~xemap.preparation.converters.Converter.bad`; a file of another make than the documented one
    raises :class:`~xemap.errors.LayoutError` with its name and line.

    Args:
        data_root: folder that image paths in the annotation file are relative to.
        folder: where the source lies, relative to the data root; None = its own name.
        options: those of :class:`~xemap.preparation.converters.Converter`.

    Raises:
        DataError: the folder is missing.
    """

    name: ClassVar[str]
    """Name of the source, in annotation files and on the command line."""
    default_folder: ClassVar[str]
    """Where the source is expected below the data root."""
    default_split: ClassVar[str | None] = None
    example = '--data-root data/raw --out data/converted'

    def __init__(self, data_root: str | Path, folder: str | Path | None = None, **options: Any) -> None:
        super().__init__(data_root, **{'source': self.name, **options})
        self.folder = self.data_root / (folder or self.default_folder)
        if not self.folder.is_dir():
            raise DataError(f'{self.name}: folder {self.folder} does not exist; give the folder that holds the source')

    def expression(self, text: str, instance: Instance, item: Item, size: tuple[int, int]) -> Query | None:
        """A query in the source's own words for one object, of unknown kind.

        Returns:
            None where ``category_map`` or ``min_area`` drops it.
        """
        self._categories_seen.add(instance.category)
        category = self.category_map.get(instance.category, instance.category)
        if not category:
            self.report.count('categories_dropped', f'{item.name}: {instance.category}')
            return None
        if self.min_area and region_area(instance.region, size) < self.min_area * size[0] * size[1]:
            self.report.count('queries_too_small', f'{item.name}: {text}')
            return None
        return Query(text, instance.region, category=category, referents=instance.count)
