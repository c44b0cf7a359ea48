"""Rewriting a query so that it stays true in the image turned by right angles.

As :mod:`xemap.language.directions` does for mirrored images: in doubt a text is refused.
"""

from __future__ import annotations

import re

from xemap.language.directions import (
    COMPASS_END,
    PART,
    PICTURE,
    counts_from_an_unnamed_side,
    is_refused,
    mirror_directions,
)

_TURN = {'right': 'top', 'top': 'left', 'left': 'bottom', 'bottom': 'right'}
"""Where each side comes to lie by a quarter turn counterclockwise."""
_COMPASS = {'north': 'top', 'south': 'bottom', 'east': 'right', 'west': 'left'}
_POINT = {side: point for point, side in _COMPASS.items()}
_SIDE = {'upper': 'top', 'lower': 'bottom'}
_UPPER = {'top': 'upper', 'bottom': 'lower'}

_VERTICAL, _HORIZONTAL = 'top|bottom|upper|lower', 'left|right'
_END_OF_PLACE = rf'(?=\s*(?:$|[.,;:!?)]|(?:and|or)\b|of\s+{PICTURE}\b))'
_WORDS = re.compile(
    rf'\bclosest\s+to\s+the\s+(?P<nearest>top|bottom)\s+of\s+{PICTURE}\b'
    rf'|\bfa?u?rthest\s+to\s+the\s+(?P<farthest>{_HORIZONTAL})\b(?!\s+of\b)'
    rf'|\b(?P<v>{_VERTICAL})(?P<gap>[-\s]?)(?P<h>{_HORIZONTAL})(?P<corner_end>most)?\b'
    rf'|\b(?P<ns>north|south)(?P<compass_gap>[-\s]?)(?P<ew>east|west)(?P<diagonal_end>{COMPASS_END})\b'
    rf'|\b(?P<compass>north|south|east|west)(?P<compass_end>{COMPASS_END})\b'
    rf'|\b(?P<extreme>{_VERTICAL}|{_HORIZONTAL})most\b'
    rf'|\b(?:(?:to|on)\s+the\s+|(?<!the\s))(?P<beside>{_HORIZONTAL})\s+of\b(?!\s+{PICTURE}\b)'
    rf'|\b(?:on|at|in)\s+the\s+(?P<at>top|bottom|{_HORIZONTAL})(?:\s+side)?\b{_END_OF_PLACE}'
    rf'|\b(?P<part>{_VERTICAL}|{_HORIZONTAL})(?=\s*-?\s*(?:{PART})\b)'
    rf'|\b(?P<side>top|bottom|{_HORIZONTAL})\b(?!\s+of\b(?!\s+{PICTURE}\b))',
    re.IGNORECASE,
)
# What a quarter turn changes and no exchange of words mends, and direction words in forms that are not known.
_REFUSED = re.compile(
    r'\b(?:horizontal|vertical)(?:ly)?\b|\b(?:rows?|columns?|upright|sideways|tall|high|wide|broad)\b'
    rf'|\b(?:{_HORIZONTAL})[-\s]?(?:{_VERTICAL})\b|\b(?:{_VERTICAL}|{_HORIZONTAL})(?:wards?|side)\b',
    re.IGNORECASE,
)
_OF = re.compile(r'\s+of\b', re.IGNORECASE)
_WHOLE_WORD = re.compile(
    rf'(?<![A-Za-z])(?:{_VERTICAL}|{_HORIZONTAL}|(?:north|south|east|west){COMPASS_END})(?![A-Za-z])', re.IGNORECASE
)


def rotate_directions(text: str, turns: int) -> str | None:
    """What a query reads in the turned image: "the lake in the top left corner" -> "… bottom left corner".

    Sides, corners, compass words, extremes and "left of" are rewritten, prepositions with them: "on the left" becomes
    "at the bottom".

    Args:
        text: the query.
        turns: quarter turns counterclockwise, as of :func:`numpy.rot90`.

    Returns:
        The rewritten text, its meaning the same and its words not always: "the upper part" may come back from "the
        top part"; None where it cannot be rewritten safely, which is wherever one of the mirror images cannot, and
        beside that "vertical", "rows", "tall" and their like.
    """
    turns %= 4
    if turns == 0:
        return text
    if turns == 2:
        mirrored = mirror_directions(text, 'horizontal')
        return None if mirrored is None else mirror_directions(mirrored, 'vertical')
    if any(is_refused(text, direction) for direction in ('horizontal', 'vertical')):
        return None
    if _REFUSED.search(text) or counts_from_an_unnamed_side(text):
        return None
    pieces, end = [], 0
    for match in _WORDS.finditer(text):
        words = match[0]
        rewritten = _rewritten(match, turns)
        style = next((style for style in (str.lower, str.upper, str.capitalize) if style(words) == words), None)
        if style is None:  # a phrase of several words with a capital within, as no sentence has
            return None
        pieces += [text[end : match.start()], style(rewritten)]
        if _WHOLE_WORD.search(pieces[-2]):
            return None
        end = match.end()
    rest = text[end:]
    return None if _WHOLE_WORD.search(rest) else ''.join(pieces) + rest


def _rewritten(match: re.Match[str], turns: int) -> str:
    groups = {name: value.lower() for name, value in match.groupdict().items() if value is not None}
    if 'nearest' in groups:
        return f'farthest to the {_turned(groups["nearest"], turns)}'
    if 'farthest' in groups:
        return f'closest to the {_turned(groups["farthest"], turns)} of the image'
    if 'v' in groups:
        # Of the two turned sides one is vertical again; it keeps the family of words.
        sides = {_turned(_SIDE.get(groups['v'], groups['v']), turns), _turned(groups['h'], turns)}
        vertical, horizontal = next(iter(sides & set(_UPPER))), next(iter(sides - set(_UPPER)))
        vertical = _UPPER[vertical] if groups['v'] in _SIDE else vertical
        return f'{vertical}{groups["gap"]}{horizontal}{groups.get("corner_end", "")}'
    if 'ns' in groups:
        points = {_POINT[_turned(_COMPASS[groups[name]], turns)] for name in ('ns', 'ew')}
        first, second = next(iter(points & {'north', 'south'})), next(iter(points & {'east', 'west'}))
        return f'{first}{groups["compass_gap"]}{second}{groups["diagonal_end"]}'
    if 'compass' in groups:
        return _POINT[_turned(_COMPASS[groups['compass']], turns)] + groups['compass_end']
    if 'extreme' in groups:
        return _turned(_SIDE.get(groups['extreme'], groups['extreme']), turns) + 'most'
    if 'beside' in groups:
        return {'top': 'above', 'bottom': 'below'}[_turned(groups['beside'], turns)]
    if 'at' in groups:
        side = _turned(groups['at'], turns)
        if side in _UPPER:
            return f'at the {side}'
        return f'on the {side} side' if _OF.match(match.string, match.end()) else f'on the {side}'
    if 'part' in groups:
        side = _turned(_SIDE.get(groups['part'], groups['part']), turns)
        return _UPPER.get(side, side)
    return _turned(groups['side'], turns)


def _turned(side: str, turns: int) -> str:
    for _ in range(turns):
        side = _TURN[side]
    return side
