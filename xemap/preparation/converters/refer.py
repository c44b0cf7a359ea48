"""The REFER layout: expressions for single objects in ``refs(…).p``, the objects in ``instances.json`` beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from xemap.errors import DataError, LayoutError
from xemap.language.nouns import category_words
from xemap.preparation.converters.base import Item
from xemap.preparation.converters.coco import checked_rle
from xemap.preparation.converters.reading import check_fields, check_size, load_json, load_plain_pickle
from xemap.preparation.converters.source import SourceConverter
from xemap.preparation.instance import Instance
from xemap.structures import MaskRegion, Query

REF_FIELDS = {'ref_id': int, 'ann_id': int, 'image_id': int, 'split': str, 'sentences': list}


@dataclass
class Referent:
    """An object and what it is called; a list of them is the annotation of an :class:`Item`.

    Args:
        texts: expressions, as the source prepares them.
        category: category of the object.
        segmentation: outline of the object: polygons, a COCO run-length code, or a list with one.
        size: (height, width) that the source states for the image.
        where: file and number of the object.
    """

    texts: list[str]
    category: str
    segmentation: Any
    size: tuple[int, int]
    where: str


class ReferSource(SourceConverter):
    """A source in the REFER layout: each sentence is a query of its own for one object.

    The ``refs`` are pickles, which could run code: nothing but numbers, texts and plain containers is read.
    """

    from_labels = False
    splits: ClassVar[tuple[str, ...]] = ('train', 'val', 'test')
    """Others are left out and counted."""
    text_field: ClassVar[str] = 'sent'
    """Which text of a sentence: ``sent`` is in lower case without punctuation, ``raw`` as it was written."""

    def queries(self, item: Item, size: tuple[int, int]) -> list[Query]:
        queries = []
        for referent in item.annotation:
            self.check_image(referent, size, item)
            try:
                instance = self.instance(referent, size)
            except DataError as error:
                self.bad(error, 'bad_annotations')
                continue
            if instance is not None:
                made = (self.expression(text, instance, item, size) for text in referent.texts)
                queries += [query for query in made if query is not None]
        return queries

    def check_image(self, referent: Referent, size: tuple[int, int], item: Item) -> None:
        """The image has the size that the source states.

        Raises:
            DataError: it has not.
        """
        check_size(referent.size, size, item.image, referent.where)

    def instance(self, referent: Referent, size: tuple[int, int]) -> Instance | None:
        """The object in an image of ``size`` (height, width); None where it has no area.

        Raises:
            DataError: its segmentation is neither polygons nor a run-length code that fits.
        """
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

    def add_texts(self, referent: Referent, texts: list[str]) -> None:
        """Add expressions of the same object; words repeated for it count once."""
        for text in texts:
            if text in referent.texts:
                self.report.count('queries_duplicated', f'{referent.where}: {text}')
            else:
                referent.texts.append(text)

    def read_referents(self, folder: Path, division: str) -> Iterator[tuple[tuple[str, str, int], Referent]]:
        """Split, image name and annotation id of every object in :attr:`splits`, and the object.

        Args:
            folder: folder of ``refs(division).p`` and ``instances.json``.
            division: whose division into splits, such as ``unc``.

        Raises:
            DataError: a file is missing, or entries do not go together and not ``skip_bad``.
            LayoutError: a file is of another make.
        """
        file = folder / 'instances.json'
        content = load_json(file)
        images = self._table(content, file, 'images', {'file_name': str, 'height': int, 'width': int})
        objects = self._table(content, file, 'annotations', {'image_id': int})
        categories = self._table(content, file, 'categories', {'name': str})
        refs_file = folder / f'refs({division}).p'
        for ref in load_refs(refs_file, self.text_field):
            texts = [sentence[self.text_field].strip() for sentence in ref['sentences']]
            where = f'{refs_file} ref {ref["ref_id"]}'
            if ref['split'] not in self.splits:
                self.report.count('queries_of_test', f'{where}: {ref["split"]}', len(texts))
                continue
            while '' in texts:
                self.bad(DataError(f'{where} has an empty sentence; remove it'), 'bad_annotations')
                texts.remove('')
            image, member = images.get(ref['image_id']), objects.get(ref['ann_id'], {})
            number = member.get('category_id', member.get('categories_id'))
            category = categories.get(number) if isinstance(number, int) else None
            if image is None or category is None or member['image_id'] != ref['image_id']:
                error = DataError(
                    f'{where}: image {ref["image_id"]}, annotation {ref["ann_id"]} and its category do not go '
                    f'together in {file}; copy both files again'
                )
                self.bad(error, 'bad_annotations')
                continue
            # The file_name of a ref is not that of an image: it may have the object's number behind it.
            key = ref['split'], image['file_name'], ref['ann_id']
            size = image['height'], image['width']
            yield key, Referent(texts, category_words(category['name']), member.get('segmentation'), size, where)

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


def load_refs(file: Path, text_field: str = 'sent') -> list[dict]:
    """The references of a ``refs(...).p``, see :func:`load_plain_pickle`.

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
            check_fields(sentence, {text_field: str}, f'{file} entry {number}, a sentence')
    return refs
