"""Checkpoints load safely, mmengine's own ones included, and fail with a message that helps.

torch 2.6 and later load with ``weights_only=True``. mmengine 0.10 writes its log buffers into
checkpoints as Python objects, so it cannot resume its own files (mmengine #1655). Exactly the classes it
writes are allowed here; anything else stays refused, and the safety is never switched off. Downloads are
loaded the same way, which ``torch.hub`` does not do by itself.

:func:`allow_mmengine_classes` can go when mmengine writes plain values, :func:`register_loaders` when
mmengine passes ``weights_only=True`` and reports unreadable files.
"""

from __future__ import annotations

import importlib
import pickle
import re
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader

from xemap.errors import CheckpointError

_REFUSED = re.compile(r'(GLOBAL|attribute) (?P<name>\S+) (was not|whose module|of .* is not)')
_STATISTICS = ('min', 'max', 'current', 'mean')


def _statistics_method(owner: type, name: str):
    """What ``getattr`` may do in a checkpoint: name a statistics method of :class:`HistoryBuffer`.

    Python pickles ``HistoryBuffer.min`` as a call of ``getattr``. Allowing the real one would let a file
    reach any attribute of any allowed object.
    """
    if owner is HistoryBuffer and name in _STATISTICS:
        return getattr(HistoryBuffer, name)
    raise pickle.UnpicklingError(f'attribute {owner.__name__}.{name} of {owner!r} is not allowed in a checkpoint')


def allow_mmengine_classes() -> None:
    """Let torch's safe unpickler read what mmengine writes: log buffers of numpy numbers."""
    core = importlib.import_module('numpy._core.multiarray' if hasattr(np, '_core') else 'numpy.core.multiarray')
    number_types = [np.float64, np.float32, np.int64, np.int32, np.bool_]
    # numpy 1.x and 2.x write different module names for the same functions.
    aliases = [
        (getattr(core, name), f'{module}.multiarray.{name}')
        for name in ('_reconstruct', 'scalar')
        for module in ('numpy.core', 'numpy._core')
    ]
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            np.ndarray,
            np.dtype,
            *{type(np.dtype(t)) for t in number_types},
            *aliases,
            (_statistics_method, 'builtins.getattr'),
            (_statistics_method, '__builtin__.getattr'),  # how pickle protocol 2 spells it
        ]
    )


def load_checkpoint_file(path: str | Path, map_location: Any = 'cpu', mmap: bool = False) -> dict:
    """Read a checkpoint without executing code from it.

    Args:
        path: ``.pth`` of torch or ``.safetensors``.
        map_location: as for :func:`torch.load`.
        mmap: map tensors instead of reading them; for a look at a large file.

    Returns:
        the dictionary in the file; for safetensors the weights by name.

    Raises:
        CheckpointError: the file is missing, truncated, no dictionary, or needs Python classes that are
            not allowed.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise CheckpointError(f'checkpoint {path} does not exist; give the path of a .pth file')
    try:
        if path.suffix == '.safetensors':
            from safetensors.torch import load_file

            device = 'cpu' if map_location is None or callable(map_location) else map_location
            return load_file(path, device=str(device))
        loaded = torch.load(path, map_location=map_location, weights_only=True, mmap=mmap or None)
    except pickle.UnpicklingError as error:
        raise CheckpointError(f'checkpoint {path} {_reason(error)}') from error
    except Exception as error:  # torch, zipfile and safetensors raise many types for a damaged file
        raise CheckpointError(
            f'checkpoint {path} ({path.stat().st_size:,} bytes) is truncated or no checkpoint '
            f'({_first_line(error)}); copy or download it again'
        ) from error
    if not isinstance(loaded, dict):
        raise CheckpointError(f'checkpoint {path} holds a {type(loaded).__name__}, not a dictionary of weights')
    return loaded


def _reason(error: pickle.UnpicklingError) -> str:
    text = str(error)
    if match := _REFUSED.search(text):
        return (
            f'needs the Python object {match["name"]} and was not loaded, since that could run code from the file; '
            "save its weights alone where it comes from: torch.save({'state_dict': model.state_dict()}, path)"
        )
    detail = text.partition('WeightsUnpickler error:')[2].strip() or text
    return f'is truncated or no checkpoint ({_first_line(detail)}); copy or download it again'


def _first_line(message: object) -> str:
    lines = str(message).strip().splitlines() or [type(message).__name__]
    return lines[0].split('. ')[0][:200]


def register_loaders() -> None:
    """Make mmengine read local files and downloads through :func:`load_checkpoint_file`'s rules."""
    from_http = mmengine_checkpoint.load_from_http

    def load_from_local(filename: str, map_location: Any = None) -> dict:
        return load_checkpoint_file(filename, map_location)

    def load_from_http(filename: str, map_location: Any = None, **kwargs) -> dict:
        try:
            return from_http(filename, map_location, **kwargs)
        except pickle.UnpicklingError as error:
            raise CheckpointError(f'checkpoint {filename} {_reason(error)}') from error
        except (URLError, OSError) as error:
            raise CheckpointError(
                f'checkpoint {filename} cannot be downloaded ({error}); where there is no network, '
                'download it elsewhere and give its path'
            ) from error

    mmengine_checkpoint.load_from_http = load_from_http  # what torchvision:// and its like call
    mmengine_checkpoint.load_url = partial(mmengine_checkpoint.load_url, weights_only=True)
    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
    CheckpointLoader.register_scheme(prefixes=('http://', 'https://'), loader=load_from_http, force=True)
