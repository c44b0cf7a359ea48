"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from xemap.errors import OutOfSpaceError

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

WORK_PREFIX = '.part-'
"""Mark of the folders of :func:`replacing_together`."""

LOCK = '.lock'


@contextmanager
def replacing(path: str | Path, sync: bool = False) -> Iterator[Path]:
    """A temporary path beside ``path`` that is renamed to it when the block ends without an error.

    The temporary name keeps the suffix, by which image writers choose the format. The folder is made. An
    error or an interruption leaves an existing file as it was, and nothing half-written behind.

    Args:
        path: the file.
        sync: wait until it is on the disk, so that it survives a power failure.

    Raises:
        OutOfSpaceError: the disk is full.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{path.stem}.{os.getpid()}.part{path.suffix}')
    try:
        with space_needed(path):
            yield part
            if sync:
                with part.open('rb') as file:
                    os.fsync(file.fileno())
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def replacing_together(folder: str | Path, names: Iterable[str]) -> Iterator[Path]:
    """A temporary folder in ``folder`` whose files are moved up into it when the block ends without an error.

    It serves several files that belong together, and writers that put temporary files beside the one they write. An
    error leaves the files of ``folder`` as they were. A process holds a lock in its temporary folder as long as it
    lives; folders of processes that were killed are removed first.

    Args:
        folder: made if needed.
        names: the files to move; one that the block did not make is passed over, any other file is removed.

    Raises:
        OutOfSpaceError: the disk is full.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f'{WORK_PREFIX}*'):
        with suppress(OSError), open(left / LOCK, 'a') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)
    with space_needed(folder), tempfile.TemporaryDirectory(dir=folder, prefix=WORK_PREFIX) as temporary:
        work = Path(temporary)
        with open(work / LOCK, 'w') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield work
            for name in names:
                with suppress(FileNotFoundError):
                    os.replace(work / name, folder / name)


@contextmanager
def space_needed(path: str | Path) -> Iterator[None]:
    """Say which file did not fit, when the disk is full.

    Raises:
        OutOfSpaceError: an error of the block says that the disk, a quota or the largest file size is exhausted.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        raise out_of_space(path) from error


def out_of_space(path: str | Path) -> OutOfSpaceError:
    """The error for a file that did not fit."""
    folder = next((folder for folder in Path(path).absolute().parents if folder.is_dir()), Path('/'))
    free = shutil.disk_usage(folder).free
    return OutOfSpaceError(
        f'{path} cannot be written: no space left ({free / 1e6:.0f} MB free in {folder}); what was finished is kept; '
        'make room there, or choose another folder, and run the command again'
    )


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


def write_bytes(path: str | Path, content: bytes, sync: bool = False) -> None:
    """Write a file that appears under its name only when it is complete; see :func:`replacing`."""
    with replacing(path, sync) as part:
        part.write_bytes(content)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file, line ends as they are in ``text``; see :func:`write_bytes`."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, content: Any) -> None:
    """Write a JSON file, UTF-8 and indented; see :func:`write_bytes`.

    Raises:
        ValueError: a number is NaN or infinite, which JSON does not know.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + '\n'
    # A lone surrogate, as of a file name that is no UTF-8, becomes JSON's escape for it.
    write_bytes(path, text.encode(errors='backslashreplace'))


def file_hash(path: str | Path) -> str | None:
    """First 16 digits of the SHA-256 of a file; None where there is none, as for a config by name."""
    if not Path(path).is_file():
        return None
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()[:16]
