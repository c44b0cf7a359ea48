"""Class names as words, their English plural, and the checks that word lists from JSON files share."""

from __future__ import annotations

import re
from typing import Any

from xemap.errors import DataError

_IRREGULAR = {
    'aircraft': 'aircraft',
    'person': 'people',
    'people': 'people',
    'man': 'men',
    'woman': 'women',
    'child': 'children',
    'foot': 'feet',
    'sheep': 'sheep',
}


def category_words(category: str) -> str:
    """A class name as lower-case words: ``StorageTank``, ``storage-tank``, ``storage_tank`` are one."""
    spaced = re.sub(r'(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])', ' ', category)
    return ' '.join(re.split(r'[\s_\-]+', spaced.strip(' _-\t\n'))).lower()


def category_key(category: str) -> str:
    """``'storagetank'`` for ``Storage-Tank``, ``storage_tank`` and ``storagetank``."""
    return category_words(category).replace(' ', '')


def plural(noun: str) -> str:
    """English plural of a noun phrase by its last word; a word that looks plural already stays."""
    head, _, last = noun.rpartition(' ')
    if last in _IRREGULAR:
        last = _IRREGULAR[last]
    elif re.search(r'(ss|us|is|as|x|z|ch|sh)$', last):
        last += 'es'
    elif re.search(r'[^aeiou]y$', last):
        last = f'{last[:-1]}ies'
    elif not last.endswith('s'):
        last += 's'
    return f'{head} {last}' if head else last


def parse_texts(content: Any, file: str, where: str) -> list[str]:
    """A list of texts in a JSON file, none of them empty; ``file`` and ``where`` are for the DataError."""
    if not isinstance(content, list) or not content or not all(isinstance(t, str) and t.strip() for t in content):
        raise DataError(f'{file}: {where} must be a list of texts that are not empty, found {content!r}')
    return content


def check_keys(content: Any, allowed: tuple[str, ...], file: str, where: str) -> None:
    """A JSON object without other keys than those allowed; ``file`` and ``where`` are for the DataError."""
    if not isinstance(content, dict):
        raise DataError(f'{file}: {where} must be a JSON object, found {type(content).__name__}')
    unknown = [key for key in content if key not in allowed]
    if unknown:
        raise DataError(f'{file}: {where} has unknown key {unknown[0]!r}; known are {", ".join(allowed)}')
