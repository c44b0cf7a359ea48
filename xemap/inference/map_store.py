"""Maps of one image, in memory or, when they are large, in a file that has no name."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

IN_MEMORY = 1 << 29
"""Bytes of maps from which on they are kept in a file."""

STRIP = 512
"""Rows that are handled at a time."""


class MapStore:
    """(Q, H, W) float32, written and read by bands of rows.

    The file is deleted by the operating system when the store goes away, also after a crash.

    Args:
        queries: Q.
        size: (H, W).
        folder: where a file goes; None = the system's temporary folder.
        in_memory: most bytes to hold in memory; None = :data:`IN_MEMORY`.
    """

    def __init__(
        self, queries: int, size: tuple[int, int], folder: str | Path | None = None, in_memory: int | None = None
    ) -> None:
        self.shape = (queries, *size)
        self._skipped = np.zeros((queries, size[0]), bool)
        self._file: Any = None
        self._array: np.ndarray | None = None
        if 4 * queries * size[0] * size[1] > (IN_MEMORY if in_memory is None else in_memory):
            self._file = tempfile.TemporaryFile(dir=folder, prefix='.xemap')  # noqa: SIM115
            self._file.truncate(4 * queries * size[0] * size[1])
        else:
            self._array = np.zeros(self.shape, np.float32)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.shape[1:]

    def write(self, query: int, top: int, rows: np.ndarray) -> None:
        """Set rows of one map: (n, W), from row ``top`` on."""
        if self._array is not None:
            self._array[query, top : top + len(rows)] = rows
        else:
            self._seek(query, top)
            self._file.write(np.ascontiguousarray(rows, np.float32).data)

    def skip(self, query: int, top: int, bottom: int) -> None:
        """Rows without data: NaN, and nothing is written to the file."""
        if self._array is not None:
            self._array[query, top:bottom] = np.nan
        else:
            self._skipped[query, top:bottom] = True

    def read(self, query: int, top: int, bottom: int) -> np.ndarray:
        """Rows ``top`` up to ``bottom`` of one map, (n, W) float32; do not write to it."""
        if self._array is not None:
            return self._array[query, top:bottom]
        skipped = self._skipped[query, top:bottom]
        if skipped.all():
            return np.full((bottom - top, self.shape[2]), np.nan, np.float32)
        self._seek(query, top)
        content = self._file.read(4 * (bottom - top) * self.shape[2])
        rows = np.frombuffer(content, np.float32).reshape(bottom - top, -1)
        return np.where(skipped[:, None], np.float32(np.nan), rows) if skipped.any() else rows

    def strips(self, query: int, rows: int = STRIP) -> Iterator[tuple[int, np.ndarray]]:
        """One map from top to bottom: y of the first row, and the rows."""
        for top in range(0, self.shape[1], rows):
            yield top, self.read(query, top, min(top + rows, self.shape[1]))

    def resized(self, query: int, size: tuple[int, int], top: int, bottom: int) -> np.ndarray:
        """Rows ``top`` up to ``bottom`` of ``cv2.resize(map, size, INTER_LINEAR)``; ``size`` is (height, width)."""
        height, width = size
        y = np.clip((np.arange(top, bottom) + 0.5) * self.shape[1] / height - 0.5, 0, self.shape[1] - 1)
        above = y.astype(np.int64)
        below = np.minimum(above + 1, self.shape[1] - 1)
        part = self.read(query, int(above[0]), int(below[-1]) + 1)
        share = (y - above).astype(np.float32)[:, None]
        rows = part[above - above[0]] * (1 - share) + part[below - above[0]] * share
        return rows if rows.shape[1] == width else cv2.resize(rows, (width, len(rows)), interpolation=cv2.INTER_LINEAR)

    def array(self) -> np.ndarray:
        """All maps; those in a file are mapped into memory, read-only, page by page as they are used."""
        if self._array is not None:
            return self._array
        for query, top in zip(*np.nonzero(self._skipped)):
            self.write(int(query), int(top), np.full((1, self.shape[2]), np.nan, np.float32))
        self._skipped[:] = False
        self._file.flush()
        return np.memmap(self._file, np.float32, 'r', shape=self.shape)

    def _seek(self, query: int, top: int) -> None:
        self._file.seek(4 * (query * self.shape[1] + top) * self.shape[2])
