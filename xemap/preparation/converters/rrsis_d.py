"""RRSIS-D: masks and expressions of single objects in DIOR's images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pycocotools import mask as coco_mask

from xemap.errors import DataError
from xemap.preparation.converters.base import Item
from xemap.preparation.converters.coco import checked_rle
from xemap.preparation.converters.masks import fit_mask
from xemap.preparation.converters.refer import Referent, ReferSource
from xemap.preparation.instance import Instance
from xemap.raster.limits import WHOLE_PIXELS
from xemap.structures import MaskRegion


class RrsisDConverter(ReferSource):
    """RRSIS-D, masks and expressions of single objects in DIOR's images.

    Layout: ``rrsisd/refs(unc).p``, ``rrsisd/instances.json`` and ``images/rrsisd/JPEGImages/*.jpg``. Sentences are
    taken as they were written. Some images are a row or column longer than their masks, which are then resized to the
    image, nearest pixel, and counted. Copies of RISBench in this layout: ``--folder RISBench --refs risbench --images
    img_rgb --source risbench``.

    Args:
        data_root: see :class:`SourceConverter`.
        folder: see :class:`SourceConverter`.
        refs: folder of refs(unc).p and instances.json, relative to the source's.
        images: folder of the images, relative to the source's.
        options: those of :class:`~xemap.preparation.converters.Converter`.
    """

    name = 'rrsis_d'
    default_folder = 'RRSIS-D'
    example = '--data-root data --folder RRSIS-D --out data/rrsis_d'
    text_field = 'raw'
    published = {'train': 12181, 'val': 1740, 'test': 3481}

    def __init__(
        self,
        data_root: str | Path,
        folder: str | Path | None = None,
        *,
        refs: str = 'rrsisd',
        images: str = 'images/rrsisd/JPEGImages',
        **options: Any,
    ) -> None:
        super().__init__(data_root, folder, **options)
        self.refs, self.images = self.folder / refs, self.folder / images

    def items(self) -> list[Item]:
        members: dict[tuple[str, str], list[Referent]] = {}
        for (split, name, _), referent in self.read_referents(self.refs, 'unc'):
            members.setdefault((split, name), []).append(referent)
        items = []
        for (split, name), annotation in sorted(members.items()):
            if (self.images / name).is_file():
                items.append(self.item(self.images / name, annotation, split))
            else:
                error = DataError(f'{annotation[0].where}: image {self.images / name} does not exist; copy it there')
                self.bad(error, 'annotations_without_image')
        return items

    def check_image(self, referent: Referent, size: tuple[int, int], item: Item) -> None:
        """The source states 800 x 800 for images of 800 x 801 as well; masks are fitted instead."""

    def instance(self, referent: Referent, size: tuple[int, int]) -> Instance | None:
        parts = referent.segmentation if isinstance(referent.segmentation, list) else [referent.segmentation]
        if not parts or not all(isinstance(part, dict) for part in parts):
            return super().instance(referent, size)
        codes = [checked_rle(part, _stated_size(part, referent.where), referent.where) for part in parts]
        if any(code['size'] != codes[0]['size'] for code in codes):
            raise DataError(f'{referent.where} has run-length codes of several sizes; copy the file again')
        union = coco_mask.merge([MaskRegion(code).rle for code in codes])
        if tuple(union['size']) == size:
            region = MaskRegion(union)
        else:
            pixels = MaskRegion(union).mask(tuple(union['size']))
            region = MaskRegion.from_mask(fit_mask(pixels, size, referent.where, self.report))
        if not region.area:
            self.report.count('objects_too_small', referent.where)
            return None
        return Instance(referent.category, region)


def _stated_size(rle: dict, where: str) -> tuple[int, int]:
    size = rle.get('size')
    if not (isinstance(size, list) and len(size) == 2 and all(isinstance(n, int) and 0 < n < 1 << 16 for n in size)):
        raise DataError(f'{where} has a mask of size {size!r}; give [height, width]')
    if size[0] * size[1] > WHOLE_PIXELS:
        raise DataError(
            f'{where} has a mask of {size[1]} x {size[0]} pixels, more than the {WHOLE_PIXELS / 1e6:.0f} million that '
            'an image may have; copy the file again'
        )
    return size[0], size[1]
