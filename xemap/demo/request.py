"""What goes into the process that answers requests of the page, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from xemap.errors import ConfigError

MAX_QUERIES = 12
MAX_LETTERS = 300
MAX_THRESHOLD_LETTERS = 20
MODES = {'whole image': 'resize', 'tiles, for large images': 'tile'}
"""Modes of inference, by the names that the page gives them."""


@dataclass
class Answer:
    """What a request comes to.

    Args:
        html: for the page; a message where something is wrong.
        files: GeoTIFF and GeoJSON of each query.
        ok: nothing was wrong.
    """

    html: str
    files: list[str] = field(default_factory=list)
    ok: bool = True


@dataclass(frozen=True)
class Request:
    """What a client asks, of the right types.

    Args:
        path: path of an image.
        queries: at least one.
        mode: see :class:`~xemap.inference.XeMapInferencer`.
        threshold: see :func:`~xemap.inference.vectorize.parse_threshold`.
        parts: show the one-hop parts of multi-hop queries beside them.
    """

    path: str
    queries: tuple[str, ...]
    mode: str = 'resize'
    threshold: str = 'auto'
    parts: bool = False


def read_request(
    path: object, text: object, mode: object, threshold: object, parts: object, modes: Mapping[str, str] = MODES
) -> Request:
    """Check what a client sent, which may be anything that JSON can say.

    Args:
        path: path of an image; None = none was chosen.
        text: queries, one per line.
        mode: a key of ``modes``.
        threshold, parts: see :class:`Request`.

    Raises:
        ConfigError: a value of another type or outside its limits.
    """
    if path is None or path == '':
        raise ConfigError('no image; choose a sample or upload one')
    if not isinstance(path, str):
        raise ConfigError('the image is no single file; upload one')
    if not isinstance(mode, str) or mode not in modes:
        raise ConfigError(f'what the model sees is unknown; choose one of {", ".join(modes)}')
    if not isinstance(threshold, str) or len(threshold) > MAX_THRESHOLD_LETTERS or not _is_unicode(threshold):
        raise ConfigError(
            'where regions begin is no threshold; give "auto", "otsu", a value as 0.5, or a quantile as q0.95'
        )
    if not isinstance(parts, bool):
        raise ConfigError('whether parts are shown is neither true nor false; tick the box or leave it')
    return Request(str(path), tuple(read_queries(text)), modes[mode], threshold, parts)


def read_queries(text: object) -> list[str]:
    """Queries, one per line.

    Raises:
        ConfigError: no text, no query, too many, or too long a one.
    """
    if not isinstance(text, str) or not _is_unicode(text):
        raise ConfigError('the queries are no text; type them, one per line')
    queries = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    if not queries:
        raise ConfigError('no query; type at least one, as "the lake"')
    if len(queries) > MAX_QUERIES:
        raise ConfigError(f'{len(queries)} queries; ask at most {MAX_QUERIES} at a time')
    if longest := next((query for query in queries if len(query) > MAX_LETTERS), None):
        raise ConfigError(f'query "{longest[:40]}…" has {len(longest)} letters; use at most {MAX_LETTERS}')
    return queries


def _is_unicode(text: str) -> bool:
    """Whether it can be written as UTF-8: JSON has surrogates that stand alone."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
