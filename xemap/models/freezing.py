"""Parts of a model that do not train, by dotted names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import nn

from xemap.errors import ConfigError


def find_part(model: nn.Module, name: str) -> nn.Module | nn.Parameter:
    """A sub-module or parameter by its dotted name, as ``'backbone.layer1'`` or ``'encoder.layers.0'``.

    Raises:
        ConfigError: there is none; the message names the parts where the name goes astray.
    """
    part: nn.Module = model
    path: list[str] = []
    for step in name.split('.'):
        children: dict[str, nn.Module | nn.Parameter] = {
            **dict(part.named_parameters(recurse=False)), **dict(part.named_children())
        }  # fmt: skip
        if step not in children:
            where = '.'.join(path) or type(model).__name__
            raise ConfigError(f'frozen: "{name}": "{step}" is no part of {where}; parts are {", ".join(children)}')
        path.append(step)
        child = children[step]
        if isinstance(child, nn.Parameter):
            if '.'.join(path) != name:
                raise ConfigError(f'frozen: "{name}": {".".join(path)} is a parameter and has no parts')
            return child
        part = child
    return part


def freeze(model: nn.Module, names: Iterable[str]) -> tuple[str, ...]:
    """Let parts take no gradient, so that no optimizer gets them.

    Args:
        model: whose parts they are.
        names: one dotted name or several, see :func:`find_part`.

    Returns:
        the names.

    Raises:
        ConfigError: a name that is no part.
    """
    names = (names,) if isinstance(names, str) else tuple(names)
    for name in names:
        find_part(model, name).requires_grad_(False)
    return names


def keep_frozen_in_eval(model: nn.Module, names: Sequence[str]) -> None:
    """Put frozen parts into eval mode: for the end of ``train()``, which switches everything."""
    for name in names:
        part = find_part(model, name)
        if isinstance(part, nn.Module):
            part.eval()


def is_frozen(part: str, names: Sequence[str]) -> bool:
    """Whether the whole of a part, by its dotted name, is frozen: then it needs no graph."""
    return any(part == name or part.startswith(f'{name}.') for name in names)
