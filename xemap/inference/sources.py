"""Which images are meant: files, folders, patterns, lists and GDAL's names."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from xemap.errors import ConfigError, DataError
from xemap.raster.raster_file import DRIVERS, PLAIN, is_gdal_name

SUFFIXES = frozenset({*PLAIN, *DRIVERS} - {'.dat', '.hdr'})
"""Endings of files that are taken from a folder."""


def find_images(words: Sequence[str | Path], lists: Sequence[str | Path] = ()) -> list[str]:
    """Paths and names of images, each once, in the order given; those of a folder or pattern sorted.

    A missing file is returned as it is: whoever opens it says so, and the others can be done.

    Args:
        words: files, folders (searched with all below them; links to folders are not followed), patterns with
            ``*``, ``**``, ``?`` or ``[`` that the shell left alone, names as GDAL has them (``/vsizip/…``).
        lists: text files with one of these on a line; relative ones lie below the text file's folder.

    Raises:
        DataError: a list cannot be read; a folder or pattern without images.
        ConfigError: no image at all, or the same word twice.
    """
    given = [str(word) for word in words]
    for path in lists:
        given += _lines(Path(path))
    if len(set(given)) < len(given):
        raise ConfigError(f'image {Counter(given).most_common(1)[0][0]} is given twice; name it once')
    images = dict.fromkeys(image for word in given for image in _expanded(word))
    if not images:
        raise ConfigError('no image; name files, folders or patterns, or give --images-from FILE')
    return list(images)


def _expanded(word: str) -> Iterator[str]:
    if is_gdal_name(word) or os.path.isfile(word):
        yield word
    elif os.path.isdir(word):
        files = [os.path.join(top, name) for top, _, names in os.walk(word) for name in names]
        images = sorted(path for path in files if Path(path).suffix.lower() in SUFFIXES and os.path.isfile(path))
        if not images:
            raise DataError(f'folder {word} holds no image ({", ".join(sorted(SUFFIXES))}); give another one')
        yield from images
    elif glob.has_magic(word):
        images = sorted(path for path in glob.glob(word, recursive=True) if os.path.isfile(path))
        if not images:
            raise DataError(f'pattern {word} fits no file; quote it as it stands for you, or give a folder')
        yield from images
    else:
        yield word


def _lines(path: Path) -> Iterator[str]:
    for line in read_lines(path, 'list of images', 'one image per line'):
        below = is_gdal_name(line) or os.path.isabs(line)
        yield line if below else str(path.parent / line)


def read_lines(path: str | Path, what: str, content: str) -> list[str]:
    """Lines of a UTF-8 text file, without empty ones and without blanks at their ends.

    Args:
        what, content: for the message: what the file is, and what it should hold.

    Raises:
        DataError: it is missing or no UTF-8 text.
    """
    try:
        lines = Path(path).read_text(encoding='utf-8').splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f'{what} {path} cannot be read ({error}); give UTF-8 text, {content}') from error
    return [line.strip() for line in lines if line.strip()]
