"""The same training with several seeds: how far scores scatter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xemap.config import load_config
from xemap.engine.checkpoint import find_newest_checkpoint
from xemap.engine.evaluate import evaluate_model
from xemap.engine.runner_setup import train_model
from xemap.errors import ConfigError
from xemap.files import write_json


def run_seeds(
    config: str | Path, seeds: Sequence[int], work_dir: str | Path, options: Sequence[str] | dict | None = None
) -> dict[str, Any]:
    """Train and test a config once for each seed.

    Each run has a folder ``seed_N`` in ``work_dir`` and goes on where it was interrupted; a finished one is tested
    only. The newest checkpoint is tested.

    Args:
        config: path or name.
        seeds: at least two different ones.
        work_dir: also gets ``seeds.json``, what is returned.
        options: overrides of the config.

    Returns:
        ``config``, ``seeds``, and ``scores``: for each score ``values`` (one per seed), ``mean`` and ``std`` (of a
        sample, n - 1).

    Raises:
        ConfigError: fewer than two seeds, or one twice.
        XeMapError: what training and testing raise.
    """
    if len(set(seeds)) < max(2, len(seeds)):
        raise ConfigError(f'seeds {list(seeds)}: give at least two, all different')
    rows = []
    for seed in seeds:
        folder = Path(work_dir, f'seed_{seed}')
        train_model(load_config(config, options), folder, seed=seed, resume='auto')
        rows.append(evaluate_model(load_config(config, options), find_newest_checkpoint(folder), folder, seed=seed))
    scores = {name: [row[name] for row in rows] for name in rows[0] if all(_is_number(row.get(name)) for row in rows)}
    result = {
        'config': str(config),
        'seeds': list(seeds),
        'scores': {
            name: {'values': values, 'mean': float(np.mean(values)), 'std': float(np.std(values, ddof=1))}
            for name, values in scores.items()
        },
    }
    write_json(Path(work_dir, 'seeds.json'), result)
    return result


def table_of_seeds(result: dict[str, Any]) -> str:
    """The result of :func:`run_seeds` as lines of text: mean, standard deviation and values of each score."""
    lines = [f'{"score":<24}{"mean":>9}{"std":>9}  seeds {", ".join(map(str, result["seeds"]))}']
    for name, score in result['scores'].items():
        values = '  '.join(f'{value:.4f}' for value in score['values'])
        lines.append(f'{name:<24}{score["mean"]:>9.4f}{score["std"]:>9.4f}  {values}')
    return '\n'.join(lines)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
