"""The config that a training checkpoint holds, read as data, and how another one differs from it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import DefaultScope
from mmengine.runner.checkpoint import CheckpointLoader

from xemap.compat import setup
from xemap.errors import CheckpointError, ConfigError
from xemap.registry import MODELS

_OF_TRAINING = ('init_cfg', 'frozen', 'train_cfg')
"""Keys of a model that do not change its answers; so are those that begin with ``loss``."""
NOT_SET = 'not set'


def config_of_checkpoint(path: str | Path) -> Config:
    """The config that a checkpoint was trained with.

    MMEngine stores it as the text of a Python file. It is parsed and never executed: numbers, texts, lists, tuples,
    dictionaries and ``dict(…)`` are all that it may consist of. ``custom_imports``, which would import modules that
    the author of a file names, is left out.

    Args:
        path: a ``.pth`` of MMEngine.

    Raises:
        CheckpointError: the file cannot be read safely, or holds no config.
        ConfigError: the config is no plain data.
    """
    setup()  # makes MMEngine's loader the safe one
    checkpoint = CheckpointLoader.load_checkpoint(str(path), map_location='cpu')
    meta = checkpoint.get('meta') if isinstance(checkpoint, dict) else None
    text = meta.get('cfg') if isinstance(meta, dict) else None
    if not isinstance(text, str):
        raise CheckpointError(f'checkpoint {path} holds no config; give --config, the one that it was trained with')
    try:
        values = parse_config(text)
        if list(values) == ['cfg'] and isinstance(values['cfg'], dict):  # as xemap.compat has MMEngine write it
            values = values['cfg']
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ConfigError(f'the config in checkpoint {path} is no plain data ({error}); give --config') from error
    values.pop('custom_imports', None)
    return Config(values, cfg_text=text, filename=str(path))


def warn_of_other_model(config: Mapping[str, Any], checkpoint: str | Path) -> None:
    """Warn where the model of a config is not the one that a checkpoint was trained as, though the weights may fit.

    Args:
        config: the config that the checkpoint is used with.
        checkpoint: one that holds no config, or none of plain data, cannot be compared and is passed over.
    """
    try:
        trained = config_of_checkpoint(checkpoint)
    except (CheckpointError, ConfigError):
        return
    for key, value, trained_value in model_differences(config.get('model') or {}, trained.get('model') or {}):
        print_log(
            f'{key} is {value} here and was {trained_value} when {checkpoint} was trained; scores are not of the model '
            'as trained', logger='current', level=30,
        )  # fmt: skip


def model_differences(
    first: Mapping[str, Any], second: Mapping[str, Any], key: str = 'model'
) -> Iterator[tuple[str, str, str]]:
    """Settings in which two models differ, but for those of training alone: dotted key and both values, written out.

    A setting that only one of them has is compared with the default of the class that it is an argument of.
    """
    defaults = _defaults(first) if first.get('type') == second.get('type') else {}
    for name in {**first, **second}:
        if name in _OF_TRAINING or str(name).startswith('loss'):
            continue
        default = defaults.get(name, NOT_SET)
        yield from _differences(first.get(name, default), second.get(name, default), f'{key}.{name}')


def _differences(first: Any, second: Any, key: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        yield from model_differences(first, second, key)
    elif isinstance(first, (list, tuple)) and isinstance(second, (list, tuple)) and len(first) == len(second):
        for i, pair in enumerate(zip(first, second)):
            yield from _differences(*pair, f'{key}.{i}')
    elif _written(first) != _written(second) and not (isinstance(first, (int, float)) and first == second):
        yield key, _written(first), _written(second)


def _defaults(part: Mapping[str, Any]) -> dict[str, Any]:
    """Default arguments of the class or function that a part of a model names."""
    kind = part.get('type')
    with DefaultScope.overwrite_default_scope('xemap'):
        kind = MODELS.get(kind) if isinstance(kind, str) else kind
    try:
        parameters = inspect.signature(kind).parameters.values() if callable(kind) else ()
    except ValueError:
        return {}
    return {each.name: each.default for each in parameters if each.default is not each.empty}


def _written(value: Any) -> str:
    return NOT_SET if value is NOT_SET else value.__name__ if inspect.isclass(value) else repr(value)


def parse_config(text: str) -> dict[str, Any]:
    """Top-level values of the text of a config that consists of plain data.

    Raises:
        ValueError, SyntaxError: it does not.
    """
    values = {}
    for statement in ast.parse(text).body:
        if not (isinstance(statement, ast.Assign) and isinstance(name := statement.targets[0], ast.Name)):
            raise ValueError(f'line {statement.lineno} is no assignment')
        values[name.id] = _value(statement.value)
    return values


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Call(func=ast.Name(id='dict'), args=[], keywords=keywords) if all(word.arg for word in keywords):
            return {word.arg: _value(word.value) for word in keywords}
        case ast.Call(func=ast.Name(id='float'), args=[ast.Constant(value=str(text))], keywords=[]):
            return float(text)
        case ast.Call(func=ast.Name(id='set'), args=[], keywords=[]):
            return set()
        case ast.Dict(keys=keys, values=values):
            if any(key is None for key in keys):
                raise ValueError(f'line {node.lineno} unpacks a dictionary')
            return {_value(key): _value(value) for key, value in zip(keys, values) if key is not None}
        case ast.List(elts=items):
            return [_value(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_value(item) for item in items)
        case ast.Set(elts=items):
            return {_value(item) for item in items}
        case ast.Name(id='inf' | 'nan' as name):
            return float(name)
    return ast.literal_eval(node)
