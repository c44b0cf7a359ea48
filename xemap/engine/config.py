"""Reading a config file and the overrides of a command line."""

from __future__ import annotations

import argparse
import difflib
import inspect
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.runner import Runner

from xemap.errors import ConfigError
from xemap.registry import check_config, suggestion

RUNNER_KEYS = {
    *(set(inspect.signature(Runner.__init__).parameters) - {'self', 'cfg'}),
    'activation_checkpointing', 'compile', 'custom_imports', 'efficient_conv_bn_eval',
    'find_unused_parameters', 'model_wrapper_cfg', 'sync_bn',
}  # fmt: skip
"""Top-level keys that have a meaning of their own; a config may define others for its own use."""

_MISSPELT = 0.88  # two letters swapped in a word of nine, as in load_form


def load_config(path: str | Path, options: Sequence[str] | dict | None = None) -> Config:
    """Read a config file, apply overrides, and look for misspelt keys.

    Args:
        path: a Python config file of MMEngine.
        options: overrides as on a command line (``['model.num_levels=4', …]``) or as a dictionary.

    Raises:
        ConfigError: the file is missing or broken, an override does not fit, or a key is misspelt.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f'config {path} does not exist; configs/ has those of this project')
    try:
        cfg = Config.fromfile(str(path))
    except Exception as error:  # the file is Python: anything may come out of it
        raise ConfigError(f'config {path} cannot be read: {type(error).__name__}: {error}') from error
    merge_options(cfg, options)
    for key in cfg:
        close = difflib.get_close_matches(key, RUNNER_KEYS, n=1, cutoff=_MISSPELT)
        if key not in RUNNER_KEYS and close:
            raise ConfigError(f'config {path}: key "{key}" has no effect; did you mean "{close[0]}"?')
    check_config(cfg)
    return cfg


def merge_options(cfg: Config, options: Sequence[str] | dict | None) -> None:
    """Apply overrides to ``cfg``.

    Args:
        cfg: changed in place.
        options: as for :func:`load_config`.

    Raises:
        ConfigError: an option is no ``key=value``, or leads through a key that is not there.
    """
    if not options:
        return
    values = options if isinstance(options, dict) else _parse(options)
    for name in values:
        _require_place(cfg, name)
    try:
        cfg.merge_from_dict(dict(values))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f'--cfg-options {" ".join(values)}: {error}') from error


def _parse(options: Sequence[str]) -> dict:
    for option in options:
        if '=' not in option.lstrip('='):
            raise ConfigError(f'--cfg-options {option}: give key=value')
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    try:
        return parser.parse_args(['--cfg-options', *options]).cfg_options
    except AssertionError as error:  # brackets that do not close
        raise ConfigError(f'--cfg-options {" ".join(options)}: {error}') from error


def _require_place(cfg: Config, name: str) -> None:
    part, keys = cfg, name.split('.')
    for depth, key in enumerate(keys):
        last = depth == len(keys) - 1
        if isinstance(part, (list, tuple)):
            if not key.isdigit() or int(key) >= len(part):
                raise ConfigError(f'--cfg-options {name}: "{key}" is no index of a list of {len(part)}')
            part = part[int(key)]
            continue
        if not isinstance(part, (dict, Config)):
            raise ConfigError(f'--cfg-options {name}: {".".join(keys[:depth])} is {part!r} and has no keys')
        known = set(part) | (RUNNER_KEYS if depth == 0 else set())
        if key not in known and (depth == 0 or not last):
            raise ConfigError(f'--cfg-options {name}: there is no "{key}"; {suggestion(key, known)}')
        if key not in part:
            return  # a new key; its module accepts or refuses it
        part = part[key]
