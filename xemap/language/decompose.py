"""The one-hop parts of a multi-hop query (paper Fig. 7).

The grammar: a query is noun phrases with relation phrases between them. ::

    query    = [opening] phrase {relation phrase | "and" phrase}
    opening  = "find" | "where is" | "there are" | "which" …
    relation = ["that is" | "are" …] [participle] [adverb] words of RELATIONS | SHORT | participle MOTIONS
    phrase   = everything else: determiners, attributes, "with red roofs", places such as "on the left of the image"

Five rules decide what is between phrases. The short prepositions and the verbs of :data:`SHORT`, which also stand
within phrases, count before a determiner or a number ("on the runway", not "on land"), or after a participle ("built
on land"); those of :data:`MOTIONS` after a participle only ("unloading from a ship"). What follows must be an object:
"the top of the image" is a place, "each other" is nothing. "and" counts before a determiner ("the road and the lake",
not "track and field ground") unless an attribute goes on ("with a red roof and a white wall"), and after "between". A
relation in front, closed by a comma, is moved behind. What is stated behind an anchor ("the lot next to the field is
full of cars") is about the target and belongs to no anchor.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from xemap.errors import ConfigError

RELATIONS = (
    r'(?:to|on|at) the (?:far )?(?:left|right|top|bottom|north|south|east|west)(?:[- ]?(?:side|hand side|end))? of',
    r'(?:in|at|on|along) the (?:middle|cent(?:er|re)|edges?|end|side|corner|shores?|banks?) of',
    'left of|right of|north of|south of|east of|west of|in front of|inside of|outside of',
    'next to|adjacent to|close to|closest to|nearest to|nearest|near to|near|beside|alongside|along',
    'opposite to|opposite',
    'farthest away from|furthest away from|farthest from|furthest from|far away from|far from|away from',
    'most distant from|distant from|across from',
    'above|below|beneath|underneath|under|behind|inside|outside|within|between|among|around|across|beyond',
    'surrounded by|enclosed by|bordered by|flanked by|divided by|surrounding|connected to|attached to|leading to',
    'larger than|bigger than|smaller than|longer than|shorter than',
)
"""Wordings of relations, as regular expressions."""

SHORT = (
    'in|on|at|by|over|span(?:s|ning)?|cross(?:es|ing)?|fac(?:e|es|ing)|overlook(?:s|ing)?|connect(?:s|ing)?|'
    'link(?:s|ing)?'
)
"""Wordings that need a determiner or a number behind them, or a participle in front."""

MOTIONS = 'from|to|into|onto|off|out of|through|towards?|past'
"""Wordings that need a participle in front."""

_DETERMINER = (
    r'(?:the|an?|this|that|these|those|its|their|all|both|some|several|many|each|every|another|other|'
    r'one|two|three|four|five|six|seven|eight|nine|ten|\d+)\b'
)
_VERB = r'(?:(?:that|which)\s+)?(?:(?:is|are|was|were)\b|sits?\b|lies?\b|stands?\b|runs?\b)'
_PARTICIPLE = (
    r'(?:(?:being\s+)?(?:locat|situat|park|dock|moor|plac|construct)ed|built|found|lying|standing|sitting|sailing|'
    r'floating|running|growing)'
)
# "The building to …" is no participle.
_MOVING = r'(?!(?:building|parking|housing|crossing|clearing|landing)\b)\w+ing(?:\s+(?:off|out|up|down|away))?'
# In "on the right next to the lake" right is a place.
_ADVERB = r'(?:directly|just|immediately|closely|(?<!the\s)(?<!upper\s)(?<!lower\s)(?<!top\s)(?<!bottom\s)right)'
_RELATION = '|'.join(RELATIONS)
_SEPARATOR = re.compile(
    rf"""\b(?:{_VERB}\s+)?
    (?:
        (?:{_PARTICIPLE}\s+)?(?:{_ADVERB}\s+)?(?P<relation>{_RELATION.replace(' ', '[ ]')})
      | (?:{_PARTICIPLE}\s+|(?<=is\s)\w+(?:ed|ing)\s+|(?<=are\s)\w+(?:ed|ing)\s+)(?P<after>{SHORT})
      | {_MOVING}\s+(?!{_RELATION.replace(' ', '[ ]')})(?P<motion>{MOTIONS.replace(' ', '[ ]')})(?=\s+{_DETERMINER})
      | (?:{_ADVERB}\s+)?(?P<short>{SHORT})(?=\s+{_DETERMINER})
      | (?P<also>and)(?=\s+{_DETERMINER})
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
_PLACE = re.compile(
    rf"""\s*(?:
        (?:each\s+other|one\s+another|it|them|itself|themselves)\b
      | (?:{_DETERMINER}\s+)?
        (?:(?:very|far|upper|lower|top|bottom|left|right|central|middle|cent(?:er|re)|northern|southern|eastern|western|
            corner|side|part|half|quarter|edge|border|end|rows?|line|image|picture|photo|scene|view)\b[\s-]*)+
        (?:of\s+the\s+(?:image|picture|photo|scene|view)\b\s*)?
      | (?=[,.?!]|$)
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_OPENING = re.compile(
    r'\A(?:(?:please\s+)?(?:find|show|locate|highlight|mark|segment)(?:\s+me)?\s+|(?:where|there)\s+(?:is|are)\s+|which\s+)',
    re.IGNORECASE,
)
_FRONTED = re.compile(rf'(?P<relation>{_RELATION})\s+(?P<anchor>[^,]+),\s*(?P<target>.+)', re.IGNORECASE)
_HOLLOW = re.compile(rf'(?:\s|[,.?!]|{_DETERMINER}|(?:is|are|that|which)\b)*', re.IGNORECASE)
# "the field that is green" tells the anchor, "the field is green" does not.
_STATEMENT = re.compile(r'(?<=\w)(?<!\bthat)(?<!\bwhich)\s+(?:is|are|was|were|has|have)\s.*\Z', re.IGNORECASE)
_KINDS = ('relation', 'after', 'motion', 'short', 'also')
_END = re.compile(r'\s*(?:[,.?!]|$)')
_DANGLING = re.compile(r'(?:\s+(?:is|are|that|which|being))+$', re.IGNORECASE)


@dataclass(frozen=True)
class Part:
    """A one-hop part of a query.

    Args:
        text: noun phrase with its determiner and attributes.
        role: ``'target'``, what the query means, or ``'anchor'``, another object that identifies it.
        relation: words between the phrase before and this one, lower case; '' of the first and of parts by hand.
    """

    text: str
    role: str
    relation: str = ''


def decompose(query: str, parts: Sequence[str] = ()) -> list[Part]:
    """One-hop parts of a query, the target first; a query of one hop is its only part, word for word.

        >>> [part.text for part in decompose('the parking lot between the road and the lake')]
        ['the parking lot', 'the road', 'the lake']

    Args:
        query: the text.
        parts: texts to take instead, the target first.

    Raises:
        ConfigError: the query or a part has no words.
    """
    for text in (query, *parts):
        if not text.strip():
            raise ConfigError(f'part or query {text!r} is empty; remove it or give it words')
    if parts:
        return [Part(text.strip(), 'anchor' if i else 'target') for i, text in enumerate(parts)]
    text = ' '.join(query.split()).strip(' .?!')
    fronted = _FRONTED.fullmatch(text)
    if fronted:
        relation = fronted['relation'].lower()
        anchors = [
            replace(part, role='anchor', relation=part.relation or relation) for part in _split(fronted['anchor'])
        ]
        phrases = _split(_OPENING.sub('', fronted['target'])) + anchors
    else:
        phrases = _split(_OPENING.sub('', text))
    phrases = _without_bare_and(phrases)
    if len(phrases) == 1 or any(_HOLLOW.fullmatch(part.text) for part in phrases):
        return [Part(query.strip(), 'target')]
    return phrases


def whole_and_parts(queries: Sequence[str], parts: Sequence[str] = ()) -> tuple[list[str], dict[str, list[Part]]]:
    """Queries to give a model, to show multi-hop ones with their parts.

    Args:
        queries: texts.
        parts: by hand, as for :func:`decompose`; for one query only.

    Returns:
        the queries followed by those parts that are not among them; and the parts of the multi-hop queries.

    Raises:
        ConfigError: parts by hand of several queries.
    """
    if parts and len(queries) > 1:
        raise ConfigError(f'{len(parts)} parts are given for {len(queries)} queries; give the parts of one query')
    by_query = {query: decompose(query, parts) for query in queries}
    by_query = {query: some for query, some in by_query.items() if len(some) > 1 or some[0].text != query.strip()}
    return list(dict.fromkeys([*queries, *(part.text for some in by_query.values() for part in some)])), by_query


def _split(text: str) -> list[Part]:
    phrases: list[Part] = []
    start, role, relation = 0, 'target', ''
    for match in _SEPARATOR.finditer(text):
        before = text[start : match.start()]
        attribute = match['also'] and re.search(r'\bwith\b', before, re.IGNORECASE)
        if attribute or _HOLLOW.fullmatch(before) or _is_place(text, match.end()):
            continue
        phrases.append(_part(before, role, relation))
        if not match['also']:
            role = 'anchor'
        relation, start = next(filter(None, match.group(*_KINDS))).lower(), match.end()
    return [*phrases, _part(text[start:], role, relation)]


def _part(text: str, role: str, relation: str) -> Part:
    cleaned = _clean(text)
    return Part(_STATEMENT.sub('', cleaned) if role == 'anchor' else cleaned, role, relation)


def _is_place(text: str, start: int) -> bool:
    """What follows is a place in the image, or nothing, and no object: it ends at a comma or before a relation."""
    place = _PLACE.match(text, start)
    return bool(place and (_END.match(text, place.end()) or _SEPARATOR.match(text, place.end())))


def _without_bare_and(parts: list[Part]) -> list[Part]:
    """Split "between road and lake", which has no determiner that would tell."""
    split: list[Part] = []
    for i, part in enumerate(parts):
        first, also, second = part.text.rpartition(' and ')
        following = parts[i + 1].relation if i + 1 < len(parts) else ''
        if part.relation == 'between' and also and following != 'and':
            split += [replace(part, text=first), Part(second, 'anchor', 'and')]
        else:
            split.append(part)
    return split


def _clean(text: str) -> str:
    return _DANGLING.sub('', text.strip(' ,')).strip(' ,')
