"""XeMap's registries: scope ``xemap``, children of MMDetection's.

A config with ``default_scope = 'xemap'`` finds our modules first, then MMDetection's, then
MMEngine's. A keyword that a module does not know is reported with the nearest one it does, when the
module is built and, for a whole config, before anything is (:func:`check_config`).
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Collection, Iterable, Iterator
from typing import Any, TypeVar

from mmengine import registry as mmengine_registry
from mmengine.config import Config
from mmengine.registry import Registry, build_from_cfg, build_model_from_cfg

from xemap import compat
from xemap.errors import ConfigError

compat.setup()

from mmdet import registry as mmdet_registry  # noqa: E402  (needs the set-up)


def _checked(build_func):
    """Turn an unknown keyword of one of our own classes into a :class:`ConfigError`."""

    def build(cfg, registry: Registry, *args, **kwargs):
        if isinstance(cfg, dict) and 'type' in cfg:
            cls = cfg['type'] if inspect.isclass(cfg['type']) else registry.get(cfg['type'])
            _reject_unknown_keys(cls, cfg)
        return build_func(cfg, registry, *args, **kwargs)

    return build


BY_NAME: dict[str, Registry] = {}
"""All registries of this scope by the name that MMEngine's messages give them."""


def _child(name: str, locations: list[str], build_func=build_from_cfg) -> Registry:
    # Not `or`: a registry into which nothing was imported yet is false.
    parent = getattr(mmdet_registry if hasattr(mmdet_registry, name) else mmengine_registry, name)
    BY_NAME[parent.name] = Registry(
        parent.name, parent=parent, scope='xemap', locations=locations, build_func=_checked(build_func)
    )
    return BY_NAME[parent.name]


DATASETS = _child('DATASETS', ['xemap.datasets.xemap_dataset', 'xemap.datasets.captions', 'xemap.datasets.epochs'])
DATA_SAMPLERS = _child('DATA_SAMPLERS', ['xemap.datasets.samplers', 'xemap.datasets.epochs'])
TRANSFORMS = _child('TRANSFORMS', ['xemap.datasets.transforms'])
MODELS = _child('MODELS', ['mmdet.models', 'xemap.models', 'xemap.models.retrieval'], build_model_from_cfg)
METRICS = _child(
    'METRICS', [f'xemap.evaluation.metrics.{name}' for name in ('box', 'mask', 'minimal_pairs', 'retrieval', 'selo')]
)
HOOKS = _child('HOOKS', ['xemap.engine'])
OPTIM_WRAPPER_CONSTRUCTORS = _child('OPTIM_WRAPPER_CONSTRUCTORS', ['xemap.engine'])
LOOPS = _child('LOOPS', ['xemap.engine'])

# The rest of a Runner's registries, without modules of ours: MMEngine warns where a scope has none.
for _name in (
    'EVALUATOR', 'LOG_PROCESSORS', 'MODEL_WRAPPERS', 'OPTIMIZERS', 'OPTIM_WRAPPERS', 'PARAM_SCHEDULERS', 'RUNNERS',
    'TASK_UTILS', 'VISBACKENDS', 'VISUALIZERS', 'WEIGHT_INITIALIZERS',
):  # fmt: skip
    _child(_name, [])


T = TypeVar('T')

_SHOWN = 20  # names in a message


