"""Pascal VOC XML, as DIOR, DIOR-R and DIOR-RSVG write it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree

import numpy as np

from xemap.errors import DataError, LayoutError
from xemap.language.nouns import category_words

DIOR_CATEGORIES = {
    words.replace(' ', ''): words
    for words in (
        'airplane',
        'airport',
        'baseball field',
        'basketball court',
        'bridge',
        'chimney',
        'dam',
        'expressway service area',
        'expressway toll station',
        'golf field',
        'ground track field',
        'harbor',
        'overpass',
        'ship',
        'stadium',
        'storage tank',
        'tennis court',
        'train station',
        'vehicle',
        'windmill',
    )
}
"""Category by its name without spaces, hyphens and capitals, which vary from file to file."""

CORNERS = {
    'bndbox': ('xmin ymin', 'xmax ymin', 'xmax ymax', 'xmin ymax'),
    'robndbox': tuple(f'x_{corner} y_{corner}' for corner in ('left_top', 'right_top', 'right_bottom', 'left_bottom')),
}
"""Where each kind of box holds the x and y of its corners, clockwise."""


@dataclass(frozen=True)
class VocObject:
    """One object of an annotation file.

    Args:
        category: as the file has it.
        polygon: (4, 2) float64, x, y pixels.
        text: its expression, where the file has one.
        where: file and number of the object.
    """

    category: str
    polygon: np.ndarray
    text: str | None
    where: str


@dataclass(frozen=True)
class VocFile:
    """What a file says about its image.

    Args:
        image: name of the image file, where given.
        size: (height, width), where given.
        objects: in the file's order.
    """

    image: str | None
    size: tuple[int, int] | None
    objects: list[VocObject]


def dior_category(name: str, where: str) -> str:
    """The category in words: ``Expressway-toll-station`` and ``expressway toll station`` are one.

    Raises:
        DataError: none of DIOR's 20.
    """
    category = DIOR_CATEGORIES.get(category_words(name).replace(' ', ''))
    if category is None:
        raise DataError(f'{where}: category {name!r} is none of DIOR: {", ".join(DIOR_CATEGORIES.values())}')
    return category


def read_voc(file: Path, box: str = 'bndbox') -> VocFile:
    """Read an annotation file. XML that declares a document type, and with it entities, is refused.

    Args:
        file: the XML file.
        box: ``'bndbox'`` or ``'robndbox'``.

    Raises:
        DataError: the file is missing or no complete XML.
        LayoutError: it is other XML, or an object lacks its name or that kind of box.
    """
    try:
        root = ElementTree.fromstring(file.read_bytes(), ElementTree.XMLParser(target=_PlainTreeBuilder()))
    except OSError as error:
        raise DataError(f'{file} cannot be read ({error.strerror}); copy it there') from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # the last for an unknown encoding
        raise DataError(f'{file} is no complete XML ({error}); copy it again') from error
    except DataError as error:
        raise LayoutError(f'{file}: {error}') from error
    if root.tag != 'annotation':
        raise LayoutError(f'{file} holds <{root.tag}>, not the <annotation> of Pascal VOC')
    objects = [
        _read_object(element, box, f'{file} object {number}')
        for number, element in enumerate(root.iterfind('object'), 1)
    ]
    size = None
    if root.find('size') is not None:
        height, width = (_number(root, f'size/{side}', str(file)) for side in ('height', 'width'))
        size = (int(height), int(width))
    return VocFile(root.findtext('filename'), size, objects)


def _read_object(element: ElementTree.Element, box: str, where: str) -> VocObject:
    name = (element.findtext('name') or '').strip()
    if not name:
        raise LayoutError(f'{where} has no <name>; it is no object of Pascal VOC')
    if element.find(box) is None:
        kinds = [child.tag for child in element if child.tag in CORNERS]
        raise LayoutError(f'{where} has no <{box}> (found: {", ".join(kinds) or "no box"}); choose the other boxes')
    corners = [[_number(element, f'{box}/{key}', where) for key in corner.split()] for corner in CORNERS[box]]
    return VocObject(name, np.array(corners, dtype=np.float64), element.findtext('description'), where)


def _number(element: ElementTree.Element, path: str, where: str) -> float:
    text = element.findtext(path) or ''
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise LayoutError(f'{where}: <{path}> is {text!r}, not a number')
    return number


class _PlainTreeBuilder(ElementTree.TreeBuilder):
    """Stops at a document type declaration: only there can a file define entities."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> NoReturn:
        raise DataError(f'declares the document type {name!r}; remove the line, VOC files need none')
