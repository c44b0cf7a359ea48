"""Running jobs in processes of their own: one that fails or dies does not harm the others."""

from __future__ import annotations

import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from xemap.cli import message_of
from xemap.errors import XeMapError

Tick = Callable[[int, int], None]
"""Called with how much is done, and of how much."""

SECONDS_A_MESSAGE = 0.1
"""Between two reports of a job's progress."""
SECONDS_TO_END = 10
"""That a process gets to clean up when it is stopped."""


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
        on_progress: called with a job's name and what it told ``tick``; 0 of 0 when it is started.
        on_end: called with a job's name and outcome as soon as it is known.

    Returns:
        Outcome by name, in the order of ``jobs``.
    """
    context = get_context('spawn')
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
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(task, jobs[name], theirs), name=name, daemon=True)
                # Ctrl-C goes to every process of a terminal. Started while it is blocked, the process never gets it;
                # it is for the parent to end it. The tracker would unblock it when it is started in between.
                resource_tracker.ensure_running()
                mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
                try:
                    process.start()
                finally:
                    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
                running[ours] = name, process
                on_progress(name, 0, 0)
                theirs.close()  # so that the end of the process ends the pipe
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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # an exception, so that temporary files are removed
    last = 0.0

    def tick(done: int, total: int) -> None:
        nonlocal last
        if done == total or time.monotonic() - last > SECONDS_A_MESSAGE:
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
