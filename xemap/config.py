"""Finding and reading a config, with the overrides of a command line."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator, Sequence
from copy import deepcopy
from importlib import resources
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from xemap.config_options import assigning, is_literal, parse_options
from xemap.errors import ConfigError
from xemap.registry import check_config, suggestion, typed_parts

RUNNER_KEYS = {
    *(set(inspect.signature(Runner.__init__).parameters) - {'self', 'cfg'}),
    'activation_checkpointing', 'compile', 'custom_imports', 'efficient_conv_bn_eval',
    'find_unused_parameters', 'model_wrapper_cfg', 'sync_bn',
}  # fmt: skip
"""Top-level keys that have a meaning of their own; a config may define others for its own use."""

KNOWN_KEYS = {
    'auto_scale_lr': {'enable', 'base_batch_size'},
    'env_cfg': {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'},
    'env_cfg.dist_cfg': {'backend', 'init_backend', 'init_method', 'port', 'timeout'},
    'env_cfg.mp_cfg': {'mp_start_method', 'opencv_num_threads'},
    'randomness': set(inspect.signature(Runner.set_randomness).parameters) - {'self'},
}
"""Keys of the parts that MMEngine reads without complaining of others."""

HOOKS = {
    'checkpoint', 'constant_maps', 'draw', 'logger', 'param_scheduler', 'runtime_info', 'sampler_seed', 'seed', 'timer',
}  # fmt: skip
"""Names of default hooks, those of MMEngine and of configs/_base_/default_runtime.py."""

TARGET_STEP = 'GenerateTargets'
"""Type of the pipeline step that stands for the config's ``target``."""

_MISSPELLED = 0.8  # two letters swapped in a word of five, as in modle


def find_config(name: str | Path) -> Path:
    """Path of a config: itself, or that of the project's config of this name.

    The project's configs lie in the installed package, or in ``configs/`` of a checkout.

    Raises:
        ConfigError: there is none.
    """
    path = Path(name)
    if path.is_file():
        return path
    known = {file.stem: file for file in sorted(config_folder().glob('[!_]*/*.py'))}
    if str(name) in known:
        return known[str(name)]
    close = difflib.get_close_matches(path.stem, known, n=1)
    hint = f'did you mean "{close[0]}"?' if close else 'configs/ has those of this project'
    raise ConfigError(f'config {name} does not exist; {hint}')


def config_folder() -> Path:
    """Folder of the project's configs."""
    packaged = Path(str(resources.files('xemap'))) / 'configs'
    return packaged if packaged.is_dir() else packaged.parents[1] / 'configs'


def load_config(path: str | Path, options: Sequence[str] | dict | None = None) -> Config:
    """Read a config file, apply overrides, and look for misspelled keys.

    An override of a top-level name that the config computes with (``data_root``, ``image_size``) takes
    effect wherever the config and its bases use it. A pipeline step of type ``GenerateTargets`` becomes the config's
    ``target``, which a base file of ``tasks/`` gives, and ``mean_box='train'`` of a metric the training annotations.

    Args:
        path: a Python config file of MMEngine, or the name of one of the project's.
        options: overrides as on a command line (``['model.num_levels=4', …]``) or as a dictionary.

    Raises:
        ConfigError: the file is missing or broken, an override does not fit or has no effect, or a key is misspelled.
    """
    path = find_config(path)
    values = dict(options) if isinstance(options, dict) else parse_options(options or [])
    cfg = _assemble(path, values)
    _refuse_without_effect(cfg, path, values)
    cfg.setdefault('default_scope', 'xemap')
    check_keys(cfg)
    check_config(cfg)
    return cfg


def _assemble(path: Path, values: dict[str, Any]) -> Config:
    names = {key: value for key, value in values.items() if '.' not in key and is_literal(value)}
    names = {key: value for key, value in names.items() if not isinstance(value, dict)}  # these are merged
    cfg, assigned = _read(path, names)
    # A name of the config's own that others copy (train_pipeline): change its value, and read again with it.
    for key, value in values.items():
        name = key.partition('.')[0]
        if name != key and name in cfg and name not in RUNNER_KEYS:
            named = Config({name: names.get(name, cfg[name])})
            merge_options(named, {key: value})
            names[name] = named.to_dict()[name]
    if names.keys() - values.keys():
        cfg, assigned = _read(path, names)
    if not cfg.get('val_dataloader'):
        cfg.pop('val_evaluator', None)  # of a task, in a config for testing
    merge_options(
        cfg, {key: value for key, value in values.items() if key.partition('.')[0] not in assigned & {*names}}
    )
    _place_target(cfg)
    _place_training_file(cfg)
    return cfg


