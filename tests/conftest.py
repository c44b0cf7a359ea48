"""Fixtures shared by all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from xemap.compat import setup

setup()  # test modules import mmdet before xemap

# The same command gives the same result; for other examples: pytest --hypothesis-profile default
settings.register_profile('repeatable', derandomize=True)
settings.load_profile('repeatable')

SHARED = Path(__file__).resolve().parents[2] / 'shared'


@pytest.fixture(scope='session')
def shared_dir() -> Path:
    """Folder with the real files and golden values, which are not part of the project."""
    if not SHARED.is_dir():
        pytest.skip(f'{SHARED} is absent: real data and golden values are not part of the project')
    return SHARED
