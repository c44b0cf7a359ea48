"""Texts that were broken in a known way: what a model scores with them tells what it takes from the whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from xemap.errors import ConfigError
from xemap.evaluation.paired import paired_difference
from xemap.evaluation.report import UNKNOWN
from xemap.evaluation.scores import Row, Score
from xemap.language.decompose import decompose

CONTROLS = {
    'rotate': 'the text of the next query of the image, or of the next image where it has one query only',
    'constant': 'the same text for every query: "the object"',
    'target-only': 'the phrase that names the referent, without places and relations',
    'category': 'the name of the category alone',
    'shuffle-words': 'the words in random order',
}
CONSTANT = 'the object'

Key = tuple[int, int]


def broken_texts(infos: Iterable[Mapping[str, Any]], control: str) -> dict[Key, str]:
    """The texts of a control, by ``sample_idx`` and query number, for queries where it changes something.

    Args:
        infos: the test set's images, each with ``sample_idx``, ``query_ids`` and ``queries``.
        control: a key of :data:`CONTROLS`.

    Raises:
        ConfigError: the control is unknown, or it changes no query.
    """
    if control not in CONTROLS:
        raise ConfigError(f'text control "{control}" is unknown; use one of {", ".join(CONTROLS)}')
    images = [
        [((int(info['sample_idx']), int(i)), query) for i, query in zip(info['query_ids'], info['queries'])]
        for info in infos
    ]
    images = [queries for queries in images if queries]
    texts: dict[Key, str | None] = {}
    for place, queries in enumerate(images):
        for number, (key, query) in enumerate(queries):
            if control == 'rotate':
                following = queries[number + 1 :] + queries[:number] or images[(place + 1) % len(images)]
                texts[key] = following[0][1].text
            elif control == 'constant':
                texts[key] = CONSTANT
            elif control == 'target-only':
                texts[key] = decompose(query.text)[0].text
            elif control == 'category':
                texts[key] = query.category
            else:
                texts[key] = _shuffled(query.text)
    originals = {key: query.text for queries in images for key, query in queries}
    changed = {key: text for key, text in texts.items() if text and _plain(text) != _plain(originals[key])}
    if not changed:
        raise ConfigError(f'text control "{control}" changes none of {len(originals)} queries; use another one')
    return changed


def control_report(
    whole: Sequence[Row], broken: Sequence[Row], keys: Iterable[Key], scores: Sequence[Score], seed: int = 0
) -> dict[str, Any]:
    """Whole texts minus broken ones, paired, over the queries that a control changes.

    Args:
        whole, broken: one row per query of the two runs.
        keys: the queries that the control changes.
        scores: the first gives ``difference``, ``low`` and ``high``.
        seed: seed of the bootstrap.

    Returns:
        ``overall``, ``by_kind``, and both again under ``with_distractors`` for queries that are known to have some;
        each entry has ``difference``, ``low``, ``high``, ``queries`` and, by score, ``scores``.
    """
    changed = set(keys)

    def entries(rows: list[Row]) -> dict[str, Any]:
        kinds = dict.fromkeys(row['kind'] or UNKNOWN for row in rows)
        of_kind = {kind: [row for row in rows if (row['kind'] or UNKNOWN) == kind] for kind in kinds}
        by_kind = {kind: _entry(members, broken, scores, seed) for kind, members in of_kind.items()}
        return {'overall': _entry(rows, broken, scores, seed), 'by_kind': by_kind}

    chosen = [row for row in whole if (row['sample_idx'], row['query_id']) in changed]
    report = entries(chosen)
    hard = [row for row in chosen if row.get('distractors')]
    return report | ({'with_distractors': entries(hard)} if hard else {})


def format_control(control: str, report: Mapping[str, Any], label: str) -> str:
    """Lines of a report: what the control is, then whole, broken and difference for all queries and each kind."""
    lines = [
        f'text control {control}: {CONTROLS[control]}',
        f'{label} of the whole text, of the broken one, and the difference with its 95 % interval:',
    ]
    parts = {'': report, ', with distractors': report.get('with_distractors', {})}
    for suffix, part in parts.items():
        named = {'all changed queries': part.get('overall'), **part.get('by_kind', {})}
        for name, entry in named.items():
            if entry and entry['difference'] is not None:
                bounds = '' if entry['low'] is None else f' [{entry["low"]:+.4f}, {entry["high"]:+.4f}]'
                numbers = f'{entry["whole"]:.4f} {entry["broken"]:.4f} {entry["difference"]:+.4f}{bounds}'
                lines.append(f'  {name}{suffix}: {numbers}, {entry["queries"]} queries')
    return '\n'.join(lines)


def _entry(rows: list[Row], broken: Sequence[Row], scores: Sequence[Score], seed: int) -> dict[str, Any]:
    differences = {score.name: paired_difference(rows, broken, score, seed) if rows else None for score in scores}
    known = {name: value.as_dict() for name, value in differences.items() if value is not None}
    first = differences[scores[0].name]
    if first is None:
        return {'difference': None, 'low': None, 'high': None, 'queries': 0, 'scores': known}
    return {
        **{'whole': first.first, 'broken': first.second, 'difference': first.difference},
        **{'low': first.low, 'high': first.high, 'queries': first.queries, 'scores': known},
    }


def _shuffled(text: str) -> str:
    """The words in an order that depends on the text alone, so that every run and rank draws the same."""
    words = text.split()
    seed = int.from_bytes(hashlib.sha256(text.encode('utf-8', 'surrogatepass')).digest()[:8], 'big')
    return ' '.join(words[i] for i in np.random.default_rng(seed).permutation(len(words)))


def _plain(text: str) -> str:
    """Without what changes no meaning: case, end of the sentence, article at the beginning."""
    words = text.strip(' .?!').lower().split()
    return ' '.join(words[1:] if words[:1] in (['the'], ['a'], ['an']) else words)
