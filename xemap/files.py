"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that is renamed to it when the block ends without an error.

    The temporary name keeps the suffix, by which image writers choose the format. The folder is made. An
    error or an interruption leaves an existing file as it was, and nothing half-written behind.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{path.stem}.{os.getpid()}.part{path.suffix}')
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def remove_parts(folder: Path, below: bool = True) -> None:
    """Remove what :func:`replacing` left in a folder when its process was killed; processes that live keep theirs.

    Args:
        folder: the folder, which may be missing.
        below: in all folders below it as well.
    """
    pattern = '.*.part*'
    for part in list(folder.rglob(pattern) if below else folder.glob(pattern)):
        match = re.fullmatch(r'\..*\.(\d+)\.part(\.\w+)?', part.name)
        if match and not _lives(int(match[1])):
            part.unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    """Another process of this machine has the number."""
    if pid == os.getpid():
        return False  # what it left is not its own: it has nothing open here yet
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file that appears under its name only when it is complete."""
    with replacing(path) as part:
        part.write_bytes(content)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file, line ends as they are in ``text``; see :func:`write_bytes`."""
    write_bytes(path, text.encode())
