"""mmengine's package look-up without ``pkg_resources``.

setuptools 81 removed ``pkg_resources``, which mmengine 0.10 needs to resolve configs of other libraries
(``_base_ = ['mmdet::…']``). The two functions it is used in are written on :mod:`importlib` here.

Can go when mmengine uses :mod:`importlib.metadata`. Inactive where ``pkg_resources`` exists.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib import metadata
from pathlib import Path


def _module_of(package: str) -> str:
    """Name of the top module that a distribution installs ('mmcv-lite' -> 'mmcv')."""
    try:
        top_level = metadata.distribution(package).read_text('top_level.txt')
    except metadata.PackageNotFoundError:
        return package
    return top_level.split()[0] if top_level else package.replace('-', '_')


def is_installed(package: str) -> bool:
    """Whether a distribution or module of that name can be imported."""
    spec = importlib.util.find_spec(_module_of(package))
    return spec is not None and spec.origin is not None


def get_installed_path(package: str) -> str:
    """Folder of the module of a distribution or module name.

    Raises:
        ModuleNotFoundError: there is none.
    """
    spec = importlib.util.find_spec(_module_of(package))
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f'{package} is not installed; pip install {package}')
    return str(Path(spec.origin).parent)


def replace_pkg_resources() -> None:
    """Put the functions above into mmengine if ``pkg_resources`` is missing."""
    if importlib.util.find_spec('pkg_resources') is not None:
        return
    import mmengine.config.config
    import mmengine.utils.package_utils

    for function in (is_installed, get_installed_path):
        original = getattr(mmengine.utils.package_utils, function.__name__)
        users = [m for name, m in list(sys.modules.items()) if name.split('.')[0] == 'mmengine']
        for module in users:
            if vars(module).get(function.__name__) is original:
                setattr(module, function.__name__, function)
