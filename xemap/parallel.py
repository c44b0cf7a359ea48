"""Processes beside the program: jobs of their own, and a pool for many small tasks.

All of them are started afresh, since CUDA, and threads of torch and cv2, do not survive a fork. They leave Ctrl-C to
the program, and end with it however it dies.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import Pipe, get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import cv2

from xemap.cli import message_of
from xemap.errors import DataError, XeMapError

Tick = Callable[[int, int], None]
"""Called with how much is done, and of how much."""

SECONDS_PER_MESSAGE = 0.1
"""Least time between two reports of a job's progress."""
SECONDS_TO_END = 10
"""Time that a process gets to clean up when it is stopped."""
SECONDS_AFTER_PARENT = 1.0
"""Time that a process gets to remove its temporary files when the program has died."""
TASKS_PER_MESSAGE = 4
"""Most tasks that a pool hands to a process at once."""


def default_workers() -> int:
    """One process per core, up to 8."""
    return min(os.cpu_count() or 1, 8)


class WorkerPool(ProcessPoolExecutor):
    """An executor whose processes leave Ctrl-C to the program and end with it.

    Args:
        workers: processes, at least 1.
    """

    def __init__(self, workers: int) -> None:
        super().__init__(workers, get_context('spawn'), _start_worker)

    def submit(self, fn: Callable, /, *args: Any, **kwargs: Any) -> Future:
        with _without_interrupts():  # processes are started here
            return super().submit(fn, *args, **kwargs)


def map_in_order(task: Callable[[Any], Any], items: Sequence, workers: int | None = None) -> Iterator:
    """``map(task, items)`` in processes; where there is one worker, in this one.

    Args:
        task: a function of a module, or a partial of one.
        items: arguments.
        workers: processes; None = :func:`default_workers`.

    Raises:
        DataError: a process was killed.
    """
    workers = min(default_workers() if workers is None else workers, len(items))
    if workers <= 1:
        yield from map(task, items)
        return
    pool = WorkerPool(workers)
    try:
        yield from pool.map(task, items, chunksize=min(TASKS_PER_MESSAGE, -(-len(items) // workers)))
    except BrokenProcessPool as error:
        raise DataError(
            f'one of {workers} processes was killed, perhaps for its memory; run again with fewer workers'
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def process_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Processes that are started within the block have these environment variables.

    Libraries read such variables when they are imported, so setting them inside the process would be too late.
    """
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def start_process(target: Callable[..., None], args: tuple, name: str | None = None) -> BaseProcess:
    """Start ``target(*args)`` in a process of its own; SIGTERM ends it as an exception does.

    Args:
        target: a function of a module.
        args: its arguments, which are pickled.
        name: name of the process.
    """
    process = get_context('spawn').Process(target=_run, args=(target, args), name=name, daemon=True)
    with _without_interrupts():
        process.start()
    return process


def _run(target: Callable[..., None], args: tuple) -> None:
    _start_worker()
    target(*args)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes started within never get Ctrl-C, which goes to every process of a terminal: it is for the program."""
    resource_tracker.ensure_running()  # started in between, it would unblock the signal
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _start_worker() -> None:
    cv2.setNumThreads(1)  # the processes are the parallelism
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Last, as there is nothing to remove before: an exception, so that temporary files are removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def _end_with_parent() -> None:
    """A killed program closes nothing, and its processes would wait for tasks forever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(SECONDS_AFTER_PARENT)
        os._exit(1)


@dataclass
class Outcome:
    """What became of a job.

    Args:
        value: what it returned.
        error: one line, None = it went well.
        details: the traceback of an error.
    """

    value: Any = None
    error: str | None = None
    details: str = ''


def run_jobs(
    task: Callable[[Any, Tick], Any],
    jobs: Mapping[str, Any],
    workers: int,
    on_progress: Callable[[str, int, int], None],
    on_end: Callable[[str, Outcome], None],
) -> dict[str, Outcome]:
    """Call ``task(argument, tick)`` for each job in a process of its own.

    An exception here, such as Ctrl-C, ends the processes first: each gets the chance to remove its
    temporary files.

    Args:
        task: a function of a module, as processes are started afresh.
        jobs: argument by name of the job; started in this order.
        workers: processes at a time.
        on_progress: called with a job's name and the arguments of its ``tick``; 0 of 0 when it is started.
        on_end: called with a job's name and outcome as soon as it is known.

    Returns:
        Outcome by name, in the order of ``jobs``.
    """
    waiting = list(jobs)
    running: dict[Connection, tuple[str, Any]] = {}
    outcomes: dict[str, Outcome] = {}

    def end(name: str, outcome: Outcome) -> None:
        outcomes[name] = outcome
        on_end(name, outcome)

    try:
        while waiting or running:
            while waiting and len(running) < max(workers, 1):
                name = waiting.pop(0)
                receiver, sender = Pipe(duplex=False)
                process = start_process(_work, (task, jobs[name], sender), name)
                running[receiver] = name, process
                on_progress(name, 0, 0)
                sender.close()  # so that the end of the process ends the pipe
            for pipe in wait(list(running)):
                assert isinstance(pipe, Connection)
                name, process = running[pipe]
                try:
                    message = pipe.recv()
                except EOFError:
                    process.join()
                    del running[pipe]
                    if name not in outcomes:
                        end(name, Outcome(error=_death(process.exitcode)))
                    continue
                if isinstance(message, Outcome):
                    end(name, message)
                else:
                    on_progress(name, *message)
    finally:
        for _, process in running.values():
            process.terminate()
        for _, process in running.values():
            process.join(SECONDS_TO_END)
            if process.is_alive():
                process.kill()
    return {name: outcomes[name] for name in jobs}


def _work(task: Callable[[Any, Tick], Any], argument: Any, pipe: Connection) -> None:
    last = 0.0

    def tick(done: int, total: int) -> None:
        nonlocal last
        if done == total or time.monotonic() - last > SECONDS_PER_MESSAGE:
            last = time.monotonic()
            pipe.send((done, total))

    try:
        outcome = Outcome(task(argument, tick))
    except BrokenPipeError:
        return  # the parent is gone
    except XeMapError as error:
        outcome = Outcome(error=message_of(error), details=traceback.format_exc())
    except OSError as error:
        outcome = Outcome(error=f'{error.filename}: {error.strerror}', details=traceback.format_exc())
    except Exception as error:
        text = f'unexpected {type(error).__name__}: {error}; see --debug'
        outcome = Outcome(error=' '.join(text.split()), details=traceback.format_exc())
    with suppress(BrokenPipeError):
        pipe.send(outcome)


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        return f'its process was ended by signal {-code}; if that was for lack of memory, use fewer --workers'
    return f'its process ended with status {code} before it was done'
