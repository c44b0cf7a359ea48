"""A stand-in for mmcv's compiled extension where it is missing.

``mmcv-lite`` has the Python side of ``mmcv.ops`` but no ``mmcv._ext``, so ``import mmdet.models`` fails.
mmcv itself takes over half an hour to compile and has no wheels for current torch. The stand-in lets
everything import; an operator that is really called raises a clear ImportError. It comes last on the
import path, so a real ``mmcv._ext`` is always preferred.

Can go when MMDetection imports without ``mmcv.ops``, or mmcv has wheels for every torch we support.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from xemap.errors import ConfigError

NAME = 'mmcv._ext'
INSTALL = 'pip install "mmcv-lite>=2.1.0,<2.2"'


class PlaceholderExtension(ModuleType):
    """Module that has every operator, none of which works."""

    def __getattr__(self, name: str):
        if name.startswith('__'):
            raise AttributeError(name)

        def missing(*args, **kwargs):
            raise ImportError(
                f'{NAME}.{name} needs the compiled operators of mmcv, which are not installed (mmcv-lite is); '
                'build mmcv 2.1.0 from source, or choose a module that works without them'
            )

        return missing


class _Finder(MetaPathFinder, Loader):
    def find_spec(self, fullname, path=None, target=None) -> ModuleSpec | None:
        return ModuleSpec(NAME, self) if fullname == NAME else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return PlaceholderExtension(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass  # attributes are made on demand


def install_placeholder() -> None:
    """Offer the stand-in to the import system, after everything that could find the real one."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())


def require_mmcv() -> None:
    """Check that mmcv and MMDetection fit together.

    Raises:
        ConfigError: mmcv is missing, its compiled extension does not load, or its version is refused.
    """
    if importlib.util.find_spec('mmcv') is None:
        raise ConfigError(f'mmcv is not installed; {INSTALL}')
    try:
        importlib.import_module('mmdet')
    except AssertionError as error:  # how mmdet reports a version it does not accept
        raise ConfigError(f'{" ".join(str(error).split())} For instance: {INSTALL}') from error
    try:
        importlib.import_module(NAME)
    except ImportError as error:
        raise ConfigError(
            f'the compiled extension of mmcv does not load ({error}): it was built for another torch; '
            f'build it again, or pip uninstall mmcv and {INSTALL}'
        ) from error
