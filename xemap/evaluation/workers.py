"""Processes that score answers while the model predicts the next ones.

What they import has no torch in it: a worker starts in half a second and takes the memory of one map at
full size, about 0.5 GB at 10,000 x 10,000.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from xemap.errors import XeMapError
from xemap.evaluation.scoring import ScoringTask, score_task
from xemap.parallel import WorkerPool

PENDING_BYTES = 256 << 20
"""Maps that may wait, in bytes: enough for a few batches, so that the model need not wait for scoring."""


class ScoringPool:
    """Scores tasks in processes; results come in the order of the tasks.

    The processes end with :meth:`close`, with the program, and with its death.

    Args:
        workers: processes, at least 1.
        pending_bytes: of maps that may wait.
    """

    def __init__(self, workers: int, pending_bytes: int = PENDING_BYTES) -> None:
        self.workers, self.pending_bytes = workers, pending_bytes
        self._executor = WorkerPool(workers)
        # What the program's end does with tasks that nobody will ask for; :meth:`close` decides by itself.
        self._executor._cancel_pending_futures = True
        self._pending: deque[tuple[Any, int, Future]] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        """Tasks whose result was not taken yet."""
        return len(self._pending)

    def submit(self, label: Any, task: ScoringTask) -> list[tuple[Any, Future]]:
        """Hand in a task; first wait until there is room for it.

        Each worker may always have one task to do and one to do next. Beyond these, waiting maps have
        ``pending_bytes``.

        Args:
            label: comes back with the result.

        Returns:
            (label, finished future) of earlier tasks.

        Raises:
            XeMapError: a worker has died.
        """
        size, finished = task.nbytes, []
        while self._pending and (self._pending[0][2].done() or self._is_full(size)):
            finished.append(self._take())
        try:
            future = self._executor.submit(score_task, task)
        except BrokenProcessPool as error:
            raise self._died() from error
        self._pending.append((label, size, future))
        self._bytes += size
        return finished

    def finish(self) -> list[tuple[Any, Future]]:
        """Wait for all tasks; returns and raises as :meth:`submit`."""
        return [self._take() for _ in range(len(self._pending))]

    def close(self) -> None:
        """Drop what is pending and end the processes; what they are at is finished first."""
        self._pending.clear()
        self._bytes = 0
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _is_full(self, size: int) -> bool:
        return len(self._pending) >= 2 * self.workers and self._bytes + size > self.pending_bytes

    def _take(self) -> tuple[Any, Future]:
        label, size, future = self._pending.popleft()
        self._bytes -= size
        if isinstance(future.exception(), BrokenProcessPool):
            raise self._died() from future.exception()
        return label, future

    def _died(self) -> XeMapError:
        return XeMapError(
            f'one of {self.workers} scoring processes died (killed, or out of memory: each holds a few '
            'maps at full size); score again with fewer, as --cfg-options test_evaluator.workers=0'
        )
