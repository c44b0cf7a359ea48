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

BLOCK = 512
"""Columns that are left out of the file together where they have no data."""


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
        self._skipped = np.zeros((queries, size[0], -(-size[1] // BLOCK)), bool)
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

    def write(self, query: int, top: int, rows: np.ndarray, valid: np.ndarray | None = None) -> None:
        """Set rows of one map.

        Args:
            top: y of the first row.
            rows: (n, W).
            valid: (n, W) bool, where there is data; elsewhere the map becomes NaN. Blocks of :data:`BLOCK` columns
                without data in all these rows are not written to the file. None = everywhere.
        """
        if self._array is not None:
            stored = self._array[query, top : top + len(rows)]
            stored[...] = rows
            if valid is not None:
                stored[~valid] = np.nan
            return
        if valid is None:
            self._skipped[query, top : top + len(rows)] = False
            self._put(query, top, 0, rows)
            return
        used = np.logical_or.reduceat(valid.any(0), np.arange(0, self.shape[2], BLOCK))
        self._skipped[query, top : top + len(rows)] = ~used
        changes = np.flatnonzero(np.diff(used, prepend=False, append=False)) * BLOCK
        for left, right in changes.reshape(-1, 2).tolist():
            part = np.where(valid[:, left:right], rows[:, left:right], np.float32(np.nan))
            self._put(query, top, left, part)

    def read(self, query: int, top: int, bottom: int) -> np.ndarray:
        """Rows ``top`` up to ``bottom`` of one map, (n, W) float32; do not write to it."""
        if self._array is not None:
            return self._array[query, top:bottom]
        skipped = self._skipped[query, top:bottom]
        if skipped.all():
            return np.full((bottom - top, self.shape[2]), np.nan, np.float32)
        self._file.seek(self._place(query, top))
        content = self._file.read(4 * (bottom - top) * self.shape[2])
        rows = np.frombuffer(content, np.float32).reshape(bottom - top, -1)
        if skipped.any():
            rows = np.where(skipped.repeat(BLOCK, 1)[:, : self.shape[2]], np.float32(np.nan), rows)
        return rows

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
        for query in range(self.shape[0]):
            for top, rows in self.strips(query):
                if self._skipped[query, top : top + len(rows)].any():
                    self.write(query, top, rows)
        self._file.flush()
        return np.memmap(self._file, np.float32, 'r', shape=self.shape)

    def _put(self, query: int, top: int, left: int, part: np.ndarray) -> None:
        part = np.ascontiguousarray(part, np.float32)
        whole_rows = part.shape[1] == self.shape[2]
        for y, content in [(top, part)] if whole_rows else enumerate(part, start=top):
            self._file.seek(self._place(query, y) + 4 * left)
            self._file.write(content.data)

    def _place(self, query: int, top: int) -> int:
        """First byte of a row in the file."""
        return 4 * (query * self.shape[1] + top) * self.shape[2]
