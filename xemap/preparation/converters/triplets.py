"""RefSegRS and RISBench: an image, a mask and a sentence each, listed in text files."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from xemap.errors import DataError, LayoutError
from xemap.preparation.converters.base import Item
from xemap.preparation.converters.masks import binary_mask
from xemap.preparation.converters.reading import numbered_lines
from xemap.preparation.converters.source import SourceConverter
from xemap.structures import MaskRegion, Query

SPLITS = ('train', 'val', 'test')


@dataclass(frozen=True)
class Triplet:
    """A sentence and the mask of its referents; a list of them is the annotation of an :class:`Item`.

    Args:
        text: the sentence.
        mask: its mask file.
        where: list and line.
    """

    text: str
    mask: Path
    where: str


class TripletSource(SourceConverter):
    """A source of images, masks of the same stems, and ``output_phrase_{train,val,test}.txt`` with a file and a
    sentence in each line.

    Masks hold 0 and 255; what lies between is counted and belongs to the region above 50. A mask of another size
    than its image is resized to it, nearest pixel, and counted.

    Args:
        data_root: see :class:`SourceConverter`.
        folder: see :class:`SourceConverter`.
        join_equal: image files of equal content become one image with all their sentences, encoded once.
        options: those of :class:`~xemap.preparation.converters.Converter`.
    """

    from_labels = False
    images: ClassVar[str]
    masks: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]
    referents: ClassVar[int | None] = None
    """Number of referents of every sentence; None = unknown."""

    def __init__(
        self, data_root: str | Path, folder: str | Path | None = None, *, join_equal: bool = False, **options: Any
    ) -> None:
        super().__init__(data_root, folder, **options)
        self.join_equal = join_equal

    def items(self) -> list[Item]:
        images = self.files(self.folder / self.images, self.suffixes)
        masks = self.files(self.folder / self.masks, self.suffixes)
        pairs = {key: (image, mask) for key, image, mask in self.pairs(images, masks, 'mask')}
        listed: set[str] = set()
        items = []
        for split in SPLITS:
            members: dict[str, tuple[Path, list[Triplet]]] = {}
            for stem, text, where in self._lines(split):
                if stem not in pairs:
                    error = DataError(f'{where}: {stem!r} has no image or no mask; copy it')
                    self.bad(error, 'annotations_without_image')
                    continue
                listed.add(stem)
                image, mask = pairs[stem]
                key = hashlib.sha256(image.read_bytes()).hexdigest() if self.join_equal else stem
                members.setdefault(key, (image, []))[1].append(Triplet(text, mask, where))
            items += [self.item(image, triplets, split) for image, triplets in members.values()]
        for stem in pairs.keys() - listed:
            self.report.count('images_in_no_split', str(pairs[stem][0]))
        return items

    def queries(self, item: Item, size: tuple[int, int]) -> list[Query]:
        queries = []
        for triplet in item.annotation:
            try:
                pixels = binary_mask(triplet.mask, size, self.report)
            except DataError as error:
                self.bad(error, 'bad_annotations')
                continue
            if pixels.any():
                queries.append(Query(triplet.text, MaskRegion.from_mask(pixels), referents=self.referents))
            else:
                self.report.count('objects_too_small', f'{triplet.where}: {triplet.mask} is empty')
        return queries

    def _lines(self, split: str) -> list[tuple[str, str, str]]:
        """Stem, sentence and place of every line of a split's list."""
        file = self.folder / f'output_phrase_{split}.txt'
        lines = []
        for number, line in numbered_lines(file):
            name, _, text = line.partition(' ')
            where = f'{file} line {number}'
            if not text.strip() or not re.fullmatch(r'[\w.-]+', name):
                raise LayoutError(f'{where}: {line!r} is no file name and a sentence, divided by a space')
            path = Path(name)
            lines.append((path.stem if path.suffix.lower() in self.suffixes else name, text.strip(), where))
        if not lines:
            self.bad(DataError(f'{file} is empty; copy it again'), 'lists_empty')
        return lines


class RefSegRSConverter(TripletSource):
    """RefSegRS, masks and expressions in aerial images of 512 x 512 pixels.

    Layout: ``images/<id>.tif``, ``masks/<id>.tif`` and ``output_phrase_{train,val,test}.txt`` with an id and a
    sentence in each line.
    """

    name = 'refsegrs'
    default_folder = 'RefSegRS'
    example = '--data-root data --folder RefSegRS --out data/refsegrs'
    published = {'train': 2172, 'val': 431, 'test': 1817}
    images, masks, suffixes = 'images', 'masks', ('.tif', '.tiff')


class RisBenchConverter(TripletSource):
    """RISBench, masks and expressions of single objects in images of DOTA-v2 and DIOR.

    Layout: ``img_rgb/<split>_<scene>_<number>.png``, ``mask/`` with the same names, and
    ``output_phrase_{train,val,test}.txt`` with a file and a sentence in each line. There is a file for each sentence;
    the validation list names files called ``train_…``. Scenes that two splits share are counted.
    """

    name = 'risbench'
    default_folder = 'RISBench'
    example = '--data-root data --folder RISBench --out data/risbench --join-equal'
    published = {'train': 26300, 'val': 10013, 'test': 16159}
    images, masks, suffixes = 'img_rgb', 'mask', ('.png',)
    referents = 1

    def items(self) -> list[Item]:
        items = super().items()
        splits: dict[str, set[str]] = defaultdict(set)
        for item in items:
            assert item.split is not None
            splits[item.image.stem.rpartition('_')[0]].add(item.split)
        for scene, names in sorted(splits.items()):
            if len(names) > 1:
                self.report.count('scenes_in_two_splits', f'{scene}: {", ".join(sorted(names))}')
        return items
