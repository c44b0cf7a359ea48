"""The config that a training checkpoint holds, read as data."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner.checkpoint import CheckpointLoader

from xemap.compat import setup
from xemap.errors import CheckpointError, ConfigError


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


def parse_config(text: str) -> dict[str, Any]:
    """Top-level values of the text of a config that consists of plain data.

    Raises:
        ValueError, SyntaxError: it does not.
    """
    found = {}
    for statement in ast.parse(text).body:
        if not (isinstance(statement, ast.Assign) and isinstance(name := statement.targets[0], ast.Name)):
            raise ValueError(f'line {statement.lineno} is no assignment')
        found[name.id] = _value(statement.value)
    return found


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
