"""RefCOCO, RefCOCO+ and RefCOCOg: expressions for single objects in COCO images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from xemap.errors import DataError
from xemap.preparation.converters.base import Item
from xemap.preparation.converters.refer import Referent, ReferSource

VARIANTS = {'refcoco': 'unc', 'refcoco+': 'unc', 'refcocog': 'umd'}
"""Folder, and whose division into splits: the ``unc`` of ``refs(unc).p``."""


class RefCocoConverter(ReferSource):
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
        variants: folder and division of each variant; all three of refcoco=unc, refcoco+=unc, refcocog=umd by default.
        images: folder of the images, relative to the source's.
        options: those of :class:`~xemap.preparation.converters.Converter`.
    """

    name = 'refcoco'
    default_folder = 'RefCOCO'
    splits = ('train', 'val')

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
            for key, referent in self.read_referents(self.folder / variant, division):
                self.add_texts(referents.setdefault(key, replace(referent, texts=[])), referent.texts)
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
