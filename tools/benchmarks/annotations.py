"""Building, opening and reading an annotation file of full size, and the targets (MCMG) of a sample.

Each measurement runs in a fresh process with one thread, so that none sees what another left in memory; the
process that starts them imports neither torch nor MMDetection, whose pages would otherwise count as shared.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.progress import track
from rich.table import Table

from benchmarks.made_up import IMAGES, make_records, make_region
from benchmarks.memory import MEASURES, memory_of
from xemap.datasets.annotations import AnnotationFile, write_annotations
from xemap.errors import ConfigError
from xemap.parallel import WorkerPool, process_environment
from xemap.structures import Query
from xemap.terminal import PlainConsole

ONE_THREAD = {'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1', 'MKL_NUM_THREADS': '1'}
MAP_SIZE, MAP_QUERIES = 512, 9
MASKS_OF, POLYGONS_OF = (1024, 1024), (480, 640)
"""(height, width) of the images whose regions become targets."""


def run_annotations_benchmark(
    file: str | Path | None = None,
    *,
    images: int = IMAGES,
    workers: int = 4,
    samples: int = 5000,
    repeats: int = 20,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure and report; progress goes to stderr.

    Args:
        file: an annotation file to measure; None makes one in a temporary folder and times that too.
        images: number of images of the made-up file.
        workers: processes of the data loader that reads every record once, in random order.
        samples: records whose reading is timed one by one, at random.
        repeats: timed rounds of MCMG.
        seed: seed of everything random.

    Returns:
        what ``tools/benchmark.py annotations`` prints as JSON: ``date``, ``environment``, ``settings``, ``file``,
        ``build`` (None with ``file``), ``open``, ``access``, ``workers``, ``mcmg``; seconds and bytes. Memory is
        as :func:`~benchmarks.memory.memory_of` returns it.

    Raises:
        ConfigError: a number that does not fit, or no Linux.
        DataError: ``file`` cannot be read.
    """
    numbers = {'--images': images, '--workers': workers, '--samples': samples, '--repeats': repeats}
    for name, value in numbers.items():
        if value < 1:
            raise ConfigError(f'{name} {value}: give at least 1')
    memory_of()  # says at once where it cannot
    load = os.getloadavg()[0]
    built = None
    with TemporaryDirectory(prefix='xemap-benchmark-') as folder:
        path = Path(folder, 'annotations.arrow') if file is None else Path(file)
        if file is None:
            start = time.perf_counter()
            write_annotations(path, _progress(make_records(images, seed), 'building', images))
            built = {'seconds': time.perf_counter() - start}
        counts = AnnotationFile(path).query_counts()
        counted = {'images': len(counts), 'queries': int(counts.sum()), 'bytes': os.path.getsize(path)}
        measured = _apart(_read, str(path), workers, samples, seed)
    measured['mcmg'], described = _apart(_maps_and_environment, repeats, seed)
    return {
        'date': datetime.now(timezone.utc).isoformat(timespec='seconds'),
        'environment': {**described, 'load_average': load},
        'settings': {'workers': workers, 'samples': samples, 'repeats': repeats, 'threads': 1, 'seed': seed},
        'file': counted,
        'build': built,
        **measured,
    }


