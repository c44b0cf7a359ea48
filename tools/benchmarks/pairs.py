"""Training steps of few and of many pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel

from benchmarks.model import benchmark_training
from xemap.errors import ConfigError

PAIRS = (1, 2, 4, 8, 16, 32, 64)


def benchmark_pairs(
    model: BaseModel,
    cfg: Config,
    size: tuple[int, int],
    repeats: int,
    device: str,
    pairs: Sequence[int] = PAIRS,
    seed: int = 0,
    measured: Sequence[dict[str, Any]] = (),
    keep: Callable[[dict[str, Any]], None] = lambda result: None,
) -> dict[str, Any]:
    """Time training steps of different size, the largest last.

    Args:
        model, cfg, size, repeats, device, seed: as :func:`~benchmarks.model.benchmark_training` takes them.
        pairs: numbers of pairs.
        measured: rows of an earlier call, which are taken as they are.
        keep: called with the result so far after each row.

    Returns:
        ``rows``: what :func:`~benchmarks.model.benchmark_training` gives for each number, and whether it ``fits`` into
        the GPU's memory; the first that does not is the last row. ``memory_per_pair_bytes``: slope of the peak over
        the pairs, None on a CPU, where the peak is the whole process's and never falls.
    """
    rows: list[dict[str, Any]] = []
    before = {row['pairs_per_step']: row for row in measured}
    for number in sorted(pairs):
        if number in before:
            rows.append(before[number])
            if not rows[-1]['fits']:
                break
            continue
        try:
            row = benchmark_training(model, cfg, size, repeats, device, seed, number)
        except ConfigError as error:
            if not isinstance(error.__cause__, torch.cuda.OutOfMemoryError):
                raise
            rows.append({'pairs_per_step': number, 'fits': False})
            torch.cuda.empty_cache()
            break
        rows.append({**row, 'fits': True})
        keep(_result(rows, device))
    return _result(rows, device)


def _result(rows: list[dict[str, Any]], device: str) -> dict[str, Any]:
    return {'rows': rows, 'memory_per_pair_bytes': _slope(rows) if device == 'cuda' else None}


def _slope(rows: list[dict[str, Any]]) -> float | None:
    points = [(row['pairs_per_step'], row['peak_memory_bytes']) for row in rows if row['fits']]
    return float(np.polyfit(*zip(*points), 1)[0]) if len(points) > 1 else None
