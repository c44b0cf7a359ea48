"""What all command-line tools share: a ``--debug`` flag and one-line errors."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from xemap.errors import XeMapError
from xemap.files import NO_SPACE

USER_ERROR = 2
INTERRUPTED = 130


def make_parser(doc: str | None, **kwargs) -> argparse.ArgumentParser:
    """A parser described by a tool's docstring, with ``--debug``."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs)
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser


def run(main: Callable[[argparse.Namespace], int | None], args: argparse.Namespace) -> int:
    """Call ``main(args)``; an :class:`XeMapError` becomes one line on stderr and status 2."""
    try:
        return main(args) or 0
    except XeMapError as error:
        if args.debug:
            raise
        rank = os.environ.get('RANK')
        print(f'error: {f"[rank {rank}] " if rank else ""}{printable(message_of(error))}', file=sys.stderr)
        return USER_ERROR
    except OSError as error:
        full = error.errno in NO_SPACE
        if args.debug or (error.filename is None and not full):
            raise
        what = printable(str(error.filename or 'a file'))
        advice = 'make space and run it again' if full else 'check path, permissions and free space'
        print(f'error: {what}: {error.strerror}; {advice}', file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        if args.debug:
            raise
        print('interrupted; what was finished is kept', file=sys.stderr)
        return INTERRUPTED


@contextmanager
def ending_cleanly() -> Iterator[None]:
    """SIGTERM and SIGHUP end the program as an exception, so that temporary files and processes go with it."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def message_of(error: XeMapError) -> str:
    """The message as one line, without what libraries put around it.

    A data loader's worker sends its error as text with a traceback in front.
    """
    text = str(error)
    if 'Original Traceback' in text:
        text = text.rpartition(f'{type(error).__module__}.{type(error).__qualname__}: ')[2]
    return re.sub(r'\s+', ' ', text).strip()


def printable(text: str) -> str:
    """A text that any terminal and file takes: bytes that are no UTF-8 and control characters stand as escapes."""
    text = text.encode(errors='backslashreplace').decode()
    return ''.join(c if c.isprintable() else c.encode('unicode_escape').decode() for c in text)
