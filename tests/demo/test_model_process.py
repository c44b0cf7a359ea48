"""Requests that hang, eat memory or disk, or crash: each is ended within its bounds, and nothing is left behind."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.demo.services import HostileService, broken
from xemap.demo.model_process import Limits, ModelProcess
from xemap.demo.request import Request
from xemap.demo.storage import Storage
from xemap.errors import ConfigError, DataError

pytestmark = pytest.mark.usefixtures('served_processes')


@pytest.fixture
def storage(tmp_path):
    return Storage(tmp_path, 1_000_000)


@pytest.fixture
def process(storage):
    process = ModelProcess(HostileService, Limits(seconds=20, memory=200_000_000), storage)
    yield process
    process.close()


def test_requests_that_hang_are_ended(storage):
    process = ModelProcess(HostileService, Limits(seconds=0.5), storage)
    start = time.monotonic()
    with pytest.raises(DataError, match='0.5 s allowed'):
        process.preview('hang')
    assert time.monotonic() - start < 10
    process.close()


@pytest.mark.parametrize(('attack', 'message'), [('eat', '0.2 GB of memory'), ('crash', 'process .* broke off')])
def test_a_request_is_ended_with_its_process(process, attack, message):
    first = process.preview('a').html
    start = time.monotonic()
    with pytest.raises(DataError, match=message):
        process.preview(attack)
    assert time.monotonic() - start < 10
    second = process.preview('a').html
    assert second != first and not Path('/proc', first).exists()


def test_an_answer_that_needs_too_much_disk_is_ended_and_removed(process, storage):
    with pytest.raises(DataError, match='0.001 GB of disk'):
        process.answer(Request('a', ('20',)))
    assert not list(storage.files.rglob('*'))
    with pytest.raises(DataError, match='0.001 GB of disk'):
        process.answer(Request('a', ('1',), mode='unnamed'))
    assert not list(storage.files.rglob('*')) and not list(storage.scratch.rglob('*'))
    process.answer(Request('a', ('1',), mode='failed'), lambda *_: None)
    assert not list(storage.files.rglob('*'))


def test_older_answers_give_way(process, storage):
    kept = storage.files / 'sample.png'
    kept.write_bytes(bytes(100_000))
    storage.keep()
    seen = []
    answers = [process.answer(Request('a', ('4',)), lambda *state: seen.append(state)) for _ in range(4)]
    assert seen == [(1, 2)] * 4
    there = [all(Path(file).exists() for file in answer.files) for answer in answers]
    assert there == [False, False, True, True] or there == [False, False, False, True]
    assert kept.exists() and storage.used() <= storage.limit


def test_uploads_share_the_room(storage):
    with storage.expecting(600_000), pytest.raises(DataError, match='0.001 GB of disk'), storage.expecting(600_000):
        pass
    with storage.expecting(600_000):
        pass


def test_a_model_that_cannot_be_built_gives_its_error(storage):
    with pytest.raises(ConfigError, match='no such model; choose another'):
        ModelProcess(broken, Limits(), storage)
