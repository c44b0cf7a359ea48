"""From a category to the sentence that asks for it."""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from pathlib import Path

from xemap.errors import DataError
from xemap.language.nouns import category_words, check_keys, parse_texts, plural

FORMS = ('singular', 'plural', 'mass')


class PhraseTable:
    """Names of categories and phrases around them, from an editable JSON file.

    The file has two optional parts::

        {
          "phrases": {"singular": ["the {name}"], "plural": ["all {name}"], "mass": ["{name}"]},
          "categories": {"water": {"mass": ["water"], "plural": ["bodies of water"]}}
        }

    A category gives names in up to three forms: ``singular`` is used where one instance is in the
    image, ``plural`` where there are several or their number is unknown, ``mass`` in both cases. A
    category may bring its own ``phrases`` of the same make. A form without a name is filled from the
    category's words, and a category that is not in the table is used by its words and their English
    plural. Keys are compared as words, so ``Storage_Tank`` finds ``"storage tank"``.

    No query's words may cover more than its region: where the words for a category cover what other categories
    label, it names them in ``includes``, and its query takes them in. "all people" are pedestrians as well.

    Args:
        path: a file whose entries replace those of the table that comes with the package, category
            by category and form by form; None = that table alone.
        seed: another seed, other wording.

    Raises:
        DataError: the file is missing or of another make.
    """

    def __init__(self, path: str | Path | None = None, seed: int = 0) -> None:
        self.seed = seed
        self.path = None if path is None else Path(path)
        default = resources.files(__package__) / 'templates.json'
        self._phrases, self._categories = _parse(json.loads(default.read_text('utf-8')), 'templates.json')
        if self.path is not None:
            try:
                content = json.loads(self.path.read_text('utf-8-sig'))
            except (OSError, ValueError, RecursionError) as error:
                raise DataError(f'template table {self.path} cannot be read as JSON: {error}') from error
            phrases, categories = _parse(content, str(self.path))
            self._phrases.update(phrases)
            self._categories.update(categories)

    def includes(self, category: str, other: str) -> bool:
        """Whether the words for a category cover what another one labels, as "people" do pedestrians."""
        entry = self._categories.get(category_words(category), {})
        return category != other and category_words(other) in entry.get('includes', ())

    def text(self, category: str, referents: int | None, image: str) -> str:
        """The query for a category in an image, the first of :meth:`texts`."""
        return self.texts(category, referents, image, 1)[0]

    def texts(self, category: str, referents: int | None, image: str, number: int) -> list[str]:
        """Different queries for a category in an image; the same arguments and seed give the same texts.

        Args:
            category: class name as the annotation gives it.
            referents: number of instances, None = unknown.
            image: name of the image.
            number: number of texts; fewer come where the table has fewer.
        """
        words = category_words(category)
        entry = self._categories.get(words, {})
        form = 'singular' if referents == 1 else 'plural'
        pairs = [(name, form) for name in entry.get(form, ())] + [(name, 'mass') for name in entry.get('mass', ())]
        if not pairs:
            pairs = [(words if form == 'singular' else plural(words), form)]
        given = entry.get('phrases', {})
        digest = hashlib.sha256(f'{self.seed}\n{image}\n{category}'.encode()).digest()
        name, form = pairs[int.from_bytes(digest[:8], 'big') % len(pairs)]
        phrases = given.get(form) or self._phrases[form]
        # replace, not format: a name or table from elsewhere is text and nothing more.
        first = phrases[int.from_bytes(digest[8:16], 'big') % len(phrases)].replace('{name}', name)
        if number == 1:
            return [first]
        others = {
            phrase.replace('{name}', name) for name, form in pairs for phrase in given.get(form) or self._phrases[form]
        }
        order = sorted(others - {first}, key=lambda text: hashlib.sha256(digest + text.encode()).digest())
        return [first, *order[: number - 1]]


def _parse(content, file: str) -> tuple[dict, dict]:
    check_keys(content, ('phrases', 'categories'), file, 'the table')
    phrases = _parse_phrases(content.get('phrases', {}), file, '"phrases"')
    categories = {}
    entries = content.get('categories', {})
    if not isinstance(entries, dict):
        raise DataError(f'{file}: "categories" must be an object from category to its forms')
    for category, entry in entries.items():
        where = f'category {category!r}'
        check_keys(entry, (*FORMS, 'phrases', 'includes'), file, where)
        forms = {form: parse_texts(entry[form], file, f'{where} {form}') for form in FORMS if form in entry}
        given = _parse_phrases(entry.get('phrases', {}), file, f'{where} "phrases"')
        included = parse_texts(entry['includes'], file, f'{where} includes') if 'includes' in entry else []
        categories[category_words(category)] = {
            **forms,
            'phrases': given,
            'includes': [category_words(name) for name in included],
        }
    return phrases, categories


def _parse_phrases(content, file: str, where: str) -> dict[str, list[str]]:
    check_keys(content, FORMS, file, where)
    phrases = {form: parse_texts(texts, file, f'{where} {form}') for form, texts in content.items()}
    for form, texts in phrases.items():
        for text in texts:
            if text.count('{name}') != 1:
                raise DataError(f'{file}: {where} {form}: phrase {text!r} must hold {{name}} once')
    return phrases
