"""The most memory that this process held."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def peak_memory() -> int | None:
    """Most bytes of memory that this process held since :func:`reset_peak_memory`, or since it began.

    Resident pages, those of libraries included. None where the system does not tell (only Linux does).
    """
    try:
        lines = Path('/proc/self/status').read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith('VmHWM:')), None)


def reset_peak_memory() -> None:
    """Let :func:`peak_memory` count from what the process holds now; does nothing where the system cannot."""
    with suppress(OSError):
        Path('/proc/self/clear_refs').write_text('5')
