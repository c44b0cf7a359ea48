"""A process that holds the model and answers one request after another, each within bounds.

A request that takes too much time, memory or disk is ended with its process, and a new one starts at once.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from xemap.demo.request import Answer, Request
from xemap.demo.storage import Storage
from xemap.errors import ConfigError, DataError, XeMapError
from xemap.parallel import start_process

Progress = Callable[[int, int], None]
"""Called with (windows done, windows in all)."""

SECONDS_A_LOOK = 0.02
"""Between two looks at what a request takes; memory can grow by some hundred MB meanwhile."""

SECONDS_A_COUNT = 0.5
"""Between two counts of the files."""

SECONDS_TO_END = 5


class Service(Protocol):
    """What runs in the process; see :class:`~xemap.demo.answer.Answerer`."""

    def preview(self, path: str) -> Answer: ...

    def answer(self, request: Request, out: str, progress: Progress | None = None) -> Answer: ...


@dataclass(frozen=True)
class Limits:
    """What a request may use.

    Args:
        seconds: seconds of computing; waiting for other requests does not count.
        memory: bytes beside what the model takes.
    """

    seconds: float = 120
    memory: int = 6 * 10**9


class ModelProcess:
    """Answers of a service in a process of its own.

    Args:
        build: makes the service; pickled.
        limits: limits of each request.
        storage: its size is a limit as well.

    Raises:
        XeMapError: the service cannot be made; the same error as ``build`` raises.
    """

    def __init__(self, build: Callable[[], Service], limits: Limits, storage: Storage) -> None:
        self._build, self._limits, self._storage = build, limits, storage
        self._turn, self._closed = threading.Lock(), False
        self._start()
        try:
            self._await_service()
        except BaseException:
            self.close()
            raise

    def preview(self, path: str) -> Answer:
        """The image itself."""
        return self._ask('preview', (path,))

    def answer(self, request: Request, progress: Progress | None = None) -> Answer:
        """Maps of queries; files lie in a new folder of the storage."""
        out = Path(tempfile.mkdtemp(dir=self._storage.files))
        answer = None
        try:
            answer = self._ask('answer', (request, str(out)), progress, out)
        finally:
            if answer is None or not answer.ok:
                shutil.rmtree(out, ignore_errors=True)
        return answer

    def close(self) -> None:
        """End the process, whatever it does."""
        self._closed = True
        self._process.kill()
        self._process.join(SECONDS_TO_END)
        self._pipe.close()

    def _start(self) -> None:
        self._pipe, child_end = Pipe()
        self._process = start_process(_serve, (self._build, child_end, str(self._storage.scratch)), 'model')
        self._awaited = True
        child_end.close()  # so that the end of the process ends the pipe

    def _await_service(self) -> None:
        if self._awaited:
            try:
                error = self._pipe.recv()
            except (EOFError, OSError):
                raise ConfigError(
                    f'the process of the model ended with status {self._process.exitcode} while the model was loaded, '
                    'perhaps for lack of memory; close other programs or take a smaller model'
                ) from None
            if error is not None:
                raise error
            self._awaited = False

    def _ask(self, method: str, args: tuple, progress: Progress | None = None, out: Path | None = None) -> Answer:
        with self._turn:
            try:
                self._await_service()
                return self._bounded(method, args, progress, out)
            except (EOFError, OSError):
                self._restart()
                raise DataError('the process of the model broke off; try a smaller image or fewer queries') from None
            except DataError:
                self._restart()
                raise

    def _bounded(self, method: str, args: tuple, progress: Progress | None, out: Path | None) -> Answer:
        before, start = _memory(self._process.pid), time.monotonic()
        counted = 0.0
        self._pipe.send((method, args))
        while True:
            message = self._pipe.recv() if self._pipe.poll(SECONDS_A_LOOK) else None
            if message is not None and not isinstance(message, Answer) and progress is not None:
                progress(*message)
            now = time.monotonic()
            if now - start > self._limits.seconds:
                raise DataError(
                    f'this took longer than the {self._limits.seconds:g} s allowed here; choose a smaller image or '
                    'fewer queries, or use tools/infer.py'
                )
            if _memory(self._process.pid) - before > self._limits.memory:
                raise DataError(
                    f'this needs more than the {self._limits.memory / 1e9:g} GB of memory allowed here; choose a '
                    'smaller image or fewer queries, or use tools/infer.py'
                )
            if now - counted > SECONDS_A_COUNT or isinstance(message, Answer):
                counted = now
                with self._storage.expecting(_unnamed_files(self._process.pid), out):  # older files give way
                    pass
            if isinstance(message, Answer):
                return message

    def _restart(self) -> None:
        self._process.kill()
        self._process.join(SECONDS_TO_END)
        self._pipe.close()
        self._storage.clear_scratch()
        if not self._closed:
            self._start()


def _serve(build: Callable[[], Service], pipe: Connection, scratch: str) -> None:
    os.environ['TMPDIR'] = tempfile.tempdir = scratch
    try:
        service = build()
    except XeMapError as error:
        pipe.send(error)
        return
    pipe.send(None)
    with suppress(EOFError, BrokenPipeError):  # the page is gone
        while True:
            method, args = pipe.recv()
            if method == 'preview':
                pipe.send(service.preview(*args))
            else:
                request, out = args
                pipe.send(service.answer(request, out, lambda done, total: pipe.send((done, total))))


def _memory(pid: int | None) -> int:
    """Bytes of memory that no file stands behind; 0 where the system does not say (only Linux does)."""
    with suppress(OSError):
        for line in Path(f'/proc/{pid}/status').read_text().splitlines():
            if line.startswith('RssAnon:'):
                return int(line.split()[1]) * 1024
    return 0


def _unnamed_files(pid: int | None) -> int:
    """Bytes of a process's open files that have no name any more, as large maps have none."""
    size = 0
    with suppress(OSError):
        for entry in os.scandir(f'/proc/{pid}/fd'):
            with suppress(OSError):
                state = entry.stat()
                size += state.st_blocks * 512 if state.st_nlink == 0 else 0
    return size


def build_answerer(config: Any, checkpoint: str | None, device: str | None, max_pixels: int) -> Service:
    """The service of :func:`xemap.demo.app.serving`, made in its process."""
    from xemap.demo.answer import Answerer
    from xemap.inference import XeMapInferencer

    return Answerer(XeMapInferencer(config, checkpoint, device), max_pixels)
