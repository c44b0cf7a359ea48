"""The same training with several seeds: how far scores scatter."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student_t

from xemap.config import load_config
from xemap.engine.checkpoint import find_newest_checkpoint
from xemap.engine.evaluate import evaluate_model
from xemap.engine.runner_setup import train_model
from xemap.errors import ConfigError
from xemap.evaluation.text_controls import CONTROLS
from xemap.files import write_json


def run_seeds(
    config: str | Path,
    seeds: Sequence[int],
    work_dir: str | Path,
    options: Sequence[str] | dict | None = None,
    text_controls: Sequence[str] = (),
) -> dict[str, Any]:
    """Train and test a config once for each seed.

    Each run has a folder ``seed_N`` in ``work_dir`` and goes on where it was interrupted; a finished one is tested
    only. The newest checkpoint is tested.

    Args:
        config: path or name.
        seeds: at least two different ones.
        work_dir: also gets ``seeds.json``, what is returned.
        options: overrides of the config.
        text_controls: score with broken texts, too, see :func:`~xemap.engine.evaluate.evaluate_model`.

    Returns:
        ``config``, ``seeds``, and ``scores``: for each score ``values`` (one per seed), ``mean``, ``std`` (of a
        sample, n - 1), ``low`` and ``high`` (95 % interval of the mean over other seeds on the same test, by
        Student's t). A text control is a score for each kind of query, as ``'target-only/multi-hop'``: whole minus
        broken texts in the first score, for queries with distractors.

    Raises:
        ConfigError: fewer than two seeds, or one twice; an unknown text control.
        XeMapError: what training and testing raise.
    """
    if len(set(seeds)) < max(2, len(seeds)):
        raise ConfigError(f'seeds {list(seeds)}: give at least two, all different')
    if unknown := set(text_controls) - set(CONTROLS):
        raise ConfigError(f'text control {sorted(unknown)} is unknown; use some of {", ".join(CONTROLS)}')
    rows: list[dict[str, Any]] = []
    for seed in seeds:
        folder = Path(work_dir, f'seed_{seed}')
        train_model(load_config(config, options), folder, seed=seed, resume='auto')
        cfg = load_config(config, options)
        metrics = evaluate_model(cfg, find_newest_checkpoint(folder), folder, seed=seed, text_controls=text_controls)
        rows.append(metrics | (_effects(folder / 'test.summary.json') if text_controls else {}))
    scores = {name: [row[name] for row in rows] for name in rows[0] if all(_is_number(row.get(name)) for row in rows)}
    result = {
        'config': str(config),
        'seeds': list(seeds),
        'scores': {name: _summary(values) for name, values in scores.items()},
    }
    write_json(Path(work_dir, 'seeds.json'), result)
    return result


def table_of_seeds(result: dict[str, Any]) -> str:
    """The result of :func:`run_seeds` as lines of text: mean, its 95 % interval, standard deviation and values."""
    lines = [f'{"score":<28}{"mean":>9}{"95 % interval":>18}{"std":>9}  seeds {", ".join(map(str, result["seeds"]))}']
    for name, score in result['scores'].items():
        values = '  '.join(f'{value:.4f}' for value in score['values'])
        interval = f'{score["low"]:.4f} {score["high"]:.4f}'
        lines.append(f'{name:<28}{score["mean"]:>9.4f}{interval:>18}{score["std"]:>9.4f}  {values}')
    return '\n'.join(lines)


def _summary(values: list[float]) -> dict[str, Any]:
    mean, std = float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(student_t.ppf(0.975, len(values) - 1)) * std / len(values) ** 0.5
    return {'values': values, 'mean': mean, 'std': std, 'low': mean - half, 'high': mean + half}


def _effects(summary: Path) -> dict[str, Any]:
    """Differences that the summary of a test has for its text controls."""
    return {
        f'{control}/{kind}': effect.get('difference')
        for control, report in json.loads(summary.read_text())['text_controls'].items()
        for kind, effect in report.get('with_distractors', {}).get('by_kind', {}).items()
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
