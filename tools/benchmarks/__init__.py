"""How fast the parts are, on this machine, in one run.

:func:`run_benchmark` measures, :func:`format_report` shows. Importing the package is cheap; torch and
MMDetection are imported when something is measured. What the numbers mean: ``docs/performance.md``.

=================  ===============================================================
module             what it holds
=================  ===============================================================
``run``            the whole run: config, device, the parts, the report
``model``          parts ``train`` and ``infer``
``flops``          work of a training step against the device's ceiling
``naive``          part ``naive``
``naive_crobim``   the other side of it for CroBIM
``naive_mlcm``     the other side of it for MLCM
``pairs``          part ``pairs``
``sampling``       part ``sampling``
``scenario``       part ``scenario``
``data``           part ``data``
``metric``         part ``metric``
``large_sources``  part ``large_sources``
``annotations``    the other run: an annotation file of full size, and MCMG
``made_up``        the records of that file
``memory``         what a process holds for itself alone
``timing``         warm-up, taking turns, synchronization, medians
``table``          the report for people
=================  ===============================================================
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.run import run_benchmark
    from benchmarks.table import format_report

PARTS = ('train', 'infer', 'naive', 'data', 'metric')
"""In the order in which they run: training first, because the peak of resident memory never falls."""

OPTIONAL_PARTS = ('pairs', 'sampling', 'scenario', 'large_sources')
"""Measured on request only: they take minutes, or memory; the last writes 2 GB into the temporary folder."""

NAIVE = ('infer', 'train')
"""What part ``naive`` compares."""

DEVICES = ('auto', 'cpu', 'cuda')

__all__ = ['DEVICES', 'NAIVE', 'OPTIONAL_PARTS', 'PARTS', 'format_report', 'run_benchmark']


def __getattr__(name: str) -> Any:
    if name == 'run_benchmark':
        from benchmarks.run import run_benchmark

        return run_benchmark
    if name == 'format_report':
        from benchmarks.table import format_report

        return format_report
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
