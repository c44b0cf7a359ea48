"""Overrides of a config: how a command line spells them, and how they reach what the config copied."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from mmengine.config import DictAction
from mmengine.config import config as mmengine_config

from xemap.errors import ConfigError


def parse_options(options: Sequence[str]) -> dict[str, Any]:
    """Overrides of a command line.

    Args:
        options: ``key=value`` each; values as MMEngine reads them (numbers, True, None, ``[1,2]``, ``(1,2)``,
            texts), or dictionaries, ``dict(type='Adam', lr=1e-4)`` or ``{'type': 'Adam'}``.

    Raises:
        ConfigError: an option has no value, or one that cannot be read.
    """
    values = {}
    for option in options:
        key, equals, text = option.partition('=')
        if not (key and equals):
            raise ConfigError(f'--cfg-options {option}: give key=value')
        values[key] = _value(option, text.strip())
    return values


def _value(option: str, text: str) -> Any:
    if text.startswith(('dict(', '{', '[dict(', '[{', '(dict(', '({')):
        try:
            return _literal(ast.parse(text, mode='eval').body)
        except (SyntaxError, ValueError) as error:
            raise ConfigError(
                f'--cfg-options {option}: not a dictionary of plain values ({error}); write dict(key="text")'
            ) from error
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    try:
        (value,) = parser.parse_args(['--cfg-options', f'x={text}']).cfg_options.values()
    except AssertionError as error:  # brackets that do not close
        raise ConfigError(f'--cfg-options {option}: {error}') from error
    return value


def _literal(node: ast.expr) -> Any:
    """A Python literal in which dictionaries may be written ``dict(key=value)``; nothing is executed."""
    if isinstance(node, ast.Call):
        if getattr(node.func, 'id', None) != 'dict' or node.args or any(k.arg is None for k in node.keywords):
            raise ValueError('only dict(key=value, …) may be called')
        return {keyword.arg: _literal(keyword.value) for keyword in node.keywords}
    if isinstance(node, ast.Dict):
        return {_literal(key): _literal(value) for key, value in zip(node.keys, node.values) if key is not None}
    if isinstance(node, (ast.List, ast.Tuple)):
        items = [_literal(item) for item in node.elts]
        return items if isinstance(node, ast.List) else tuple(items)
    return ast.literal_eval(node)


def is_literal(value: Any) -> bool:
    """Whether Python source can spell the value."""
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (SyntaxError, ValueError):
        return False


@contextmanager
def assigning(values: dict[str, Any]) -> Iterator[set[str]]:
    """While the block runs, config files that are read assign these values to top-level names.

    A config computes with its top-level names (``data_root``, ``image_size``) while it is read, its bases
    too; a value that is merged afterwards reaches none of the places that copied the name.

    mmengine has no place for this. Each file's syntax tree passes through a transformer that takes
    ``_base_`` out, which is replaced here.

    Args:
        values: literals by name.

    Yields:
        the names that files assigned so far.
    """
    assigned: set[str] = set()

    class Assign(mmengine_config.RemoveAssignFromAST):
        def visit_Assign(self, node: ast.Assign) -> ast.Assign | None:
            name = getattr(node.targets[0], 'id', None)
            if name in values:
                assigned.add(name)
                node.value = ast.parse(repr(values[name]), mode='eval').body
            return super().visit_Assign(node)

    with patch.object(mmengine_config, 'RemoveAssignFromAST', Assign):
        yield assigned
