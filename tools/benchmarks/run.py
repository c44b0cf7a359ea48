"""One benchmark run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks import NAIVE, OPTIONAL_PARTS, PARTS
from benchmarks.data import benchmark_data, pipeline_size
from benchmarks.large_sources import benchmark_large_sources
from benchmarks.metric import benchmark_metric
from benchmarks.model import GROUPS, benchmark_inference, benchmark_training, build_model
from benchmarks.naive import benchmark_naive
from benchmarks.pairs import PAIRS, benchmark_pairs
from benchmarks.sampling import benchmark_sampling
from benchmarks.scenario import IMAGES, SIDE, benchmark_scenario
from benchmarks.timing import WARMUP, limited_threads
from xemap.engine import load_config
from xemap.environment import choose_device, describe_environment
from xemap.errors import ConfigError
from xemap.preparation.synthetic.scene import SIZES


def run_benchmark(
    config: str | Path,
    options: Sequence[str] = (),
    *,
    parts: Collection[str] = PARTS,
    device: str = 'auto',
    image_size: tuple[int, int] | None = None,
    repeats: int = 5,
    threads: int | None = None,
    scenes: int = 6,
    scene_sizes: tuple[int, ...] = SIZES,
    map_size: int = 3000,
    source_size: int = 10_000,
    queries: Sequence[int] = GROUPS,
    pairs: Sequence[int] = PAIRS,
    naive: Collection[str] = NAIVE,
    scenario_images: tuple[int, int] = IMAGES,
    scenario_side: int = SIDE,
    seed: int = 0,
    before: dict[str, Any] | None = None,
    keep: Callable[[dict[str, Any]], None] = lambda report: None,
) -> dict[str, Any]:
    """Measure and report; progress goes to stderr, nothing to stdout but the libraries' own messages.

    Args:
        config: whose model, step size, optimizer and training pipeline are measured.
        options: overrides of the config, ``key=value``.
        parts: some of :data:`~benchmarks.PARTS` and :data:`~benchmarks.OPTIONAL_PARTS`.
        device: device of the model: ``'auto'``, ``'cpu'`` or ``'cuda'``.
        image_size: (height, width); None = that of the config's training pipeline.
        repeats: timed rounds of each measurement; numbers are their medians.
        threads: threads of torch and OpenCV on the CPU, except in part ``data``, which has one; None = torch's.
        scenes: images of part ``data``.
        scene_sizes: sides that these may have, in pixels.
        map_size: side of the map of part ``metric``.
        source_size: side of the images of part ``large_sources``.
        queries: number of queries of an image, in part ``infer``.
        pairs: number of pairs of a training step, in part ``pairs``.
        naive: what part ``naive`` compares, of :data:`~benchmarks.NAIVE`.
        scenario_images: that the network and that each SeLo answers in part ``scenario``.
        scenario_side: side of these images, pixels.
        seed: seed of everything made up.
        before: report of a call that was cut off; its parts, and its rows of part ``pairs``, are taken as they are. One
            of another config, other settings, another device or other code is not, with a warning.
        keep: called with the report so far after each part, and after each row of part ``pairs``.

    Returns:
        what ``tools/benchmark.py`` prints as JSON: ``date``, ``environment``, ``settings`` and an entry for
        each part; seconds are wall-clock, sizes in bytes.

    Raises:
        ConfigError: an argument or a part of the config that does not fit.
    """
    numbers: dict[str, tuple[int | None, ...]] = {
        '--repeats': (repeats,), '--threads': (threads,), '--scenes': (scenes,), '--map-size': (map_size,),
        '--source-size': (source_size,), '--image-size': image_size or (), '--queries': tuple(queries),
        '--pairs': tuple(pairs), '--scenario-images': scenario_images, '--scenario-side': (scenario_side,),
    }  # fmt: skip
    for name, values in numbers.items():
        if any(value is not None and value < 1 for value in values):
            raise ConfigError(f'{name} {" ".join(map(str, values))}: give at least 1')
    known = (*PARTS, *OPTIONAL_PARTS)
    if unknown := set(parts) - set(known):
        raise ConfigError(f'--parts {" ".join(sorted(unknown))}: unknown; parts are {" ".join(known)}')
    cfg = load_config(config, options)
    device = choose_device(device)
    size = pipeline_size(cfg) if image_size is None else image_size
    environment = describe_environment(device)  # first, for the load average before this run
    with limited_threads(threads) as threads:
        torch.manual_seed(seed)
        head: dict[str, Any] = {
            'date': datetime.now(timezone.utc).isoformat(timespec='seconds'),
            'config': Path(config).stem,
            'environment': environment,
            'settings': {
                'cfg_options': list(options), 'image_size': list(size), 'warmup': WARMUP, 'repeats': repeats,
                'threads': threads, 'seed': seed, 'scenes': scenes, 'scene_sizes': list(scene_sizes),
                'map_size': map_size, 'source_size': source_size, 'queries': list(queries), 'naive': list(naive),
                'scenario_images': list(scenario_images), 'scenario_side': scenario_side,
            },
        }  # fmt: skip
        results = _measured(before, head)
        left = set(parts) - (results.keys() - {'pairs'})

        def record(part: str, result: Any) -> None:
            results[part] = result
            keep({**head, **results})

        if {'train', 'infer', 'pairs'} & left:
            model = build_model(cfg, device)
            if 'train' in left:
                record('train', benchmark_training(model, cfg, size, repeats, device, seed))
            if 'infer' in left:
                record('infer', benchmark_inference(model, size, repeats, device, seed, queries))
            if 'pairs' in left:
                rows = results.get('pairs', {}).get('rows', ())
                record_row = partial(record, 'pairs')
                record_row(benchmark_pairs(model, cfg, size, repeats, device, pairs, seed, rows, record_row))
            del model  # its memory is another part's
        if 'naive' in left:
            record('naive', benchmark_naive(cfg, size, repeats, device, seed, naive))
        if 'sampling' in left:
            record('sampling', benchmark_sampling(size, repeats, device, seed))
        if 'scenario' in left:
            record('scenario', benchmark_scenario(cfg, device, *scenario_images, scenario_side, seed=seed))
        if 'data' in left:
            record('data', benchmark_data(cfg, image_size, repeats, scenes, scene_sizes, seed))
        if 'metric' in left:
            record('metric', benchmark_metric(map_size, repeats, seed))
        if 'large_sources' in left:
            record('large_sources', benchmark_large_sources(cfg, image_size, repeats, source_size, seed))
    return {**head, **results}


def _measured(before: dict[str, Any] | None, head: dict[str, Any]) -> dict[str, Any]:
    """The parts of a report that another run with this head may take over; none, with a warning, where heads differ."""
    if before is None:
        return {}
    if _comparable(before) != _comparable(head):
        print('measured before with other settings, code or device: measured again', file=sys.stderr)
        return {}
    return {part: result for part, result in before.items() if part not in head}


def _comparable(report: dict[str, Any]) -> dict[str, Any]:
    environment = {name: value for name, value in report['environment'].items() if name != 'load_average'}
    return {'config': report['config'], 'settings': report['settings'], 'environment': environment}
