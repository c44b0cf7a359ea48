"""Finding checkpoints, and refusing those of another architecture."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from mmengine.logging import print_log
from torch import nn

from xemap.compat.checkpoint_loading import load_checkpoint_file
from xemap.errors import CheckpointError

SHOWN_KEYS = 3
_MODULE_PREFIX = re.compile(r'^module\.')


def find_newest_checkpoint(work_dir: str | Path) -> Path | None:
    """The newest checkpoint of a run that can be read.

    Files that cannot be read are passed over with a warning; so is a ``last_checkpoint`` note that is
    empty or points nowhere. Best checkpoints do not count: they hold no optimizer state.

    Args:
        work_dir: folder of the run; checkpoints may lie elsewhere if ``last_checkpoint`` says so.

    Returns:
        its path, or None if there is none.
    """
    work_dir = Path(work_dir)
    found = {*work_dir.glob('epoch_*.pth'), *work_dir.glob('iter_*.pth')}
    note = work_dir / 'last_checkpoint'
    if note.is_file():
        named = Path(note.read_text().strip() or work_dir)
        if named.is_file() and named.resolve() not in {path.resolve() for path in found}:
            found.add(named)
    for path in sorted(found, key=lambda p: (p.stat().st_mtime_ns, p.name), reverse=True):
        try:
            content = load_checkpoint_file(path, mmap=True)
        except CheckpointError as error:
            print_log(f'{error}; trying the one before', logger='current', level=30)
            continue
        if 'optimizer' in content and 'meta' in content:
            return path
        print_log(f'{path} holds no optimizer state, so it cannot be resumed', logger='current', level=30)
    return None


def weights_of(checkpoint: dict) -> dict[str, torch.Tensor]:
    """The weights by name in a loaded checkpoint, without DDP's ``module.`` in front."""
    state = checkpoint.get('state_dict', checkpoint)
    return {_MODULE_PREFIX.sub('', name): value for name, value in state.items()}


def check_weights(model: nn.Module, checkpoint: dict, path: str | Path, exact: bool) -> None:
    """Compare a checkpoint's weights with a model's, by name and shape.

    Args:
        model: what they are to be loaded into.
        checkpoint: as loaded.
        path: its file, for the message.
        exact: every weight must be there and none be left over, as testing and resuming need; otherwise
            at least one must fit, as for initialising a training.

    Raises:
        CheckpointError: they do not fit; the message counts what does and names what does not.
    """
    wanted, given = model.state_dict(), weights_of(checkpoint)
    shared = wanted.keys() & given.keys()
    differing = sorted(k for k in shared if wanted[k].shape != getattr(given[k], 'shape', None))
    missing, unknown = sorted(wanted.keys() - given.keys()), sorted(given.keys() - wanted.keys())
    fitting = len(shared) - len(differing)
    if fitting == len(wanted) and not unknown:
        return
    problems = [
        f'{len(keys)} {what} ({", ".join(keys[:SHOWN_KEYS])}{", …" if len(keys) > SHOWN_KEYS else ""})'
        for what, keys in (('missing', missing), ('of another shape', differing), ('unknown to the model', unknown))
        if keys
    ]
    summary = f'{fitting} of {len(wanted)} weights of {type(model).__name__} match; ' + ', '.join(problems)
    if exact or not fitting:
        raise CheckpointError(
            f'checkpoint {path} is of another architecture: {summary}; '
            'use the config that it was trained with (a copy lies in its work_dir)'
        )
    print_log(f'checkpoint {path} fits in part: {summary}', logger='current', level=30)
