"""The skeleton of every converter: images with annotated instances become images with queries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from xemap.errors import ConfigError, DataError, LayoutError
from xemap.preparation.converters.geometry import as_polygon, clip_polygon, region_area, unite
from xemap.preparation.converters.images import check_whole
from xemap.preparation.converters.phrases import PhraseTable
from xemap.preparation.converters.report import ConversionReport
from xemap.raster.image_io import image_size, read_image
from xemap.structures import ImageRecord, PolygonRegion, Query, Region

if TYPE_CHECKING:
    from xemap.preparation.expressions import ExpressionGenerator


@dataclass(frozen=True)
class Item:
    """An image that a source lists, before its annotation is looked at closely.

    Args:
        image: path of the image file.
        name: the same relative to the data root, ``/`` as separator.
        annotation: whatever the converter needs to make the instances.
        split: where the source itself puts the image; None = it has no opinion.
    """

    image: Path
    name: str
    annotation: Any
    split: str | None = None


@dataclass(frozen=True)
class Instance:
    """One annotated object, or all regions of a class in a mask.

    Args:
        category: class name as the source gives it.
        region: where it lies, inside the image.
        count: number of objects it stands for; None = several, number unknown.
    """

    category: str
    region: Region
    count: int | None = 1


class Converter(ABC):
    """Makes one query of each category in an image. A source implements :meth:`items`, which lists
    its images cheaply, and :meth:`instances`, which reads one image's annotation; or, where it has
    expressions of its own, :meth:`queries`.

    Args:
        data_root: folder that image paths in the annotation file are relative to.
        phrases: wording of the queries.
        source: name of the data set; None = name of the data root.
        min_area: a category whose region in an image is a smaller share of it makes no query.
        category_map: new name by class name of the source; an empty name drops the class.
        skip_bad: count and leave out what is wrong instead of failing at the first; a
            :class:`~xemap.errors.LayoutError` is never skipped.
        expressions: makes further queries of the same labels, where they are :attr:`complete`; None = none.
    """

    true_color: ClassVar[bool] = True
    """Colours in the images are what people see, so that expressions may name them."""
    complete: ClassVar[bool] = True
    """Every object of a labelled class is labelled, so that "the largest car" can be known."""

    def __init__(
        self,
        data_root: str | Path,
        *,
        phrases: PhraseTable | None = None,
        source: str | None = None,
        min_area: float = 0.0,
        category_map: dict[str, str] | None = None,
        skip_bad: bool = False,
        expressions: ExpressionGenerator | None = None,
    ) -> None:
        self.data_root = Path(data_root)
        if not self.data_root.is_dir():
            raise DataError(f'data root {self.data_root} is no folder; give the folder that holds images and labels')
        if not 0 <= min_area < 1:
            raise ConfigError(f'min_area {min_area}; give a share of the image, at least 0 and below 1')
        self.phrases = phrases or PhraseTable()
        self.min_area = min_area
        self.category_map = category_map or {}
        self.skip_bad = skip_bad
        self.expressions = expressions
        self.report = ConversionReport(source or self.data_root.resolve().name)
        self._categories_seen: set[str] = set()

    @abstractmethod
    def items(self) -> list[Item]:
        """All images of the source, without opening image or mask files.

        Raises:
            DataError: the source's files are missing or of another make.
        """

    def instances(self, item: Item, size: tuple[int, int]) -> Iterable[Instance]:
        """Annotated objects of an image, for the queries of their categories.

        Every converter overrides this, or :meth:`queries` where its source has sentences of its own.

        Args:
            item: one of :meth:`items`.
            size: (height, width) of the image file.

        Raises:
            DataError: the annotation is wrong, or does not belong to the image.
        """
        raise NotImplementedError(f'{type(self).__name__} has neither instances nor queries of its own')

    def queries(self, item: Item, size: tuple[int, int]) -> list[Query]:
        """Queries of an image: here one a category of its :meth:`instances`, and the expressions.

        Args:
            item: one of :meth:`items`.
            size: (height, width) of the image file.

        Raises:
            DataError: the annotation is wrong, or does not belong to the image.
        """
        by_category: dict[str, list[Instance]] = {}
        for instance in self.instances(item, size):
            self._categories_seen.add(instance.category)
            category = self.category_map.get(instance.category, instance.category)
            if category:
                by_category.setdefault(category, []).append(instance)
            else:
                self.report.count('categories_dropped', f'{item.name}: {instance.category}')
        queries = []
        for category, members in sorted(by_category.items()):
            query = self._query(item, size, category, members)
            if query is not None:
                queries.append(query)
        if self.expressions is not None and self.complete:
            named = [replace(member, category=name) for name, members in by_category.items() for member in members]
            queries += self.expressions.queries(named, size, item.name, self._pixels(item))
        return queries

    def _pixels(self, item: Item) -> Callable[[], np.ndarray] | None:
        return (lambda: read_image(item.image)) if self.true_color else None

    def item_size(self, item: Item) -> tuple[int, int]:
        """(height, width) of the image file, which :meth:`queries` may still have to make.

        Raises:
            DataError: the file is missing, unreadable or cut off.
        """
        size = image_size(item.image)
        check_whole(item.image)
        return size

    def record(self, item: Item) -> ImageRecord | None:
        """The image with its queries; None where it has none, or where it is bad and ``skip_bad``.

        Raises:
            DataError: image or annotation is bad, and not ``skip_bad``.
        """
        try:
            size = self.item_size(item)
            queries = self.queries(item, size)
        except DataError as error:
            self.bad(error, 'bad_images')
            return None
        if not queries:
            self.report.count('images_without_queries', item.name)
            return None
        return ImageRecord(item.name, size[1], size[0], self.report.source, queries)

    def _query(self, item: Item, size: tuple[int, int], category: str, members: list[Instance]) -> Query | None:
        region = unite([member.region for member in members], size)
        if self.min_area:
            share = region_area(region, size) / (size[0] * size[1])
            if share < self.min_area:
                self.report.count('queries_too_small', f'{item.name}: {category} ({share:.2g} of the image)')
                return None
        referents: int | None = 0
        for member in members:
            referents = None if referents is None or member.count is None else referents + member.count
        text = self.phrases.text(category, referents, item.name)
        return Query(text, region, category=category, kind='one-hop', hops=1, referents=referents)

    def polygon_instance(
        self, category: str, polygons: Iterable[Any], size: tuple[int, int], where: str
    ) -> Instance | None:
        """An object outlined by one or more polygons, clipped to the image.

        Args:
            category: its class name.
            polygons: each (V, 2) x, y pixels, or a flat list.
            size: (height, width) of the image.
            where: file and line or object, for errors and the report.

        Returns:
            None where nothing of it lies in the image, or it has no area.

        Raises:
            DataError: a polygon is not one (see :func:`as_polygon`), and not ``skip_bad``.
        """
        parts: list[np.ndarray] = []
        for points in polygons:
            try:
                polygon = as_polygon(points)
            except DataError as error:
                self.bad(DataError(f'{where}: {error}'), 'bad_annotations')
                continue
            clipped = clip_polygon(polygon, size)
            if not clipped:
                self.report.count('polygons_outside', where)
            elif not (len(clipped) == 1 and clipped[0] is polygon):
                self.report.count('polygons_clipped', where)
            parts += clipped
        if not parts:
            return None
        region = PolygonRegion(parts)
        if region_area(region, size) < 1:
            self.report.count('objects_too_small', where)
            return None
        return Instance(category, region)

    def bad(self, error: DataError, reason: str) -> None:
        """Raise an error of the data, or count it under ``reason`` where ``skip_bad``."""
        if not self.skip_bad or isinstance(error, LayoutError):
            raise error
        self.report.count(reason, str(error))

    def check_category_map(self) -> None:
        """After all records are made: every class that the map names was there.

        Raises:
            ConfigError: one was not, so it is most likely misspelt.
        """
        unknown = sorted(set(self.category_map) - self._categories_seen)
        if unknown:
            seen = ', '.join(sorted(self._categories_seen)) or 'none'
            raise ConfigError(f'--map names category {unknown[0]!r}, which no annotation has; there are: {seen}')
