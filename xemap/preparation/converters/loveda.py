"""LoveDA: 0.3 m images of three Chinese cities with masks of land cover."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xemap.preparation.converters.base import Item
from xemap.preparation.converters.mask_source import Labels, MaskSource
from xemap.preparation.converters.splits import SplitRule

CLASSES = {
    0: None,  # no data
    1: 'background',
    2: 'building',
    3: 'road',
    4: 'water',
    5: 'barren',
    6: 'forest',
    7: 'agriculture',
}
OFFICIAL = {'Train': 'train', 'Val': 'val'}
"""Split by folder; ``Test`` has no masks and is not used."""
SCENES = ('Urban', 'Rural')
VAL_SHARE = 614 / 4191
"""Table 1 of the paper counts 3577 and 614 images: the 2522 + 1669 official ones, divided anew."""


class LoveDAConverter(MaskSource):
    """LoveDA, masks of land cover.

    Layout: ``{Train,Val}/{Urban,Rural}/images_png/N.png`` and ``…/masks_png/N.png``.

    Args:
        data_root, folder: see :class:`SourceConverter`.
        official_split: keep the published division, 2522 and 1669 images; by default both are pooled and
            divided by a hash of their names, 3577 and 614 as in the paper (whose lists are not published).
        split_seed: another seed, another division of the pool.
        options: see :class:`MaskSource`.
    """

    name = 'loveda'
    default_folder = 'loveda'
    classes = CLASSES

    def __init__(
        self,
        data_root: str | Path,
        folder: str | Path | None = None,
        *,
        official_split: bool = False,
        split_seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(data_root, folder, **options)
        self.official_split = official_split
        self.rule = SplitRule(fractions={'val': VAL_SHARE}, seed=split_seed)

    def items(self) -> list[Item]:
        labels, split_of = {}, {}
        for part, split in OFFICIAL.items():
            for scene in SCENES:
                folder = self.folder / part / scene
                images, masks = self.files(folder / 'images_png'), self.files(folder / 'masks_png')
                for stem, image, mask in self.pairs(images, masks, 'mask'):
                    key = f'{part}/{scene}/{stem}'  # stems may repeat between the folders
                    labels[key], split_of[key] = Labels(image, mask), split
        if labels and not self.official_split:
            split_of = self.rule.assign(list(labels))
        return [self.item(pair.image, pair, split_of[key]) for key, pair in labels.items()]
