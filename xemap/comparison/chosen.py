"""Which queries a comparison draws, and the parts that it draws with them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from xemap.engine.draw_hook import even_choice
from xemap.errors import ConfigError
from xemap.language.decompose import whole_and_parts
from xemap.structures import Query

Key = tuple[int, int]
"""``sample_idx`` and query number."""


def choose_queries(infos: Sequence[Mapping[str, Any]], selection: Sequence[str], number: int) -> dict[Key, Query]:
    """Queries to draw.

    Args:
        infos: the test set's images, each with ``sample_idx``, ``query_ids`` and ``queries``.
        selection: entries of two kinds. ``IMAGE:QUERY``, the columns ``sample_idx`` and ``query_id`` of a
            ``*.queries.csv``. Or a text: all queries equal to it or, where there is none, all that contain it,
            in upper or lower case.
        number: how many to take, spread evenly over the test set, where ``selection`` is empty.

    Raises:
        ConfigError: the test set has no such query.
    """
    every = {
        (int(info['sample_idx']), int(query_id)): query
        for info in infos
        for query_id, query in zip(info['query_ids'], info['queries'])
    }
    if not selection:
        keys = list(every)
        return {keys[i]: every[keys[i]] for i in even_choice(len(keys), number)}
    chosen: dict[Key, Query] = {}
    for text in selection:
        match = re.fullmatch(r'(\d+):(\d+)', text)
        if match:
            matches = {key: query for key, query in every.items() if key == (int(match[1]), int(match[2]))}
        else:
            plain = _plain(text)
            matches = {key: query for key, query in every.items() if _plain(query.text) == plain}
            matches = matches or {key: query for key, query in every.items() if plain in _plain(query.text)}
        if not matches:
            raise ConfigError(
                f'query "{text}" is not among the {len(every)} of the test set; give a part of its text, or '
                'IMAGE:QUERY as in the columns sample_idx and query_id of a .queries.csv'
            )
        chosen |= matches
    return chosen


def parts_of(chosen: Mapping[Key, Query], parts: Sequence[str] | None) -> dict[Key, list[str]]:
    """Texts of the parts of each chosen query; none for queries of one hop.

    Args:
        chosen: the result of :func:`choose_queries`.
        parts: by hand, for one query only; empty = by rules, None = leave parts out.

    Raises:
        ConfigError: parts by hand of several queries.
    """
    if parts is None:
        return {key: [] for key in chosen}
    split = whole_and_parts(list(dict.fromkeys(query.text for query in chosen.values())), parts)[1]
    return {key: [part.text for part in split.get(query.text, [])] for key, query in chosen.items()}


def _plain(text: str) -> str:
    return ' '.join(text.split()).strip(' .?!').lower()