def suggestion(name: str, known: Iterable[str]) -> str:
    """'did you mean …?' for a misspelled name, or the names there are."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    many = f'{", ".join(known[:_SHOWN])}{", …" if len(known) > _SHOWN else ""}'
    return f'did you mean "{close[0]}"?' if close else f'known: {many}'


def unknown_type(name: str, registry: str, place: str) -> ConfigError:
    """The error for a type that a registry does not have, with the nearest one that it has.

    Args:
        name: the type.
        registry: a key of :data:`BY_NAME`.
        place: where in the config it stands.
    """
    names: list[str] = []
    parent = BY_NAME.get(registry)
    while parent is not None:
        parent.import_from_location()
        names += parent.module_dict
        parent = parent.parent
    if name in names:
        return ConfigError(f'{place}: type "{name}" is not looked for; set default_scope = "xemap" in the config')
    close = difflib.get_close_matches(name, names, n=1)
    hint = f'did you mean "{close[0]}"?' if close else 'check its spelling, and custom_imports for your own modules'
    return ConfigError(f'{place}: type "{name}" is unknown; {hint}')


def check_config(cfg: dict | Config, path: str = '') -> None:
    """Look for keywords that our modules do not know, anywhere in a config.

    Args:
        cfg: a config or a part of one.
        path: where the part stands, for the message.

    Raises:
        ConfigError: the first one found, with its place and the nearest known keyword.
    """
    for place, part in typed_parts(cfg, path):
        kind = part['type']
        classes: list[type | None] = [kind] if inspect.isclass(kind) else []
        classes += [_class_of(registry, kind) for registry in BY_NAME.values() if isinstance(kind, str)]
        for cls in classes:
            _reject_unknown_keys(cls, part, place)


def _class_of(registry: Registry, name: str) -> type | None:
    """As :meth:`Registry.get`, which looks on the disk for a module of each name that a registry does not have."""
    if '.' in name:
        return registry.get(name)
    registry.import_from_location()
    level: Registry | None = registry
    while level is not None:
        if name in level.module_dict:
            return level.module_dict[name]
        level = level.parent
    return None


def typed_parts(part, path: str = '') -> Iterator[tuple[str, dict]]:
    """Every dictionary of a config with a ``type``, and its place, outermost first."""
    if isinstance(part, (dict, Config)):
        if 'type' in part:
            yield path, part
        children: Iterable = part.items()
    elif isinstance(part, (list, tuple)):
        children = enumerate(part)
    else:
        return
    for key, value in children:
        yield from typed_parts(value, f'{path}.{key}' if path else str(key))


def _reject_unknown_keys(cls, cfg: dict, place: str = '') -> None:
    if not inspect.isclass(cls) or not cls.__module__.startswith('xemap.'):
        return
    where = f'{place} ({cls.__name__})' if place else f'config of {cls.__name__}'
    _require_known(cfg, constructor_keywords(cls), where, ('type', '_scope_'))


def _require_known(cfg: dict, known: set[str], where: str, also: Collection[str] = ()) -> None:
    for key in cfg:
        if key not in known and key not in also:
            raise ConfigError(f'{where}: unknown key "{key}" (value {cfg[key]!r}); {suggestion(key, known)}')


def build_part(cls: type[T], place: str, options: dict | None, *args: Any) -> T:
    """Build a part of a module, which no registry builds, from the options that a config has for it.

    Args:
        cls: class of the part.
        place: name of the options in the module's config, for messages.
        options: keywords of the constructor; None = none.
        args: the constructor's first arguments, which come from the module: no options.

    Raises:
        ConfigError: the options are no dictionary, or have a key that the constructor does not know, with the nearest
            one that it does.
    """
    known = constructor_keywords(cls) - set(list(inspect.signature(cls.__init__).parameters)[1 : len(args) + 1])
    options = {} if options is None else options
    if not isinstance(options, dict):
        raise ConfigError(f'{place} is {options!r}; give a dictionary with keys of {", ".join(sorted(known))}')
    _require_known(options, known, f'{place} ({cls.__name__})')
    return cls(*args, **options)


def constructor_keywords(cls: type) -> set[str]:
    """Names of the arguments that a constructor takes, through ``**kwargs`` to the parents' where it passes them on."""
    known: set[str] = set()
    for parent in cls.__mro__:
        if '__init__' not in vars(parent):
            continue
        parameters = inspect.signature(parent.__init__).parameters  # type: ignore[misc]
        known |= {name for name, p in parameters.items() if p.kind is not inspect.Parameter.VAR_KEYWORD}
        if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
            break
    if hasattr(cls, 'priority') and hasattr(cls, 'stages'):
        known.add('priority')  # of a hook; the Runner takes it out of the config
    return known - {'self', 'args'}
