"""Which sources XeMap-Set has, and what the paper's Table 1 counts for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from xemap.preparation.converters.registry import load_converter
from xemap.preparation.converters.source import SourceConverter

SPLITS = ('train', 'val', 'test')

TABLE_1: dict[str, dict[str, int]] = {
    'RefCOCO': {'train': 49676, 'val': 13205, 'test': 0},
    'VisDrone': {'train': 6471, 'val': 548, 'test': 42},
    'DIOR': {'train': 8000, 'val': 3725, 'test': 51},
    'DOTAv2': {'train': 1830, 'val': 593, 'test': 49},
    'LoveDA': {'train': 3577, 'val': 614, 'test': 100},
    'Potsdam-Vaihingen': {'train': 2738, 'val': 606, 'test': 0},
    'AerialImage': {'train': 14418, 'val': 162, 'test': 36},
    'AIR-SLT': {'train': 0, 'val': 0, 'test': 22},
}
"""Images by row and split, as printed."""
TABLE_1_QUERIES = {'train': 791971, 'val': 84576, 'test': 1129}
"""The paper gives queries for all sources together only."""


@dataclass(frozen=True)
class Source:
    """A public data set of XeMap-Set.

    Args:
        row: its row in Table 1.
        converter: name of a :class:`SourceConverter` (see :func:`load_converter`); its ``name`` and
            ``default_folder`` are those of the source. Imported only where it is needed.
        crops: whether crops are cut: ``'never'``, ``'always'`` (the converter takes ``crops``, a folder) or
            ``'optional'`` (the user decides; the converter takes ``crop_size`` as well).
        separate_test_set: its test split has an annotation of its own and stays ``<out>/<name>/test.arrow``, beside the
            merged ``test.arrow``: AIR-SLT's images are in the paper's test partition as well, annotated anew.
        divided: Table 1 divides it otherwise than its publishers: the converter takes ``official_split``.
    """

    row: str
    converter: str
    crops: Literal['never', 'always', 'optional'] = 'never'
    divided: bool = False
    separate_test_set: bool = False

    def load(self) -> type[SourceConverter]:
        """The converter."""
        converter = load_converter(self.converter)
        assert issubclass(converter, SourceConverter)
        return converter

    def find(self, root: Path) -> Path | None:
        """The source's folder below ``root``, in whatever case it is written; None = it is not there."""
        expected = self.load().default_folder
        folders = [path for path in sorted(root.iterdir()) if path.name.lower() == expected.lower() and path.is_dir()]
        return root / expected if root / expected in folders else next(iter(folders), None)


SOURCES: dict[str, Source] = {
    'refcoco': Source('RefCOCO', 'refcoco'),
    'visdrone': Source('VisDrone', 'visdrone'),
    'dior': Source('DIOR', 'dior', divided=True),
    'dota': Source('DOTAv2', 'dota', crops='optional'),
    'loveda': Source('LoveDA', 'loveda', divided=True),
    'potsdam': Source('Potsdam-Vaihingen', 'potsdam', crops='always'),
    'vaihingen': Source('Potsdam-Vaihingen', 'vaihingen', crops='always'),
    'inria': Source('AerialImage', 'inria', crops='always', divided=True),
    'airslt': Source('AIR-SLT', 'airslt', separate_test_set=True),
}
"""By name, in the order of Table 1, in which they are also merged."""
