"""Rewriting a query so that it stays true in the mirrored image.

English is wide and the rules are few, so they lean to one side: a text is rewritten only where its
direction words are understood as places in the image; in doubt it is refused, and the image is not
flipped. Compass words follow the image (north is up), as they do in every data set used here.
"""

from __future__ import annotations

import re

_OPPOSITE = {
    'left': 'right',
    'east': 'west',
    'top': 'bottom',
    'upper': 'lower',
    'north': 'south',
}
_OPPOSITE |= {b: a for a, b in _OPPOSITE.items()}

_START, _END = r'(?<![A-Za-z])', r'(?![A-Za-z])'
COMPASS_END = r'(?:ern(?:most)?|most|ward(?:ly|s)?|erly|bound)?'
_WORDS = {
    'horizontal': (
        r'(?:top|bottom|upper|lower)?(?P<place>left|right)(?:most|ward|wards|side)?'
        rf'|(?:north|south)?(?P<compass>east|west){COMPASS_END}'
    ),
    'vertical': (
        r'(?P<place>top|bottom|upper|lower)(?:most|side|left|right)?'
        rf'|(?P<compass>north|south)(?:east|west)?{COMPASS_END}'
    ),
}

PICTURE = r'(?:(?:the|this|that|an?)\s+)?(?:whole\s+|entire\s+)?(?:image|picture|photo|photograph|scene|frame|map)'
PART = (
    r'left|right|part|half|side|corner|edge|portion|middle|center|centre|area|section|third|quarter|region|border'
    r'|end|row|boundary|margin'
)
# Uses in which a direction word is no place in the image, or which no swap of words can mirror. Each is
# symmetric in the words of a pair, so that a rewritten text is never refused.
_REFUSED_ALWAYS = (
    r'(?:(?:anti|counter)-?)?clockwise',
    r"o['’]?clock",
    r'(?:un)?mirror(?:ed|s)?',
    r'(?:[NS]?[NS][EW]|[EW][NS][EW])',  # as in NE or WSW
)
_REFUSED = {
    'horizontal': (
        r'(?:left|right)[-\s]*(?:hander|handed|footed|angled?|angles|triangles?|triangular|wing(?:ed|s)?)',
        r'(?:left|right)[-\s]+of[-\s]+way',
        r'(?:left|right)\s+(?:next|besides?|behind|before|after|above|below|at|by|where|when|there|here|now|away'
        r'|in|on|under|underneath|over|across|through|along|between|into|past|inside|outside|out|off|around|near'
        r'|against|opposite|adjacent|up|down|open|empty|unused|untouched|fallow|blank|alone|bare)',
        r'(?:is|are|was|were|be|been|being|has|have|had|just|all)\s+(?:left|right)(?!\s+of\b)',
    ),
    'vertical': (
        rf'(?:top|bottom)(?=\s+of\b)(?!\s+of\s+{PICTURE}\b)',
        r'(?:top|bottom)[-\s]*(?:down|up|floors?|levels?|decks?|views?|layers?)',
        # "the top tank" and "top left corner" are places, "a red top building" is not.
        rf'(?<!^)(?<!the )(?<!at )(?<!very )(?<!far )(?<!from )(?<!to )(?<!in )(?<!image )'
        rf'(?:top|bottom)(?!\s+of\b|\s*-?\s*(?:{PART})\b)',
        # "the lower corner" is a place, "the lower buildings" may be the less tall ones.
        rf'(?:upper|lower)(?!\s*-?\s*(?:{PART})\b)',
        r'(?:above|below|beneath|underneath|up|down|upwards?|downwards?|upside|(?:up|down)(?:hill|stream))',
    ),
}
ORDINAL = re.compile(
    rf'{_START}(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|last)(?!\s+of\s+the\s+image){_END}'
    r'|\b\d+(?:st|nd|rd|th)\b',
    re.IGNORECASE,
)


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(f'{_START}(?:{pattern}){_END}', re.IGNORECASE)


_REFUSAL = {axis: _compile('|'.join((*_REFUSED_ALWAYS, *uses))) for axis, uses in _REFUSED.items()}
_DIRECTION = {axis: _compile(words) for axis, words in _WORDS.items()}


def mirror_directions(text: str, direction: str) -> str | None:
    """What a query reads in the mirrored image: "the lake in the top left" -> "… top right".

    Left/right and east/west swap horizontally; top/bottom, upper/lower and north/south vertically, with
    their forms (leftmost, southeastern, upper-right). Case is kept. Applied twice it gives ``text``.

    Args:
        text: the query.
        direction: ``'horizontal'`` (left and right change places) or ``'vertical'``.

    Returns:
        The rewritten text; None where it cannot be rewritten safely: "right angle", "clockwise",
        "on top of the roof", or an ordinal that counts from an unnamed side ("the second plane").

    Raises:
        ValueError: another direction.
    """
    if direction not in _DIRECTION:
        raise ValueError(f'direction {direction!r}; expected "horizontal" or "vertical"')
    if is_refused(text, direction) or counts_from_an_unnamed_side(text):
        return None
    pieces, end = [], 0
    for match in _DIRECTION[direction].finditer(text):
        group = 'place' if match['place'] else 'compass'
        word, opposite = match[group], _OPPOSITE[match[group].lower()]
        styles = [style for style in (str.lower, str.upper, str.capitalize) if style(word) == word]
        if not styles:  # no opposite has the case of "lEft"
            return None
        pieces += [text[end : match.start(group)], styles[0](opposite)]
        end = match.end(group)
    return ''.join(pieces) + text[end:]


def is_refused(text: str, direction: str) -> bool:
    """Whether a text has uses of direction words that no exchange of words mirrors."""
    return _REFUSAL[direction].search(text) is not None


def names_a_direction(text: str) -> bool:
    """Whether a text has any direction word, whatever it means there."""
    return any(words.search(text) for words in (*_DIRECTION.values(), *_REFUSAL.values()))


def counts_from_an_unnamed_side(text: str) -> bool:
    """Whether it has an ordinal, as "the second plane", and no side from which it could count."""
    return ORDINAL.search(text) is not None and not any(words.search(text) for words in _DIRECTION.values())
