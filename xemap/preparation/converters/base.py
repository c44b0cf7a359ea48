"""The skeleton of every converter: images with annotated instances become images with queries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from xemap.errors import ConfigError, DataError, LayoutError
from xemap.preparation.converters.images import IMAGE_SUFFIXES, check_whole, relative_name
from xemap.preparation.converters.phrases import PhraseTable
from xemap.preparation.converters.report import ConversionReport
from xemap.preparation.expressions import ExpressionGenerator
from xemap.preparation.geometry import as_polygon, box_polygon, clip_polygon, region_area, unite
from xemap.preparation.instance import Instance
from xemap.raster.image_io import image_size, read_image
from xemap.structures import ImageRecord, PolygonRegion, Query


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


def stem_of(path: Path) -> str:
    """File name without folder and suffix."""
    return path.stem


class Converter(ABC):
    """Makes one query of each category in an image. A source implements :meth:`items`, which lists
    its images cheaply, and :meth:`instances`, which reads one image's annotation; or, where it has
    expressions of its own, :meth:`queries`.

    The arguments of a subclass that are texts, numbers, flags or ``dict[str, str]`` are also those of its
    command line, with the help that its docstring gives (see :mod:`~xemap.preparation.converters.command`).

    Args:
        data_root: folder that image paths in the annotation file are relative to.
        phrases: wording of the queries.
        source: name of the data set; None = name of the data root.
        min_area: a category whose region in an image is a smaller share of it makes no query; None =
            :attr:`least_share`.
        category_map: new name by class name of the source; an empty name drops the class.
        skip_bad: count and leave out what is wrong instead of failing at the first; a
            :class:`~xemap.errors.LayoutError` is never skipped.
        expressions: makes further queries of the same labels, which must be :attr:`complete`, or minimal pairs
            instead of all others; None = none.
        wordings: queries per category and image, in as many different wordings as the phrase table has.
    """

    example: ClassVar[str] = '--data-root data/mine --out data/mine'
    """Arguments of a command line, for the help."""
    from_labels: ClassVar[bool] = True
    """Sentences are made from labels, so that wording, least area and the map of categories act."""
    default_split: ClassVar[str | None] = 'train'
    """Split for images that no rule divides; None = the source publishes its own division."""
    least_share: ClassVar[float] = 0.0
    """Default of ``min_area``."""
    published: Mapping[str, int] = {}
    """Queries by split that the publishers count, for comparison; empty = not known."""
    true_color: ClassVar[bool] = True
    """Colors in the images are what people see, so that expressions may name them."""
    complete: ClassVar[bool] = True
    """Every object of a labeled class is labeled, so that "the largest car" can be known."""

    def __init__(
        self,
        data_root: str | Path,
        *,
        phrases: PhraseTable | None = None,
        source: str | None = None,
        min_area: float | None = None,
        category_map: dict[str, str] | None = None,
        skip_bad: bool = False,
        expressions: ExpressionGenerator | None = None,
        wordings: int = 1,
    ) -> None:
        self.data_root = Path(data_root)
        if not self.data_root.is_dir():
            raise DataError(f'data root {self.data_root} is no folder; give the folder that holds images and labels')
        min_area = self.least_share if min_area is None else min_area
        if not 0 <= min_area < 1:
            raise ConfigError(f'min_area {min_area}; give a share of the image, at least 0 and below 1')
        if wordings < 1:
            raise ConfigError(f'wordings {wordings}; give the number of queries per category and image, at least 1')
        if expressions is not None and not self.complete:
            raise ConfigError('expressions need every object labeled, and this source leaves some out; leave them out')
        self.phrases = phrases or PhraseTable()
        self.wordings = wordings
        self.min_area = min_area
        self.category_map = category_map or {}
        self.skip_bad = skip_bad
        self.expressions = expressions
        name = getattr(self, 'name', None)
        published = self.published if source in (None, name) else {}
        self.report = ConversionReport(source or self.data_root.resolve().name, published)
        self._categories_seen: set[str] = set()

    @abstractmethod
    def items(self) -> list[Item]:
        """All images of the source, without opening image or mask files.

        Raises:
            DataError: the source's files are missing or of another make.
        """

    def instances(self, item: Item, size: tuple[int, int]) -> Iterable[Instance | None]:
        """Annotated objects of an image, for the queries of their categories; None is passed over.

        Every converter overrides this, or :meth:`queries` where its source has sentences of its own.

        Args:
            item: one of :meth:`items`.
            size: (height, width) of the image file.

        Raises:
            DataError: the annotation is wrong, or does not belong to the image.
        """
        raise NotImplementedError(f'{type(self).__name__} has neither instances nor queries of its own')

    def queries(self, item: Item, size: tuple[int, int]) -> list[Query]:
        """Queries of an image: here one per category of its :meth:`instances`, and the expressions; or these alone.

        Args:
            item: one of :meth:`items`.
            size: (height, width) of the image file.

        Raises:
            DataError: the annotation is wrong, or does not belong to the image.
        """
        by_category: dict[str, list[Instance]] = {}
        for instance in filter(None, self.instances(item, size)):
            self._categories_seen.add(instance.category)
            category = self.category_map.get(instance.category, instance.category)
            if category:
                by_category.setdefault(category, []).append(instance)
            else:
                self.report.count('categories_dropped', f'{item.name}: {instance.category}')
        only_pairs = self.expressions is not None and self.expressions.minimal_pairs == 'only'
        queries, broad = [], set()
        for category, members in sorted(by_category.items()):
            included = [name for name in by_category if self.phrases.includes(category, name)]
            broad |= {category} if included else set()
            members = members + [member for name in included for member in by_category[name]]
            if not only_pairs:
                queries += self._queries(item, size, category, members)
        if self.expressions is not None:
            named = [
                replace(member, category=name)
                for name, members in by_category.items()
                if name not in broad  # "the largest bridge" may be an overpass
                for member in members
            ]
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
            for text in (item.name, *(text for query in queries for text in (query.text, query.category or ''))):
                text.encode()
        except DataError as error:
            self.bad(error, 'bad_images')
            return None
        except UnicodeEncodeError as error:  # half of a pair of surrogates, as JSON may hold it
            self.bad(DataError(f'{item.image}: {error.object!r} is no valid text; correct it'), 'bad_images')
            return None
        if not queries:
            self.report.count('images_without_queries', item.name)
            return None
        return ImageRecord(item.name, size[1], size[0], self.report.source, queries)

    def _queries(self, item: Item, size: tuple[int, int], category: str, members: list[Instance]) -> list[Query]:
        region = unite([member.region for member in members], size)
        if self.min_area:
            share = region_area(region, size) / (size[0] * size[1])
            if share < self.min_area:
                self.report.count('queries_too_small', f'{item.name}: {category} ({share:.2g} of the image)')
                return []
        referents: int | None = 0
        for member in members:
            referents = None if referents is None or member.count is None else referents + member.count
        return [
            Query(
                text,
                region,
                category=category,
                kind='one-hop',
                hops=1,
                referents=referents,
                distractors=PolygonRegion([]),
                anchors=PolygonRegion([]),
                needed=(),  # the category is all there is to it
            )
            for text in self.phrases.texts(category, referents, item.name, self.wordings)
        ]

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
                clipped = clip_polygon(polygon, size)
            except DataError as error:
                self.bad(DataError(f'{where}: {error}'), 'bad_annotations')
                continue
            if not clipped:
                self.report.count('polygons_outside', where)
            elif not (len(clipped) == 1 and clipped[0] is polygon):
                self.report.count('polygons_clipped', where)
            parts += clipped
        if not parts:
            return None
        region = PolygonRegion(parts)
        try:
            area = region_area(region, size)
        except DataError as error:
            self.bad(DataError(f'{where}: {error}'), 'bad_annotations')
            return None
        if area < 1:
            self.report.count('objects_too_small', where)
            return None
        return Instance(category, region)

    def box_instance(self, category: str, box: Iterable[float], size: tuple[int, int], where: str) -> Instance | None:
        """An object in an upright box, clipped to the image.

        Args:
            category: its class name.
            box: left, top, width, height in pixels.
            size: (height, width) of the image.
            where: file and line or object, for errors and the report.

        Returns:
            See :meth:`polygon_instance`.

        Raises:
            DataError: four finite numbers are expected, the last two not negative; and not ``skip_bad``.
        """
        numbers = list(box)
        if len(numbers) != 4 or not all(np.isfinite(numbers)) or min(numbers[2:]) < 0:
            error = DataError(f'{where}: box {numbers}; give left, top, width and height, none of them negative')
            self.bad(error, 'bad_annotations')
            return None
        return self.polygon_instance(category, [box_polygon(*numbers)], size, where)

    def files(
        self, folder: Path, suffixes: tuple[str, ...] = IMAGE_SUFFIXES, key: Callable[[Path], str] = stem_of
    ) -> dict[str, Path]:
        """Files in a folder and below it, in the order of their paths.

        Args:
            folder: where they are.
            suffixes: in lower case.
            key: by which a file is found, such as its stem; two files must not share one.

        Raises:
            DataError: no such file is there, or two have one key; and not ``skip_bad``.
        """
        files: dict[str, Path] = {}
        for path in sorted(folder.rglob('*')):
            if path.suffix.lower() not in suffixes or not path.is_file():
                continue
            name = key(path)
            if files.setdefault(name, path) is not path:
                error = DataError(f'{files[name]} and {path} have the same stem {name!r}; keep one of them')
                self.bad(error, 'images_duplicated')
        if not files:
            kind = 'image' if suffixes == IMAGE_SUFFIXES else '/'.join(suffixes)
            error = DataError(f'{folder} is missing or holds no {kind}; copy that part of the source')
            self.bad(error, 'lists_empty')
        return files

    def pairs(
        self, images: Mapping[str, Path], labels: Mapping[str, Path], label: str = 'annotation'
    ) -> Iterable[tuple[str, Path, Path]]:
        """Key, image and label file of every key that both have, in the order of the images.

        Args:
            images, labels: see :meth:`files`.
            label: what a label file is called in errors.

        Raises:
            DataError: one of a pair is missing, and not ``skip_bad``.
        """
        for key, path in labels.items():
            if key not in images:
                self.bad(DataError(f'{label} {path} has no image {key!r}; copy it'), 'annotations_without_image')
        for key, path in images.items():
            if key in labels:
                yield key, path, labels[key]
            else:
                self.bad(DataError(f'image {path} has no {label} {key!r}; copy it'), 'images_not_annotated')

    def item(self, image: Path, annotation: Any, split: str | None = None) -> Item:
        """The item of an image below the data root."""
        return Item(image, relative_name(image, self.data_root), annotation, split)

    def bad(self, error: DataError, reason: str) -> None:
        """Raise an error of the data, or count it under ``reason`` where ``skip_bad``."""
        if not self.skip_bad or isinstance(error, LayoutError):
            raise error
        self.report.count(reason, str(error))

    def check_category_map(self) -> None:
        """After all records are made: every class that the map names was there.

        Raises:
            ConfigError: one was not, so it is most likely misspelled.
        """
        unknown = sorted(set(self.category_map) - self._categories_seen)
        if unknown:
            seen = ', '.join(sorted(self._categories_seen)) or 'none'
            raise ConfigError(f'--map names category {unknown[0]!r}, which no annotation has; there are: {seen}')
