"""Timing that two sides of a comparison share fairly."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import median

import cv2
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

from xemap.terminal import PlainConsole, description_column

WARMUP = 2
"""Untimed rounds before the timed ones: allocators fill, kernels are chosen, files enter the cache."""


def measure(
    calls: Mapping[str, Callable[[], object]], repeats: int, device: str = 'cpu', title: str = ''
) -> dict[str, dict[str, float]]:
    """Time calls in turn, A B A B, so that a slow moment of the machine meets all of them.

    Args:
        calls: what to time, by name.
        repeats: timed rounds, at least 1.
        device: ``'cuda'`` waits for the GPU before and after each call.
        title: title of the progress bar on stderr.

    Returns:
        for each call ``median_s``, ``min_s`` and ``max_s`` of its wall-clock seconds, and ``cpu_s``, the median of what
        all threads of this process took of the processor.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    cpu_seconds: dict[str, list[float]] = {name: [] for name in calls}
    columns = (description_column(), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # Drawn between the calls only: a thread of its own would take time from what is measured.
    with Progress(*columns, console=PlainConsole(stderr=True), auto_refresh=False) as progress:
        task = progress.add_task(title, total=WARMUP + repeats)
        for turn in range(WARMUP + repeats):
            for name, call in calls.items():
                _wait(device)
                start, cpu_start = time.perf_counter(), time.process_time()
                call()
                _wait(device)
                if turn >= WARMUP:
                    seconds[name].append(time.perf_counter() - start)
                    cpu_seconds[name].append(time.process_time() - cpu_start)
            progress.advance(task)
            progress.refresh()
    return {
        name: {
            'median_s': median(values),
            'min_s': min(values),
            'max_s': max(values),
            'cpu_s': median(cpu_seconds[name]),
        }
        for name, values in seconds.items()
    }


@contextmanager
def limited_threads(count: int | None) -> Iterator[int]:
    """Let torch and OpenCV use ``count`` threads each inside the block.

    Args:
        count: None = as many as torch has now.

    Yields:
        the number of threads.
    """
    before = torch.get_num_threads(), cv2.getNumThreads()
    count = count or before[0]
    try:
        torch.set_num_threads(count)
        cv2.setNumThreads(count)
        yield count
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def _wait(device: str) -> None:
    if device == 'cuda':
        torch.cuda.synchronize()
