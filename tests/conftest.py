"""Fixtures shared by all tests."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Iterator
from multiprocessing.context import BaseContext
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import settings
from mmengine.config import config as mmengine_config
from mmengine.logging import MMLogger

from xemap import parallel
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


@pytest.fixture(autouse=True)
def plain_config_text(monkeypatch):
    """Leaves the text of configs as it is put together: laying it out takes a third of a second for each run.

    Tests that start the tools as processes have it laid out.
    """
    monkeypatch.setattr(mmengine_config, 'FormatCode', lambda text, **options: (text, False))


PRELOADED = (
    'tests.engine.toy', 'xemap.engine', 'mmdet.models', 'xemap.evaluation.metrics.selo', 'xemap.demo.answer',
    'xemap.inference', 'xemap.preparation.xemap_set',
)  # fmt: skip


@pytest.fixture(scope='session')
def process_server() -> BaseContext:
    """Starts processes from a server that has imported everything once, since that takes seconds."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(list(PRELOADED))
    return context


@pytest.fixture(scope='module')
def served_processes(process_server) -> Iterator[None]:
    """The program's own processes come from the server, too, which a test of a start must not use."""
    with mock.patch.object(parallel, 'get_context', lambda _: process_server):
        yield


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []
        self.levels: list[int] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
        self.levels.append(record.levelno)


@pytest.fixture
def log_collector() -> Iterator[_Collector]:
    """``messages`` and ``levels`` of what is written to MMEngine's current log during a test."""
    logger, collector = MMLogger.get_current_instance(), _Collector()
    level = logger.level
    logger.addHandler(collector)
    logger.setLevel(logging.INFO)
    yield collector
    logger.removeHandler(collector)
    logger.setLevel(level)


@pytest.fixture
def log(log_collector: _Collector) -> list[str]:
    """Messages that are written to MMEngine's current log during a test."""
    return log_collector.messages
