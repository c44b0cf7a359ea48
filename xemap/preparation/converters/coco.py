"""COCO JSON: boxes or instance masks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from xemap.errors import DataError
from xemap.preparation.converters.base import Converter, Item
from xemap.preparation.converters.reading import check_size, load_json
from xemap.preparation.geometry import rle_counts
from xemap.preparation.instance import Instance
from xemap.structures import MaskRegion


class CocoConverter(Converter):
    """COCO JSON with boxes, polygons or run-length codes.

    A box counts where an annotation has no segmentation; run-length codes may be compressed or not.

    A crowd annotation is part of its category's region and makes the number of referents unknown;
    annotations with ``ignore`` set are left out.

    Args:
        data_root: see :class:`Converter`.
        annotations: the JSON file, relative to the data root.
        images: folder that ``file_name`` is relative to, itself relative to the data root.
        boxes_only: use boxes even where there is a segmentation.
        **options: see :class:`Converter`.
    """

    example = '--data-root data/mine --annotations instances.json --images images --out data/mine --val 0.1 --test 0.2'

    def __init__(
        self,
        data_root: str | Path,
        annotations: str | Path,
        images: str | Path = '.',
        *,
        boxes_only: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(data_root, **options)
        self.file = self.data_root / annotations
        self.images = self.data_root / images
        self.boxes_only = boxes_only
        self._names: dict[Any, str] = {}

    def items(self) -> list[Item]:
        content = self._load()
        for category in content['categories']:
            self._field(category, 'id', (int, str), 'category')
            self._names[category['id']] = self._field(category, 'name', str, 'category')
        images: dict[Any, tuple[dict, list[dict]]] = {}
        names: set[str] = set()
        for image in content['images']:
            key = self._field(image, 'id', (int, str), 'image')
            name = self._field(image, 'file_name', str, 'image')
            if key in images or name in names:
                error = DataError(f'{self.file}: image {name!r} with id {key} is there twice; keep one')
                self.bad(error, 'images_duplicated')
                continue
            images[key] = (image, [])
            names.add(name)
        for annotation in content['annotations']:
            key = self._field(annotation, 'image_id', (int, str), 'annotation')
            if key not in images:
                where = f'{self.file}: annotation {annotation.get("id")}'
                self.bad(
                    DataError(f'{where} names image {key}, which is not in "images"; add it or pass --skip-bad'),
                    'bad_annotations',
                )
                continue
            images[key][1].append(annotation)
        items = []
        for image, objects in images.values():
            items.append(self.item(self.images / image['file_name'], (image, objects)))
        return sorted(items, key=lambda item: item.name)

    def instances(self, item: Item, size: tuple[int, int]) -> Iterator[Instance | None]:
        image, objects = item.annotation
        check_size((image.get('height'), image.get('width')), size, item.image, str(self.file))
        for annotation in objects:
            where = f'{self.file} annotation {annotation.get("id")}'
            try:
                yield self._instance(annotation, size, where)
            except DataError as error:
                self.bad(error, 'bad_annotations')

    def _instance(self, annotation: dict, size: tuple[int, int], where: str) -> Instance | None:
        if annotation.get('category_id') not in self._names:
            category = annotation.get('category_id')
            raise DataError(f'{where} has category_id {category!r}, which is not in "categories"; add it there')
        category = self._names[annotation['category_id']]
        if annotation.get('ignore'):
            self.report.count('objects_ignored', where)
            return None
        segmentation = None if self.boxes_only else annotation.get('segmentation')
        if isinstance(segmentation, dict):
            region = MaskRegion(checked_rle(segmentation, size, where))
            if not region.area:
                self.report.count('objects_too_small', where)
                return None
            instance: Instance | None = Instance(category, region)
        elif segmentation:
            if not isinstance(segmentation, list):
                raise DataError(f'{where} has a segmentation that is neither polygons nor a run-length code')
            instance = self.polygon_instance(category, segmentation, size, where)
        else:
            box = annotation.get('bbox')
            if not (isinstance(box, list) and len(box) == 4 and all(isinstance(n, (int, float)) for n in box)):
                raise DataError(f'{where} has no segmentation, and bbox {box!r} is not [x, y, width, height]')
            instance = self.box_instance(category, box, size, where)
        if instance is not None and annotation.get('iscrowd'):
            self.report.count('crowds', where)
            return Instance(category, instance.region, count=None)
        return instance

    def _load(self) -> dict:
        content = load_json(self.file)
        for key in ('images', 'annotations', 'categories'):
            if not isinstance(content, dict) or not isinstance(content.get(key), list):
                raise DataError(f'{self.file} has no list {key!r}; it is no COCO instance file')
            if not all(isinstance(entry, dict) for entry in content[key]):
                raise DataError(f'{self.file}: an entry of {key!r} is no object; it is no COCO instance file')
        return content

    def _field(self, entry: dict, key: str, kind: type | tuple[type, ...], what: str) -> Any:
        value = entry.get(key)
        if not isinstance(value, kind):
            raise DataError(f'{self.file}: {what} {entry.get("id")!r} has {key} {value!r}; correct the file')
        return value


def checked_rle(rle: dict, size: tuple[int, int], where: str) -> dict:
    """A run-length code that fits the image, compressed.

    pycocotools writes where the numbers point it, so they are checked before it sees them.
    """
    if list(rle.get('size') or ()) != list(size):
        raise DataError(
            f'{where} has a mask of size {rle.get("size")}, the image has {list(size)} (height, width); '
            'the annotations belong to another version of the image'
        )
    counts = rle.get('counts')
    if isinstance(counts, str):
        runs = rle_counts(counts.encode('utf-8'))
    elif isinstance(counts, list) and all(isinstance(n, int) for n in counts):
        runs = np.array(counts, dtype=np.float64)
    else:
        raise DataError(f'{where} has run-length counts that are neither a string nor a list of numbers')
    if not runs.size or (runs < 0).any() or runs.sum() != size[0] * size[1]:
        raise DataError(
            f'{where} has run-length counts that do not add up to {size[0]} x {size[1]} pixels; encode it again'
        )
    if isinstance(counts, str):
        return {'size': list(size), 'counts': counts}
    return coco_mask.frPyObjects({'size': list(size), 'counts': counts}, *size)
