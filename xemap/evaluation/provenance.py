"""What a summary says of the run behind it: config, checkpoint, data and commit."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xemap

_ROOT = Path(xemap.__file__).resolve().parents[1]


def describe_run(config: str | Path | None, checkpoint: str | Path | None, data: str | None, **more: Any) -> dict:
    """JSON-serializable facts about a run.

    Args:
        config, checkpoint: files; None where there was none.
        data: annotation file of the queries.
        more: further facts.
    """
    named = {'config': config, 'checkpoint': checkpoint, 'data': data}
    return {**{key: None if value is None else str(value) for key, value in named.items()}, 'commit': commit(), **more}


def annotation_file_of(config: Mapping[str, Any]) -> str | None:
    """Path of the annotation file that a config tests on; None where its data set has none."""
    dataset = config['test_dataloader']['dataset']
    parts = [dataset.get(key) for key in ('data_root', 'ann_file')]
    return str(Path(*(str(part) for part in parts if part))) if any(parts) else None


def commit() -> str | None:
    """Hash of the checkout that this package is of, ``+`` where files differ from it; None outside of a checkout."""

    def git(*words: str) -> str:
        done = subprocess.run(['git', '-C', _ROOT, *words], capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()

    try:
        if Path(git('rev-parse', '--show-toplevel')).resolve() != _ROOT:
            return None  # installed into somebody else's checkout
        return git('rev-parse', 'HEAD') + ('+' if git('status', '--porcelain', '--untracked-files=no') else '')
    except (OSError, subprocess.SubprocessError):
        return None
