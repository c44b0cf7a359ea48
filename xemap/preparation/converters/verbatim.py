"""Sources that hold expressions with hand-drawn polygons: both are taken over as they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from xemap.errors import DataError
from xemap.preparation.converters.base import Converter, Item
from xemap.preparation.converters.images import IMAGE_SUFFIXES, relative_name
from xemap.preparation.converters.reading import check_size, checked_text
from xemap.preparation.geometry import as_polygon
from xemap.structures import PolygonRegion, Query


@dataclass(frozen=True)
class Expression:
    """A sentence and what was drawn for it.

    Args:
        text: as the source has it; space around it goes.
        polygons: each a list of x, y pairs or a flat list, in pixels.
        where: file and entry, for errors.
        hops: see :class:`~xemap.structures.Query`.
        referents: number of separate things that match; None = as many as there are polygons.
    """

    text: Any
    polygons: list
    where: str
    hops: int | None = None
    referents: int | None = None


@dataclass(frozen=True)
class DrawnImage:
    """What was drawn on one image: the annotation of an :class:`Item`.

    Args:
        where: file and entry, for errors.
        expressions: in the order of the source.
        size: (height, width) of the image that was drawn on; None = not stated.
    """

    where: str
    expressions: list[Expression]
    size: tuple[int | None, int | None] = (None, None)


class VerbatimConverter(Converter):
    """Makes a query of each expression. Nothing is clipped, closed or cleaned, because the SeLo metrics
    depend on every vertex. ``phrases``, ``min_area`` and ``category_map`` have nothing to act on.
    """

    from_labels = False
    default_split: ClassVar[str | None] = 'test'

    def queries(self, item: Item, size: tuple[int, int]) -> list[Query]:
        image: DrawnImage = item.annotation
        check_size(image.size, size, item.image, image.where)
        queries = []
        for expression in image.expressions:
            try:
                queries.append(self._exact_query(expression, size))
            except DataError as error:
                self.bad(error, 'bad_annotations')
        return queries

    def _exact_query(self, expression: Expression, size: tuple[int, int]) -> Query:
        where = expression.where
        text = checked_text(expression.text, where)
        if not expression.polygons:
            raise DataError(f'{where}: no polygon for {text!r}; draw its region or remove the entry')
        polygons = [exact_polygon(points, f'{where}, {text!r}') for points in expression.polygons]
        if any(outside(polygon, size) for polygon in polygons):
            raise DataError(
                f'{where}: a polygon of {text!r} lies wholly outside the image of {size[1]} x {size[0]} pixels; '
                'the annotations belong to another version of the image'
            )
        if any((polygon < 0).any() or (polygon > (size[1], size[0])).any() for polygon in polygons):
            self.report.count('polygons_past_border', f'{where}: {text}')
        referents = len(polygons) if expression.referents is None else expression.referents
        region, hops = PolygonRegion(polygons, hand_drawn=True), expression.hops
        return Query(text, region, hops=hops, referents=referents, anchors=PolygonRegion([]) if hops == 1 else None)

    def make_items(
        self, drawn: Iterable[tuple[Path, DrawnImage]], images: Path, split: str | None = None, exclusive: bool = False
    ) -> list[Item]:
        """Items of the images that are there, sorted by name.

        Args:
            drawn: path of each image, and its annotation.
            images: folder in which images without an annotation are counted.
            split: where the source puts them.
            exclusive: nothing but the images of the source belongs into ``images``: others are :meth:`bad`.

        Raises:
            DataError: an image is missing, annotated twice or, where ``exclusive``, not annotated; and not
                ``skip_bad``.
        """
        items: dict[str, Item] = {}
        named: set[str] = set()
        for path, image in drawn:
            name = relative_name(path, self.data_root)
            if name in named:
                error = DataError(f'{image.where}: image {name} is annotated twice; join the entries')
                self.bad(error, 'images_duplicated')
                continue
            named.add(name)
            if path.is_file():
                items[name] = self.item(path, image, split)
            else:
                error = DataError(f'{image.where}: image {path} does not exist; put it there or remove the entry')
                self.bad(error, 'annotations_without_image')
        for path in sorted(images.rglob('*')):
            if path.suffix.lower() in IMAGE_SUFFIXES and relative_name(path, self.data_root) not in named:
                if exclusive:
                    error = DataError(f'{path} has no annotation; copy the annotations again, or remove the image')
                    self.bad(error, 'images_not_annotated')
                else:
                    self.report.count('images_not_annotated', str(path))
        return [items[name] for name in sorted(items)]


def exact_polygon(points: Any, where: str) -> np.ndarray:
    """(V, 2) float64 x, y pixels: all vertices as they are, a repeated first or last one included.

    Raises:
        DataError: not x, y pairs of finite numbers, or fewer than 3 vertices.
    """
    try:
        as_polygon(points)
    except DataError as error:
        raise DataError(f'{where}: {error}') from error
    return np.asarray(points, dtype=np.float64).reshape(-1, 2)


def outside(polygon: np.ndarray, size: tuple[int, int]) -> bool:
    """Whether a polygon's bounding box misses the image.

    Args:
        polygon: (V, 2) x, y pixels.
        size: (height, width) of the image.
    """
    return bool((polygon.max(axis=0) < 0).any() or (polygon.min(axis=0) > (size[1], size[0])).any())
