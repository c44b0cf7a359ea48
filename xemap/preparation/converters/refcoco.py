"""RefCOCO, RefCOCO+ and RefCOCOg: expressions for single objects in COCO images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xemap.errors import DataError, LayoutError
from xemap.language.nouns import category_words
from xemap.preparation.converters.base import Instance, Item
from xemap.preparation.converters.coco import checked_rle
from xemap.preparation.converters.reading import check_fields, check_size, load_json, load_plain_pickle
from xemap.preparation.converters.source import SourceConverter
from xemap.structures import MaskRegion, Query

VARIANTS = {'refcoco': 'unc', 'refcoco+': 'unc', 'refcocog': 'umd'}
"""Folder, and whose division into splits: the ``unc`` of ``refs(unc).p``."""
SPLITS = ('train', 'val')
REF_FIELDS = {'ref_id': int, 'ann_id': int, 'image_id': int, 'split': str, 'sentences': list}


@dataclass
class Referent:
    """An object and what it is called; a list of them is the annotation of an :class:`Item`.

    Args:
        texts: expressions, in lower case without punctuation, as the source prepares them.
        category: of the object.
        segmentation: of the object: polygons, or a COCO run-length code.
        size: (height, width) that the source states for the image.
        where: file and number of the object.
    """

    texts: list[str]
    category: str
    segmentation: Any
    size: tuple[int, int]
    where: str


class RefCocoConverter(SourceConverter):
    """RefCOCO, RefCOCO+ and RefCOCOg, expressions for single objects in COCO's images.

    Layout: ``refcoco/refs(unc).p``, ``refcoco+/refs(unc).p``, ``refcocog/refs(umd).p``, an ``instances.json`` beside
    each, and the images in ``train2014``.

    All sentences of an image, from every variant, come together; each is a query of its own for one object,
    and words repeated for the same object count once. Test splits are left out. The variants divide the
    same images differently: one that any of them validates on is no training image here.

    The ``refs`` are pickles, which could run code: nothing but numbers, texts and plain containers is read.

    Args:
        data_root: see :class:`SourceConverter`.
        folder: see :class:`SourceConverter`.
        variants: division by folder, see :data:`VARIANTS`.
        images: folder of the images, relative to the source's.
        options: of :class:`~xemap.preparation.converters.Converter`.
    """

    name = 'refcoco'
    from_labels = False
    default_folder = 'RefCOCO'

    def __init__(
        self,
        data_root: str | Path,
        folder: str | Path | None = None,
        *,
        variants: dict[str, str] | None = None,
        images: str = 'train2014',
        **options: Any,
    ) -> None:
        super().__init__(data_root, folder, **options)
        self.variants = VARIANTS if variants is None else variants
        self.images = self.folder / images

    def items(self) -> list[Item]:
        # By split, image and annotation, so that what the variants say of one object comes together.
        referents: dict[tuple[str, str, int], Referent] = {}
        for variant, division in self.variants.items():
            if not (self.folder / variant).is_dir():
                self.bad(DataError(f'{self.folder / variant} does not exist; copy it there'), 'lists_empty')
                continue
            for key, referent in self._read(self.folder / variant, division):
                self._add_texts(referents.setdefault(key, replace(referent, texts=[])), referent.texts)
        members: dict[tuple[str, str], list[Referent]] = {}
        for (split, name, _), referent in referents.items():
            members.setdefault((split, name), []).append(referent)
        items = []
        for (split, name), annotation in sorted(members.items()):
            path = self.images / name
            if split == 'train' and ('val', name) in members:
                number = sum(len(referent.texts) for referent in annotation)
                self.report.count('queries_of_val_images', name, number)
            elif not path.is_file():
                error = DataError(f"{annotation[0].where}: image {path} does not exist; copy COCO's train2014 there")
                self.bad(error, 'annotations_without_image')
            else:
                items.append(self.item(path, annotation, split))
        return items

    def queries(self, item: Item, size: tuple[int, int]) -> list[Query]:
        queries = []
        for referent in item.annotation:
            check_size(referent.size, size, item.image, referent.where)
            try:
                instance = self._instance(referent, size)
            except DataError as error:
                self.bad(error, 'bad_annotations')
                continue
            if instance is not None:
                made = (self.expression(text, instance, item, size) for text in referent.texts)
                queries += [query for query in made if query is not None]
        return queries

    def _instance(self, referent: Referent, size: tuple[int, int]) -> Instance | None:
        segmentation = referent.segmentation
        if isinstance(segmentation, list) and len(segmentation) == 1 and isinstance(segmentation[0], dict):
            segmentation = segmentation[0]
        if isinstance(segmentation, list) and segmentation:
            return self.polygon_instance(referent.category, segmentation, size, referent.where)
        if not isinstance(segmentation, dict):
            raise DataError(f'{referent.where} has no polygons and no run-length code; copy the file again')
        region = MaskRegion(checked_rle(segmentation, size, referent.where))
        if not region.area:
            self.report.count('objects_too_small', referent.where)
            return None
        return Instance(referent.category, region)

    def _add_texts(self, referent: Referent, texts: list[str]) -> None:
        for text in texts:
            if not text:
                self.bad(DataError(f'{referent.where} has an empty sentence; remove it'), 'bad_annotations')
            elif text in referent.texts:
                self.report.count('queries_duplicated', f'{referent.where}: {text}')
            else:
                referent.texts.append(text)

    def _read(self, folder: Path, division: str) -> Iterator[tuple[tuple[str, str, int], Referent]]:
        """Split, image name and annotation id of every object of a variant, and the object."""
        file = folder / 'instances.json'
        content = load_json(file)
        images = self._table(content, file, 'images', {'file_name': str, 'height': int, 'width': int})
        objects = self._table(content, file, 'annotations', {'image_id': int, 'category_id': int})
        categories = self._table(content, file, 'categories', {'name': str})
        refs_file = folder / f'refs({division}).p'
        for ref in load_refs(refs_file):
            texts = [sentence['sent'].strip() for sentence in ref['sentences']]
            where = f'{refs_file} ref {ref["ref_id"]}'
            if ref['split'] not in SPLITS:
                self.report.count('queries_of_test', f'{where}: {ref["split"]}', len(texts))
                continue
            image, found = images.get(ref['image_id']), objects.get(ref['ann_id'])
            category = None if found is None else categories.get(found['category_id'])
            if image is None or found is None or category is None or found['image_id'] != ref['image_id']:
                error = DataError(
                    f'{where}: image {ref["image_id"]}, annotation {ref["ann_id"]} and its category do not go '
                    f'together in {file}; copy both files again'
                )
                self.bad(error, 'bad_annotations')
            else:
                # The file_name of a ref is not that of an image: it has the object's number behind it.
                yield (
                    (ref['split'], image['file_name'], ref['ann_id']),
                    Referent(
                        texts,
                        category_words(category['name']),
                        found.get('segmentation'),
                        (image['height'], image['width']),
                        where,
                    ),
                )

    def _table(self, content: Any, file: Path, key: str, fields: dict[str, type]) -> dict[int, dict]:
        """Entries of a list of ``instances.json`` by id."""
        entries = content.get(key) if isinstance(content, dict) else None
        if not isinstance(entries, list):
            raise LayoutError(f'{file} has no list {key!r}; it is no COCO instance file')
        table: dict[int, dict] = {}
        for number, entry in enumerate(entries, 1):
            check_fields(entry, {'id': int, **fields}, f'{file} entry {number} of {key!r}')
            if table.setdefault(entry['id'], entry) is not entry:
                reason = 'images_duplicated' if key == 'images' else 'bad_annotations'
                self.bad(DataError(f'{file}: {key!r} has id {entry["id"]} twice; remove one'), reason)
        return table


def load_refs(file: Path) -> list[dict]:
    """The references of a ``refs(...).p``.

    Pickles of Python 2 are read as Latin-1. A pickle that asks for any class or function is refused
    before it gets it.

    Raises:
        DataError: the file is missing.
        LayoutError: it is no such pickle.
    """
    refs = load_plain_pickle(file)
    if not isinstance(refs, list):
        raise LayoutError(f'{file} holds a {type(refs).__name__}, not a list of references')
    for number, ref in enumerate(refs, 1):
        check_fields(ref, REF_FIELDS, f'{file} entry {number}')
        for sentence in ref['sentences']:
            check_fields(sentence, {'sent': str}, f'{file} entry {number}, a sentence')
    return refs
