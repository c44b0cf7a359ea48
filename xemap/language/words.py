"""The vocabulary: nouns, attributes, places, relations and the sentences around them, from JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from xemap.errors import DataError
from xemap.language.attributes import SHAPES, SIZE_EXTREMES, SIZES
from xemap.language.colors import COLORS
from xemap.language.directions import mirror_directions
from xemap.language.nouns import category_key, category_words, check_keys, parse_texts, plural
from xemap.language.places import EXTREMES, ZONES
from xemap.language.relations import RELATIONS

SUPERLATIVES = (*SIZE_EXTREMES, *EXTREMES)
KNOWN_ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    'roof': ('red', 'gray', 'white', 'blue'),
    'fill': ('full', 'empty'),
    'surface': ('blue', 'green', 'orange'),
    'paint': ('white', 'brown'),
    'crop': ('green', 'yellow', 'brown'),
}
"""Attributes that objects bring along, and their values; nothing measures them."""

_FORMS = ('singular', 'plural')
NOUNS = (*_FORMS, 'plain', 'mass', 'beside')
_ATTRIBUTES = {
    **KNOWN_ATTRIBUTES, 'color': tuple(COLORS), 'shape': SHAPES, 'size': SIZES, 'superlative': SUPERLATIVES
}  # fmt: skip
_FLAGS = {'skip': False, 'place': True, 'along': False, 'color': True, 'size': True, 'fills_box': False}
_OPPOSITE = {
    'horizontal': {'left': 'right', 'leftmost': 'rightmost'},
    'vertical': {'top': 'bottom', 'topmost': 'bottommost', 'above': 'below'},
}
_OPPOSITE = {axis: words | {b: a for a, b in words.items()} for axis, words in _OPPOSITE.items()}


@dataclass(frozen=True)
class CategoryWords:
    """The words for a category.

    Args:
        singular, plural: nouns for one object and for several.
        plain: further nouns for several objects, only where no attribute stands before: "long trees" are not
            long patches of trees.
        mass: nouns for everything of the category in the image, such as "water"; may be empty.
        beside: nouns for one object that something else lies beside, such as "shore"; empty = ``singular``.
        shapes: which of :data:`SHAPES` it may have.
        skip: no expression names it ("background").
        place: whether its place in the image may be named; False for a net of roads.
        along: other things may lie "along" it.
        color, size: whether these may be named.
        fills_box: a box of it shows little else, so that the box's color and shape are its own.
    """

    singular: tuple[str, ...]
    plural: tuple[str, ...]
    plain: tuple[str, ...] = ()
    mass: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ('long',)
    skip: bool = False
    place: bool = True
    along: bool = False
    color: bool = True
    size: bool = True
    fills_box: bool = False


class Words:
    """The word lists and templates.

    Args:
        path: a JSON file of the same make as ``words.json`` beside this module (see
            ``docs/expressions.md``); what it holds replaces the entries of that file list by list and
            category by category. None = that file alone.
        further: more such files, each replacing what those before hold.

    Raises:
        DataError: the file is missing or of another make, or has a wording that a mirrored image would
            make untrue (see :func:`~xemap.language.directions.mirror_directions`).
    """

    def __init__(self, path: str | Path | None = None, *further: str | Path) -> None:
        default = json.loads((resources.files(__package__) / 'words.json').read_text('utf-8'))
        self.path = None if path is None else Path(path)
        self.templates: dict[str, dict] = {}
        self.sentences: dict[str, dict[str, tuple[tuple[str, float], ...]]] = {}
        self.categories: dict[str, CategoryWords] = {}
        self._read(default, 'words.json')
        for file in (*([] if path is None else [path]), *further):
            try:
                content = json.loads(Path(file).read_text('utf-8-sig'))
            except (OSError, ValueError, RecursionError) as error:
                raise DataError(f'word lists {file} cannot be read as JSON: {error}') from error
            self._read(content, str(file))

    def category(self, name: str) -> CategoryWords:
        """Words for a class name; one that the file does not have is called by its own words."""
        words = category_words(name)
        return self.categories.get(category_key(name)) or CategoryWords((words,), (plural(words),))

    def distinct(self, categories: Iterable[str]) -> dict[str, CategoryWords]:
        """Words for the categories of an image, without nouns that could mean another one of them.

        A category that is to be skipped, or that is left without a noun, is left out.
        """
        every = {name: self.category(name) for name in categories}
        result = {}
        for name, words in every.items():
            rest = [every[other] for other in every if other != name]
            others = [noun for entry in rest for form in NOUNS for noun in getattr(entry, form)]
            nouns: dict[str, Any] = {form: usable(getattr(words, form), others) for form in NOUNS}
            clear = replace(words, **nouns)
            if not words.skip and clear.singular and clear.plural:
                result[name] = clear
        return result

    def _read(self, content: Any, file: str) -> None:
        check_keys(content, (*_SLOTS, 'categories'), file, 'the file')
        for section, slots in _SLOTS.items():
            known = _KNOWN[section]
            entries = content.get(section, {})
            check_keys(entries, known, file, section)
            if section in ('phrases', 'sentences'):
                sentences = self.sentences.setdefault(section, {})
                for form, texts in entries.items():
                    sentences[form] = _shares(texts, slots, file, f'{section} {form!r}')
                continue
            templates = self.templates.setdefault(section, {})
            for key, entry in entries.items():
                where = f'{section} {key!r}'
                if section == 'attributes':
                    check_keys(entry, _ATTRIBUTES[key], file, where)
                    values = templates.setdefault(key, {})
                    values |= {v: _texts(texts, slots, v, file, f'{key} {v!r}') for v, texts in entry.items()}
                elif key == 'between':
                    templates[key] = _texts(entry, ('anchor', 'other'), key, file, where)
                else:
                    templates[key] = _texts(entry, slots, key, file, where)
        categories = content.get('categories', {})
        if not isinstance(categories, dict):
            raise DataError(f'{file}: "categories" must be an object from class name to its words')
        for name, entry in categories.items():
            self.categories[category_key(name)] = _category(name, entry, file)


def usable(nouns: Collection[str], others: Collection[str]) -> tuple[str, ...]:
    """Nouns that could not mean anything else in the image.

    Args:
        nouns: the nouns of a category.
        others: all nouns of the other categories in the image; "vehicle" is part of "small vehicle",
            so while that is one of them it would be ambiguous.
    """
    return tuple(noun for noun in nouns if not any(re.search(rf'\b{re.escape(noun)}\b', other) for other in others))


_SLOTS = {
    'phrases': ('thing',),
    'sentences': ('noun', 'where'),
    'attributes': ('noun',),
    'places': (),
    'relations': ('anchor',),
}
"""Sections of the file, and the slots that each of their templates has once."""
_KNOWN: Mapping[str, tuple[str, ...]] = {
    'phrases': _FORMS,
    'sentences': _FORMS,
    'attributes': tuple(_ATTRIBUTES),
    'places': ZONES,
    'relations': (*RELATIONS, 'along'),
}


def _texts(content: Any, slots: tuple[str, ...], meaning: str, file: str, where: str) -> tuple[str, ...]:
    texts = parse_texts(content, file, where)
    for text in texts:
        # A place may stand before its noun: "left {noun}".
        before = where.startswith('places') and text.endswith(' {noun}')
        expected = ['noun'] if before else sorted(slots)
        if sorted(re.findall(r'{(\w*)}', text)) != expected or text.count('{') != len(expected):
            raise DataError(f'{file}: {where}: {text!r} must hold {_names(slots)}')
        _check_directions(text, meaning, file, where)
    return tuple(texts)


def _shares(content: Any, slots: tuple[str, ...], file: str, where: str) -> tuple[tuple[str, float], ...]:
    """Templates with their shares: a list has equal ones, an object gives one for each."""
    if not isinstance(content, dict):
        texts = _texts(content, slots, '', file, where)
        return tuple((text, 1 / len(texts)) for text in texts)
    texts = _texts(list(content), slots, '', file, where)
    shares = list(content.values())
    if not all(type(share) in (int, float) and share > 0 for share in shares) or abs(sum(shares) - 1) > 1e-6:
        raise DataError(f'{file}: {where} has shares {shares}; give positive numbers that sum to 1')
    return tuple(zip(texts, shares))


def _check_directions(text: str, meaning: str, file: str, where: str) -> None:
    """A flip rewrites the text exactly where its meaning changes, or refuses it."""
    for axis, opposite in _OPPOSITE.items():
        turned = any(word in opposite for word in meaning.split())
        # The slots are filled as they would be in a query: what a direction word means hangs on its context.
        sample = text.replace('{noun}', 'xxx').replace('{where}', 'xxx')
        sample = sample.replace('{anchor}', 'the xxx').replace('{other}', 'the xxx')
        sample = f'the {sample}' if '{noun}' in text else f'the xxx {sample}'
        mirrored = mirror_directions(sample, axis)
        if mirrored is not None and (mirrored != sample) != turned:
            change = f'must change as {meaning!r} does' if turned else 'must stay as it is'
            raise DataError(
                f'{file}: {where}: {text!r} {change} in an image mirrored {axis}ly; use "left", "right", "top", '
                '"bottom" for directions and nothing else'
            )


def _category(name: str, entry: Any, file: str) -> CategoryWords:
    where = f'category {name!r}'
    check_keys(entry, (*NOUNS, 'shapes', *_FLAGS), file, where)
    flags: dict[str, Any] = {key: entry.get(key, default) for key, default in _FLAGS.items()}
    for key, value in flags.items():
        if not isinstance(value, bool):
            raise DataError(f'{file}: {where} has {key} {value!r}; write true or false')
    shapes = entry.get('shapes', ['long'])
    if not isinstance(shapes, list) or not all(shape in SHAPES for shape in shapes):
        raise DataError(f'{file}: {where} has shapes {shapes!r}; give a list of {", ".join(SHAPES)}')
    words = category_words(name)
    nouns: dict[str, Any] = {'singular': (words,), 'plural': (plural(words),)}
    nouns |= {f: _texts(entry[f], (), '', file, f'{where} {f}') for f in NOUNS if f in entry}
    return CategoryWords(**nouns, shapes=tuple(shapes), **flags)


def _names(slots: tuple[str, ...]) -> str:
    return ' and '.join(f'{{{slot}}}' for slot in slots) + ' once' if slots else 'no {}'
