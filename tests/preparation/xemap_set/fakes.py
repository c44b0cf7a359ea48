"""Sources that are told how to behave by files beside their folders, as they run in processes of their own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from xemap.errors import DataError
from xemap.preparation.converters.base import Item
from xemap.preparation.converters.images import relative_name
from xemap.preparation.converters.source import SourceConverter
from xemap.preparation.geometry import box_polygon
from xemap.preparation.instance import Instance
from xemap.preparation.xemap_set import Source


class Fake(SourceConverter):
    """Images in a folder; those called ``val…`` are for validation. ``<root>/<name>.<what>`` makes it fail or wait."""

    def __init__(self, *args, crops=None, crop_size=None, official_split=False, **options) -> None:
        super().__init__(*args, **options)
        self.crops, self.official_split = crops, official_split

    def items(self) -> list[Item]:
        items = []
        for path in sorted(self.folder.glob('*.png')):
            split = 'val' if path.name.startswith('val') or self.official_split else 'train'
            items.append(Item(path, relative_name(path, self.data_root), None, split))
        return items

    def instances(self, item: Item, size: tuple[int, int]) -> Iterator[Instance]:
        switches = self.folder.parent
        if (switches / f'{self.name}.broken').exists():
            self.bad(DataError(f'{item.image} is broken'), 'bad_annotations')
        if (switches / f'{self.name}.bug').exists():
            raise ZeroDivisionError('a bug')
        if (switches / f'{self.name}.killed').exists():
            os.kill(os.getpid(), signal.SIGKILL)
        while (switches / f'{self.name}.wait').exists() and item.name.endswith('b.png'):
            (switches / f'{self.name}.waits').touch()
            time.sleep(0.05)
        if self.crops is not None:
            Image.new('RGB', (4, 4)).save(self.data_root / self.crops / item.image.name)
        yield from filter(None, [self.polygon_instance('tank', [box_polygon(2, 2, 9, 9)], size, item.name)])


class One(Fake):
    name, default_folder = 'one', 'One'


class Two(Fake):
    name, default_folder = 'two', 'Two'


class Three(Fake):
    name, default_folder = 'three', 'Three'


MODULE = 'tests.preparation.xemap_set.fakes'
SOURCES = {
    'one': Source('LoveDA', f'{MODULE}:One', divided=True),
    'two': Source('Potsdam-Vaihingen', f'{MODULE}:Two', crops='always'),
    'three': Source('Potsdam-Vaihingen', f'{MODULE}:Three', crops='optional'),
}


def make(root: Path) -> Path:
    """Two training images and one for validation in each source."""
    for folder in ('One', 'Two', 'Three'):
        (root / folder).mkdir(parents=True)
        for name in ('a', 'b', 'val'):
            Image.new('RGB', (40, 30)).save(root / folder / f'{name}.png')
    return root
