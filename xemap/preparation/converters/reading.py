"""Reading annotation files of other makes: lines, JSON, pickles, and checks that many sources share."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any, NoReturn

from xemap.errors import DataError, LayoutError


def numbered_lines(file: Path) -> list[tuple[int, str]]:
    """Lines of a text file that are not empty, each with its number and without space around it.

    Raises:
        DataError: the file is missing.
        LayoutError: it is no UTF-8 text.
    """
    try:
        text = file.read_text('utf-8-sig')
    except OSError as error:
        raise DataError(f'{file} cannot be read ({error.strerror}); copy it there') from error
    except UnicodeDecodeError as error:
        raise LayoutError(f'{file} is no UTF-8 text ({error}); copy it again') from error
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def load_json(file: Path) -> Any:
    """Content of a JSON file.

    Raises:
        DataError: it is missing, or no complete JSON.
    """
    try:
        return json.loads(file.read_text('utf-8-sig'))
    except OSError as error:
        raise DataError(f'annotations {file} cannot be read ({error.strerror}); check the path') from error
    except (ValueError, RecursionError) as error:
        raise DataError(f'{file} is no complete JSON file ({error}); copy it again') from error


def load_plain_pickle(file: Path) -> Any:
    """Content of a pickle of numbers, texts and plain containers; those of Python 2 are read as Latin-1.

    A pickle that asks for any class or function is refused before it gets it, so nothing in it is run.

    Raises:
        DataError: the file is missing.
        LayoutError: it is no such pickle.
    """
    try:
        return _PlainUnpickler(io.BytesIO(file.read_bytes()), encoding='latin1').load()
    except OSError as error:
        raise DataError(f'{file} cannot be read ({error.strerror}); copy it there') from error
    except Exception as error:  # a damaged pickle raises nearly anything
        raise LayoutError(f'{file} is no pickle of plain numbers, texts and lists ({error}); copy it again') from error


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f'it asks for {module}.{name}')


def check_fields(entry: Any, fields: dict[str, type], where: str) -> None:
    """A dictionary has fields of the right types.

    Raises:
        LayoutError: it has not; the message begins with ``where``.
    """
    for field, kind in fields.items():
        if not isinstance(entry, dict) or not isinstance(entry.get(field), kind):
            raise LayoutError(f'{where} has no {kind.__name__} {field!r}; the file is of another make')


def checked_text(text: Any, where: str) -> str:
    """The text without space around it.

    Raises:
        DataError: no text, or an empty one.
    """
    if not isinstance(text, str) or not text.strip():
        raise DataError(f'{where}: text {text!r} is empty or no text; write the expression')
    return text.strip()


def checked_flag(value: Any, where: str) -> bool | None:
    """True, False, or None for unknown.

    Raises:
        DataError: anything else.
    """
    if value is not None and not isinstance(value, bool):
        raise DataError(f'{where} is {value!r}; write true, false or null')
    return value


def check_size(stated: tuple[int | None, int | None] | None, size: tuple[int, int], image: Path, where: str) -> None:
    """Compare the (height, width) that an annotation states with the image's; None = not stated.

    Raises:
        DataError: they differ.
    """
    if stated is not None and any(number not in (None, true) for number, true in zip(stated, size)):
        raise DataError(
            f'{image} is {size[1]} x {size[0]} pixels, {where} says {stated[1]} x {stated[0]}; '
            'the annotations belong to another version of the image'
        )
