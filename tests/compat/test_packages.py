from __future__ import annotations

import importlib.util
from pathlib import Path

import mmengine.config.config
import mmengine.utils
import pytest

from xemap.compat import packages


def test_installed_packages_by_distribution_and_module_name():
    assert packages.is_installed('mmdet') and packages.is_installed('mmcv-lite')
    assert not packages.is_installed('no_such_package')
    assert Path(packages.get_installed_path('mmcv-lite'), 'ops').is_dir()
    assert Path(packages.get_installed_path('mmdet'), 'models').is_dir()
    with pytest.raises(ModuleNotFoundError, match='no_such_package is not installed'):
        packages.get_installed_path('no_such_package')


def test_configs_of_other_libraries_can_be_inherited(tmp_path):
    import xemap.registry  # noqa: F401  (sets up)

    path = tmp_path / 'mine.py'
    path.write_text("_base_ = ['mmdet::_base_/schedules/schedule_1x.py']\n")
    assert mmengine.config.Config.fromfile(str(path)).train_cfg.max_epochs == 12


def test_inactive_where_pkg_resources_exists(monkeypatch):
    original = object()
    monkeypatch.setattr(mmengine.utils.package_utils, 'is_installed', original)
    monkeypatch.setattr(mmengine.config.config, 'is_installed', original)
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: name)
    packages.replace_pkg_resources()
    assert mmengine.config.config.is_installed is original
