"""Which queries mean the same in a part of the image: those that do not measure things against the whole of it."""

from __future__ import annotations

import re

from xemap.language.decompose import decompose
from xemap.language.directions import ORDINAL, names_a_direction

_NUMBERS = (
    'one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozens?|hundreds?|thousands?|no|none|only|single'
    r'|sole|lone|alone|both|pairs?|couple|trio|several|many|few|fewer|numerous|lots?|half|quarter|third|rest|\d+'
)
_PLACES = (
    'cent(?:er|re|ral)|middle|corners?|edges?|borders?|margins?|boundar(?:y|ies)|image|picture|photo|scene|frame|map'
)
_SIZES = (
    'large|larger|big|bigger|small|smaller|little|tiny|huge|giant|vast|enormous|main|major|minor|most|least|more|less'
)
_SHAPES = (
    'long|longer|short|shorter|elongated|square|round|circular|rectangular|oval|straight|curved|narrow|wide|whole'
    '|entire'
)
_NO_SUPERLATIVE = {'forest', 'harvest', 'crest', 'nest', 'test', 'chest', 'quest'}
_COMPARED = re.compile(
    rf'\b(?:{_NUMBERS}|{_PLACES}|{_SIZES}|{_SHAPES}|(?P<superlative>\w+est)|\w+most|far|near|outer|inner|other|another|else'
    r'|remaining|different|same)\b',
    re.IGNORECASE,
)


def survives_crop(text: str, hops: int | None = None) -> bool:
    """Whether a query names the same in every part of the image that holds its region.

    A place ("on the left"), a superlative ("the largest"), a size (a share of the image), a shape (the border may cut
    it), a count, an ordinal and another object that may be cut away ("next to the road") make it depend on the rest of
    the image.

    Args:
        text: the query.
        hops: as in :class:`~xemap.structures.Query`; None = unknown, the text is read.
    """
    if names_a_direction(text) or ORDINAL.search(text):
        return False
    for match in _COMPARED.finditer(text):
        if match['superlative'] is None or match['superlative'].lower() not in _NO_SUPERLATIVE:
            return False
    return hops == 1 or (hops is None and len(decompose(text)) == 1)
