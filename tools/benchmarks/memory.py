"""How much memory a process holds for itself alone."""

from __future__ import annotations

from pathlib import Path

from xemap.errors import ConfigError

MEASURES = ('uss', 'own', 'pss', 'rss')


def memory_of(pid: int | str = 'self') -> dict[str, int]:
    """Memory of a process, in bytes, from ``/proc/PID/smaps_rollup``.

    Args:
        pid: process id, of the same user.

    Returns:
        ``uss`` (pages that no other process maps; what its end would free), ``own`` (the part of them that it
        wrote: the rest are unchanged pages of files, which the system drops when it needs the space), ``pss``
        (pages, each divided by the number of processes that map it), ``rss`` (all its pages).

    Raises:
        ConfigError: the system does not tell.
    """
    path = Path(f'/proc/{pid}/smaps_rollup')
    try:
        lines = path.read_text().splitlines()[1:]
    except OSError as error:
        raise ConfigError(
            f'{path} cannot be read ({error.strerror}); private memory is measured on Linux only'
        ) from None
    kilobytes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(':') for line in lines)}
    dirty, clean = kilobytes['Private_Dirty'], kilobytes['Private_Clean']
    sizes = (dirty + clean, dirty, kilobytes['Pss'], kilobytes['Rss'])
    return {name: size * 1024 for name, size in zip(MEASURES, sizes)}