def format_annotations_report(report: dict[str, Any]) -> Table:
    """What :func:`run_annotations_benchmark` returned, as a table with the targets for a file of full size."""
    file, opened, environment = report['file'], report['open'], report['environment']
    title = f'{file["images"]:,} images, {file["queries"]:,} queries, {file["bytes"] / 2**20:,.0f} MiB'
    table = Table('part', 'measured', 'value', 'target', '', title=title)
    table.columns[2].justify = table.columns[3].justify = 'right'
    load = environment['load_average']
    table.caption = f'{environment["device_name"]}, one thread per process, load {load:.1f} before'

    def add(part: str, what: str, value: float, unit: str, target: float | None = None, digits: int = 1) -> None:
        bound, met = ('', '') if target is None else (f'< {target:g} {unit}', 'met' if value < target else 'missed')
        table.add_row(part, what, f'{value:,.{digits}f} {unit}', bound, met)

    def add_memory(part: str, what: str, memory: dict[str, int], target: float | None = None) -> None:
        add(part, f'{what}: USS', memory['uss'] / 2**20, 'MiB', target)
        add('', f'{what}: written part of USS', memory['own'] / 2**20, 'MiB')
        add('', f'{what}: PSS', memory['pss'] / 2**20, 'MiB')

    if report['build']:
        add('build', 'records made up, encoded, written', report['build']['seconds'], 's', 600)
    add('open', 'XeMapDataset(file)', opened['seconds'], 's', 5, 2)
    add_memory('', 'torch, mmengine, mmdet', opened['before'])
    add_memory('', 'added by opening', {name: opened['after'][name] - opened['before'][name] for name in MEASURES}, 300)
    access, samples = report['access'], report['settings']['samples']
    add('access', f"a sample's annotation, median of {samples:,}", access['median_s'] * 1e3, 'ms', 1, 3)
    add('', '99 % are faster than', access['p99_s'] * 1e3, 'ms', None, 3)
    workers = report['workers']['memory']
    largest = {name: max(worker[name] for worker in workers) for name in MEASURES}
    add_memory('workers', f'largest of {len(workers)} after all records', largest, 100)
    for kind, size in (('polygons', POLYGONS_OF), ('masks', MASKS_OF)):
        what = f'{MAP_QUERIES} {kind} of {size[0]} x {size[1]} to {MAP_SIZE} x {MAP_SIZE}'
        add('mcmg', what, report['mcmg'][kind]['median_s'] * 1e3, 'ms', 15)
    return table


def _apart(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function in a fresh process with one thread; what it prints goes to stderr."""
    with process_environment(ONE_THREAD), WorkerPool(1) as pool:
        return pool.submit(_quietly, function, args).result()


def _quietly(function: Callable[..., Any], args: tuple) -> Any:
    with redirect_stdout(sys.stderr):
        return function(*args)


def _maps_and_environment(repeats: int, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Together, since a fresh process takes seconds to import everything."""
    from xemap.environment import describe_environment

    return _make_maps(repeats, seed), describe_environment('cpu')


def _read(file: str, workers: int, samples: int, seed: int) -> dict[str, Any]:
    """Open the file as training does, read records here at random, then all of them in worker processes."""
    import torch
    from torch.utils.data import DataLoader

    from xemap.datasets.xemap_dataset import XeMapDataset

    before, start = memory_of(), time.perf_counter()
    dataset = XeMapDataset(file)
    opened = {'seconds': time.perf_counter() - start, 'before': before, 'after': memory_of()}

    seconds = []
    for index in np.random.default_rng(seed).integers(len(dataset), size=samples).tolist():
        start = time.perf_counter()
        dataset.get_data_info(index)
        seconds.append(time.perf_counter() - start)
    access = {'median_s': float(np.median(seconds)), 'p99_s': float(np.percentile(seconds, 99)), 'max_s': max(seconds)}

    order = torch.Generator().manual_seed(seed)
    visits: Any = _Visits(dataset)
    loader: DataLoader = DataLoader(
        visits, 16, True, num_workers=workers, collate_fn=set, persistent_workers=True, generator=order,
        multiprocessing_context='fork',  # as the runner's
    )  # fmt: skip
    start = time.perf_counter()
    pids = set().union(*_progress(loader, f'{workers} workers', len(loader)))
    elapsed = time.perf_counter() - start
    memory = [memory_of(pid) for pid in sorted(pids)]  # persistent workers are still there
    return {'open': opened, 'access': access, 'workers': {'seconds': elapsed, 'memory': memory}}


class _Visits:
    """Reads a record and sends only the process that read it."""

    def __init__(self, dataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> int:
        self.dataset.get_data_info(index)
        return os.getpid()


def _make_maps(repeats: int, seed: int) -> dict[str, Any]:
    from benchmarks.timing import limited_threads, measure
    from xemap.datasets.transforms.targets import GenerateMaps

    rng, make = np.random.default_rng(seed), GenerateMaps()

    def call(kind: str, size: tuple[int, int]) -> Callable[[], object]:
        queries = [Query(f'query {i}', make_region(kind, size, 1, rng)) for i in range(MAP_QUERIES)]
        results = {'queries': queries, 'ori_shape': size, 'img_shape': (MAP_SIZE, MAP_SIZE)}
        return lambda: make.transform(dict(results))

    calls = {'polygons': call('polygon', POLYGONS_OF), 'masks': call('mask', MASKS_OF)}
    with limited_threads(1):
        return measure(calls, repeats, title=f'maps of {MAP_QUERIES} queries')


def _progress(items, title: str, total: int):
    return track(items, title, total, console=PlainConsole(stderr=True), transient=True)
