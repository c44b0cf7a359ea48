from __future__ import annotations

import os

from xemap.parallel import WorkerPool, process_environment

NAMES = ('XEMAP_TEST_SET', 'XEMAP_TEST_UNSET')


def values() -> list[str | None]:
    return [os.environ.get(name) for name in NAMES]


def test_processes_get_an_environment_that_is_taken_back(monkeypatch):
    monkeypatch.setenv(NAMES[0], 'before')
    with process_environment(dict.fromkeys(NAMES, 'inside')), WorkerPool(1) as pool:
        assert pool.submit(values).result() == ['inside', 'inside']
    assert values() == ['before', None]
