from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys

import pytest

from xemap.compat import mmcv_ext
from xemap.errors import ConfigError


def test_import_of_xemap_is_light():
    code = 'import sys, xemap; print(*[m for m in ("torch", "mmcv", "mmengine", "numpy") if m in sys.modules])'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_placeholder_is_offered_last_and_once():
    mmcv_ext.install_placeholder()
    finders = [finder for finder in sys.meta_path if isinstance(finder, mmcv_ext._Finder)]
    assert len(finders) == 1
    assert sys.meta_path.index(finders[0]) > sys.meta_path.index(importlib.machinery.PathFinder)
    assert finders[0].find_spec('mmcv.ops') is None


def test_operator_of_the_placeholder_says_what_is_missing():
    extension = mmcv_ext.PlaceholderExtension(mmcv_ext.NAME)
    with pytest.raises(ImportError, match=r'mmcv\._ext\.nms needs the compiled operators'):
        extension.nms(1, b=2)
    assert not hasattr(extension, '__path__')


@pytest.fixture
def other_mmcv(tmp_path, monkeypatch):
    """An environment with an mmcv of our own making: ``other_mmcv({'__init__.py': …})``."""
    import xemap.registry  # noqa: F401  (so that the modules to come back to are there)

    before = set(sys.modules)

    def install(files: dict[str, str]) -> None:
        for name, text in files.items():
            (tmp_path / 'mmcv').mkdir(exist_ok=True)
            (tmp_path / 'mmcv' / name).write_text(text)
        for name in [n for n in sys.modules if n.split('.')[0] in ('mmcv', 'mmdet')]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.syspath_prepend(str(tmp_path))
        importlib.invalidate_caches()

    yield install
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_real_extension_is_preferred(other_mmcv):
    other_mmcv({'__init__.py': "__version__ = '2.1.0'", '_ext.py': 'nms = 7'})
    mmcv_ext.require_mmcv()
    assert importlib.import_module(mmcv_ext.NAME).nms == 7


def test_placeholder_where_there_is_none(other_mmcv):
    other_mmcv({'__init__.py': "__version__ = '2.1.0'"})
    mmcv_ext.require_mmcv()
    assert isinstance(importlib.import_module(mmcv_ext.NAME), mmcv_ext.PlaceholderExtension)


def test_extension_of_another_torch(other_mmcv):
    other_mmcv({'__init__.py': "__version__ = '2.1.0'", '_ext.py': "raise ImportError('undefined symbol: _ZN3c10')"})
    with pytest.raises(ConfigError, match='undefined symbol.*built for another torch.*pip uninstall mmcv'):
        mmcv_ext.require_mmcv()


def test_version_that_mmdet_refuses(other_mmcv):
    other_mmcv({'__init__.py': "__version__ = '2.2.0'"})
    with pytest.raises(ConfigError, match='MMCV==2.2.0 is used but incompatible.*pip install'):
        mmcv_ext.require_mmcv()


def test_no_mmcv(monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ConfigError, match='mmcv is not installed; pip install "mmcv-lite'):
        mmcv_ext.require_mmcv()


def test_mmdet_models_import():
    import xemap.registry  # noqa: F401  (sets up)

    models = importlib.import_module('mmdet.models')
    assert models.GroundingDINO is not None
