from __future__ import annotations

import os
import signal
import time

import pytest
from torch.utils.data import DataLoader

from xemap.cli import INTERRUPTED, USER_ERROR, ending_cleanly, make_parser, message_of, run
from xemap.errors import DataError, XeMapError


def outcome(capsys, error: BaseException | None, *flags: str):
    def main(args):
        if error is not None:
            raise error

    status = run(main, make_parser('doc').parse_args(flags))
    return status, capsys.readouterr().err


def test_success(capsys):
    assert outcome(capsys, None) == (0, '')
    assert run(lambda args: 3, make_parser('doc').parse_args([])) == 3


def test_our_errors_are_one_line_and_status_2(capsys):
    assert outcome(capsys, DataError('image a.png\n  is missing;   copy it')) == (
        USER_ERROR,
        'error: image a.png is missing; copy it\n',
    )


def test_rank_is_named(capsys, monkeypatch):
    monkeypatch.setenv('RANK', '1')
    assert outcome(capsys, DataError('a'))[1] == 'error: [rank 1] a\n'


def test_debug_shows_the_traceback(capsys):
    with pytest.raises(DataError):
        outcome(capsys, DataError('a'), '--debug')
    with pytest.raises(KeyboardInterrupt):
        outcome(capsys, KeyboardInterrupt(), '--debug')


def test_other_errors_are_not_hidden(capsys):
    with pytest.raises(ZeroDivisionError):
        outcome(capsys, ZeroDivisionError())


def test_interruption(capsys):
    assert outcome(capsys, KeyboardInterrupt()) == (INTERRUPTED, 'interrupted; what was finished is kept\n')


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGHUP])
def test_signals_end_a_program_as_an_exception(number):
    before, cleaned = signal.getsignal(number), []
    with pytest.raises(SystemExit) as end, ending_cleanly():
        try:
            os.kill(os.getpid(), number)
            time.sleep(5)
        finally:
            cleaned.append(True)
    assert end.value.code == 128 + number and cleaned and signal.getsignal(number) == before


class Broken:
    def __len__(self):
        return 2

    def __getitem__(self, index):
        raise DataError('image b.png: truncated;\n copy it again')


def test_error_of_a_worker_process_is_as_short_as_one_of_our_own():
    with pytest.raises(XeMapError) as caught:
        next(iter(DataLoader(Broken(), num_workers=1)))
    assert 'Original Traceback' in str(caught.value)
    assert message_of(caught.value) == 'image b.png: truncated; copy it again'
