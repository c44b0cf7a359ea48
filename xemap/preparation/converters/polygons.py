"""Hand-annotated test partitions: the project's own JSON, and what labelme and COCO tools write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from xemap.errors import DataError, LayoutError
from xemap.preparation.converters.base import Item
from xemap.preparation.converters.coco import CocoConverter
from xemap.preparation.converters.reading import checked_flag, checked_text, load_json
from xemap.preparation.converters.verbatim import (
    DrawnImage,
    Expression,
    VerbatimConverter,
    exact_polygon,
    outside,
)
from xemap.preparation.geometry import unite
from xemap.preparation.instance import Instance
from xemap.structures import PolygonRegion, Query

FORMAT, VERSION = 'xemap-polygons', 1
IMAGE_KEYS = ('image', 'width', 'height', 'queries')
QUERY_KEYS = ('text', 'polygons', 'multi_hop', 'multi_ref')


def _hops(flags: list, where: str) -> int | None:
    """Hops of a query from the ``multi_hop`` of its parts: 2 where one has it, None where none says anything."""
    known = [flag for flag in flags if checked_flag(flag, f'{where} multi_hop') is not None]
    return 1 + any(known) if known else None


class PolygonsConverter(VerbatimConverter):
    """Expressions with polygons in the project's own JSON, for test partitions.

    The format::

        {
          "format": "xemap-polygons",
          "version": 1,
          "images": [
            {
              "image": "a.png", "width": 1000, "height": 800,
              "queries": [
                {
                  "text": "the pond next to the gray road",
                  "polygons": [[[10, 10], [90, 12.5], [50, 60]]],
                  "multi_hop": true,
                  "multi_ref": false
                }
              ]
            }
          ]
        }

    A polygon is a list of x, y pixels with at least 3 vertices; no other keys are allowed.
    ``width`` and ``height`` may be left out; where they are there, the image must have them.
    ``multi_hop`` and ``multi_ref`` may be left out or null: whether other objects must be found first
    is then unknown, and each polygon counts as one referent. ``multi_ref`` false makes all polygons
    one referent.

    Args:
        data_root: see :class:`Converter`.
        annotations: the JSON file, relative to the data root.
        images: folder that ``image`` is relative to, itself relative to the data root.
        options: those of :class:`Converter`.
    """

    example = '--data-root data/mine --annotations test.json --images images --out data/mine'

    def __init__(
        self, data_root: str | Path, annotations: str | Path, images: str | Path = '.', **options: Any
    ) -> None:
        super().__init__(data_root, **options)
        self.file = self.data_root / annotations
        self.images = self.data_root / images

    def items(self) -> list[Item]:
        content = load_json(self.file)
        if not isinstance(content, dict) or content.get('format') != FORMAT:
            raise LayoutError(f'{self.file} has no "format": "{FORMAT}"; it is another kind of file')
        if content.get('version') != VERSION:
            raise LayoutError(f'{self.file} has version {content.get("version")!r}; this xemap reads {VERSION}')
        _check_keys(content, ('format', 'version', 'images'), str(self.file))
        return self.make_items(self._drawn_images(content), self.images)

    def _drawn_images(self, content: dict) -> Iterator[tuple[Path, DrawnImage]]:
        for number, entry in enumerate(_list_of(content, 'images', str(self.file)), 1):
            where = f'{self.file} image {number}'
            _check_keys(entry, IMAGE_KEYS, where)
            if not isinstance(entry.get('image'), str):
                raise LayoutError(f'{where} has image {entry.get("image")!r}; write the name of the file')
            expressions = []
            for place, query in enumerate(_list_of(entry, 'queries', where), 1):
                _check_keys(query, QUERY_KEYS, f'{where} query {place}')
                try:
                    expressions.append(_expression(query, f'{where} query {place}'))
                except DataError as error:
                    self.bad(error, 'bad_annotations')
            yield (
                self.images / entry['image'],
                DrawnImage(where, expressions, (entry.get('height'), entry.get('width'))),
            )


def _expression(query: dict, where: str) -> Expression:
    polygons = _list_of(query, 'polygons', where, kind=list)
    multi_ref = checked_flag(query.get('multi_ref'), f'{where} multi_ref')
    if multi_ref and len(polygons) < 2:
        raise DataError(f'{where} is multi_ref with {len(polygons)} polygon; draw each region as one of its own')
    hops = _hops([query.get('multi_hop')], where)
    return Expression(query.get('text'), polygons, where, hops, 1 if multi_ref is False else None)


class LabelmeConverter(VerbatimConverter):
    """A folder of labelme's JSON files, one per image.

    The label of a shape is the text of the query. Shapes with the same label are one query. Those of one
    ``group_id`` are parts of one referent, any other shape is a referent of its own. A query is multi-hop where a
    shape has the flag ``multi_hop`` set or says ``multi_hop`` in its description, single-hop where the flag is there
    and not set. Polygons and rectangles are read; circles, lines and points are bad annotations.

    Args:
        data_root: see :class:`Converter`.
        annotations: folder of the JSON files, relative to the data root.
        options: those of :class:`Converter`.
    """

    example = '--data-root data/mine --annotations marked --out data/mine'

    def __init__(self, data_root: str | Path, annotations: str | Path = '.', **options: Any) -> None:
        super().__init__(data_root, **options)
        self.folder = self.data_root / annotations

    def items(self) -> list[Item]:
        if not self.folder.is_dir():
            raise DataError(f'folder {self.folder} does not exist; give the folder of the labelme files')
        return self.make_items(map(self._drawn_image, sorted(self.folder.rglob('*.json'))), self.folder)

    def _drawn_image(self, file: Path) -> tuple[Path, DrawnImage]:
        content = load_json(file)
        if not isinstance(content, dict) or not isinstance(content.get('imagePath'), str):
            raise LayoutError(f'{file} has no imagePath; it is no file of labelme')
        groups: dict[str, list[tuple[dict, list]]] = {}
        for number, shape in enumerate(_list_of(content, 'shapes', str(file)), 1):
            where = f'{file} shape {number}'
            try:
                label = checked_text(shape.get('label'), where)
                groups.setdefault(label, []).append((shape, _outline(shape, where)))
            except DataError as error:
                self.bad(error, 'bad_annotations')
        expressions = [_joined(label, shapes, str(file)) for label, shapes in groups.items()]
        size = (content.get('imageHeight'), content.get('imageWidth'))
        image = content['imagePath'].replace('\\', '/')  # labelme on Windows
        return file.parent / image, DrawnImage(str(file), expressions, size)


def _outline(shape: dict, where: str) -> list:
    kind = shape.get('shape_type') or 'polygon'
    points = _list_of(shape, 'points', where, kind=list)
    if kind == 'rectangle' and [len(point) for point in points] == [2, 2]:
        (x0, y0), (x1, y1) = points
        return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]
    if kind not in ('polygon', 'rectangle'):
        raise DataError(f'{where} is a {kind}; draw a polygon or a rectangle')
    return points


def _joined(label: str, shapes: list[tuple[dict, list]], where: str) -> Expression:
    flags = [_dict_of(shape, 'flags', where).get('multi_hop') for shape, _ in shapes]
    flags += [True for shape, _ in shapes if 'multi_hop' in str(shape.get('description'))]
    groups = [shape.get('group_id') for shape, _ in shapes]
    referents = groups.count(None) + len({str(group) for group in groups if group is not None})
    return Expression(label, [outline for _, outline in shapes], where, _hops(flags, where), referents)


class CocoCaptionsConverter(CocoConverter):
    """COCO JSON whose annotations are expressions.

    The ``caption``, or else the category's name, is the text.

    Annotations of an image with the same text are one query, each a referent of its own. ``multi_hop``
    of an annotation or of its ``attributes`` (as CVAT writes them) says whether other objects must be
    found first. Polygons are not clipped, because the SeLo metrics depend on every vertex.
    ``phrases``, ``min_area`` and ``category_map`` have nothing to act on.
    """

    example = '--data-root data/mine --annotations instances.json --images images --out data/mine'
    from_labels = False
    default_split = 'test'

    def queries(self, item: Item, size: tuple[int, int]) -> list[Query]:
        image, objects = item.annotation
        groups: dict[str, list[tuple[Instance, bool | None]]] = {}
        for annotation in objects:
            where = f'{self.file} annotation {annotation.get("id")}'
            # One at a time, because an instance does not know its annotation.
            for instance in filter(None, self.instances(replace(item, annotation=(image, [annotation])), size)):
                try:
                    text = checked_text(annotation.get('caption', instance.category), where)
                    flag = annotation.get('multi_hop', _dict_of(annotation, 'attributes', where).get('multi_hop'))
                    groups.setdefault(text, []).append((instance, checked_flag(flag, f'{where} multi_hop')))
                except DataError as error:
                    self.bad(error, 'bad_annotations')
        return [self._joined_query(text, members, size) for text, members in groups.items()]

    def _joined_query(self, text: str, members: list[tuple[Instance, bool | None]], size: tuple[int, int]) -> Query:
        region = unite([instance.region for instance, _ in members], size)
        if isinstance(region, PolygonRegion):
            region = PolygonRegion(region.polygons(size), hand_drawn=not self.boxes_only)
        counts = [instance.count for instance, _ in members]
        referents = None if None in counts else len(counts)
        hops = _hops([flag for _, flag in members], text)
        return Query(text, region, hops=hops, referents=referents, anchors=PolygonRegion([]) if hops == 1 else None)

    def polygon_instance(
        self, category: str, polygons: Iterable[Any], size: tuple[int, int], where: str
    ) -> Instance | None:
        parts = [exact_polygon(points, where) for points in polygons]
        if not parts or all(outside(part, size) for part in parts):
            self.report.count('polygons_outside', where)
            return None
        return Instance(category, PolygonRegion(parts))


def _list_of(entry: dict, key: str, where: str, kind: type = dict) -> list:
    value = entry.get(key)
    if not isinstance(value, list) or not all(isinstance(member, kind) for member in value):
        raise LayoutError(f'{where} has no list {key!r} of {kind.__name__}s; correct the file')
    return value


def _dict_of(entry: dict, key: str, where: str) -> dict:
    value = entry.get(key) or {}
    if not isinstance(value, dict):
        raise LayoutError(f'{where} has {key} {value!r}, which is no object; correct the file')
    return value


def _check_keys(entry: dict, allowed: tuple[str, ...], where: str) -> None:
    unknown = [key for key in entry if key not in allowed]
    if unknown:
        raise LayoutError(f'{where} has the unknown key {unknown[0]!r}; known are {", ".join(allowed)}')
