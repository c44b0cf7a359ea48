"""The folder of a running page: bounded in size, the oldest files give way."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xemap.errors import DataError


class Storage:
    """Uploads, answers and scratch files of the page.

    Args:
        folder: folder of the page.
        limit: bytes of everything in it.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.limit = limit
        self.files, self.scratch = folder / 'files', folder / 'scratch'
        self._folder, self._kept, self._expected = folder, frozenset[Path](), 0
        self._lock = threading.Lock()
        self.files.mkdir()
        self.scratch.mkdir()

    def keep(self) -> None:
        """Never remove the files that are there now: the page itself shows them."""
        self._kept = frozenset(path for path, _, _ in self._listed(self._folder))

    def used(self) -> int:
        """Bytes on the disk."""
        return sum(size for _, size, _ in self._listed(self._folder))

    @contextmanager
    def expecting(self, size: int, spared: Path | None = None) -> Iterator[None]:
        """Room for so many bytes beside the files that are there; the oldest files make it.

        Args:
            size: bytes that are written within the block, or stand on the disk without a name.
            spared: folder whose files stay.

        Raises:
            DataError: there is not that much.
        """
        with self._lock:
            excess = self.used() + self._expected + size - self.limit
            if excess > 0:
                excess -= self._remove_oldest(excess, spared)
            if excess > 0:
                raise DataError(
                    f'the files of this would take more than the {self.limit / 1e9:g} GB of disk that the page has; '
                    'choose a smaller image or fewer queries, or use tools/infer.py'
                )
            self._expected += size
        try:
            yield
        finally:
            with self._lock:
                self._expected -= size

    def clear_scratch(self) -> None:
        """Remove what a process left that was ended."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(exist_ok=True)

    def _remove_oldest(self, size: int, spared: Path | None) -> int:
        """Remove uploads and answers of at least so many bytes, where there are; returns their bytes."""
        removed = 0
        for path, num_bytes, _ in sorted(self._listed(self.files), key=lambda entry: entry[2]):
            if removed >= size:
                break
            if path not in self._kept and path.parent != spared:
                path.unlink(missing_ok=True)
                removed += num_bytes
        return removed

    @staticmethod
    def _listed(folder: Path) -> Iterator[tuple[Path, int, float]]:
        """(path, bytes on the disk, time of the last change) of every file."""
        for parent, _, names in os.walk(folder):
            for name in names:
                path = Path(parent, name)
                try:
                    state = path.lstat()
                except FileNotFoundError:  # removed meanwhile
                    continue
                yield path, state.st_blocks * 512, state.st_mtime