def _place_target(cfg: Config) -> None:
    """Make the steps that stand for the target what the task says; keys that a step has itself win."""
    for place, step in list(typed_parts(cfg)):
        if step['type'] != TARGET_STEP:
            continue
        target = cfg.get('target')
        if not isinstance(target, dict) or 'type' not in target:
            raise ConfigError(
                f"{place}: {TARGET_STEP} stands for the config's target, and target is {target!r}; "
                "add a base of _base_/tasks, or target = dict(type='GenerateMaps')"
            )
        step.update({**deepcopy(target), **{key: value for key, value in step.items() if key != 'type'}})


def _place_training_file(cfg: Config) -> None:
    """Where a metric's ``mean_box`` is 'train', name the annotation file of the training; None where it is not here."""
    for _, part in list(typed_parts(cfg)):
        if part.get('mean_box') != 'train':
            continue
        dataset = (cfg.get('train_dataloader') or {}).get('dataset', {})
        file = dataset.get('ann_file')
        if file and not Path(file).is_file():
            file = str(Path(dataset.get('data_root', ''), file))
        part['mean_box'] = file if file and Path(file).is_file() else None


def _refuse_without_effect(cfg: Config, path: Path, values: dict[str, Any]) -> None:
    """Refuse overrides of names that nothing is computed from, as in a config that a run has written.

    Raises:
        ConfigError: the first one, with the places that have a key of its name.
    """
    for name in dict.fromkeys(key.partition('.')[0] for key in values):
        if name in RUNNER_KEYS:
            continue
        others = {key: value for key, value in values.items() if key.partition('.')[0] != name}
        before, after = _assemble(path, others).to_dict(), cfg.to_dict()
        if before.pop(name, None) != after.pop(name, None) and before == after:
            raise ConfigError(
                f'--cfg-options {name}: nothing in config {path} is made from it; '
                f'give {" or ".join(_places(after, name)) or "the part of the config that is to change"}'
            )


def _read(path: Path, names: dict[str, Any]) -> tuple[Config, set[str]]:
    """The config with these values of top-level names, and the names that it assigns."""
    try:
        with assigning(names) as assigned:
            return Config.fromfile(str(path)), assigned
    except Exception as error:  # the file is Python: anything may come out of it
        given = f' with {", ".join(f"{key}={value!r}" for key, value in names.items())}' if names else ''
        raise ConfigError(f'config {path} cannot be read{given}: {type(error).__name__}: {error}') from error


def merge_options(cfg: Config, options: dict[str, Any]) -> None:
    """Apply overrides to ``cfg``.

    Args:
        cfg: changed in place.
        options: values by dotted key.

    Raises:
        ConfigError: an option leads through a key that is not there.
    """
    for name in options:
        _require_place(cfg, name)
    try:
        cfg.merge_from_dict(dict(options))
    except (KeyError, TypeError, ValueError) as error:
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
            places = list(_places(cfg, key)) if depth == 0 and last else []
            hint = f'give {" or ".join(places)}' if places else suggestion(key, known)
            raise ConfigError(f'--cfg-options {name}: there is no "{key}"; {hint}')
        if key not in part:
            return  # a new key; its module accepts or refuses it
        part = part[key]


def _places(part: Any, key: str, path: str = '') -> Iterator[str]:
    """Where a key stands below, outermost first on each path."""
    if isinstance(part, (dict, Config)):
        if path and key in part:
            yield f'{path}.{key}'
            return
        for name, value in part.items():
            yield from _places(value, key, f'{path}.{name}' if path else name)


def check_keys(cfg: Config) -> None:
    """Refuse keys that nothing reads, in the parts that no module of ours is built from.

    Raises:
        ConfigError: the first one found, with the nearest known key.
    """
    for key in cfg:
        close = difflib.get_close_matches(key, RUNNER_KEYS, n=1, cutoff=_MISSPELLED)
        if key not in RUNNER_KEYS and close:
            raise ConfigError(f'config {cfg.filename}: key "{key}" has no effect; did you mean "{close[0]}"?')
    for place, known in KNOWN_KEYS.items():
        part: Any = cfg
        for name in place.split('.'):
            part = (part or {}).get(name)
        if part is not None and not isinstance(part, dict):
            raise ConfigError(f'{place} is {part!r}; give a dictionary with keys of {", ".join(sorted(known))}')
        for key in set(part or ()) - known:
            raise ConfigError(f'{place}: unknown key "{key}"; {suggestion(key, known)}')
    for name, hook in (cfg.get('default_hooks') or {}).items():
        close = difflib.get_close_matches(name, HOOKS, n=1, cutoff=0.75)
        nameless = isinstance(hook, dict) and 'type' not in hook
        if name not in HOOKS and (close or nameless):
            raise ConfigError(f'default_hooks: there is no "{name}"; {suggestion(name, HOOKS)}')
    if not isinstance(cfg.get('resume', False), bool):
        raise ConfigError(
            f'resume is {cfg.resume!r}; give True or False, and the checkpoint to go on from as load_from'
        )
