"""Rounds take turns, and the warm-up does not count."""

from __future__ import annotations

from collections import Counter

import cv2
import pytest
import torch
from benchmarks import timing
from benchmarks.timing import WARMUP, limited_threads, measure


def test_takes_turns_and_leaves_the_warm_up_out(monkeypatch):
    now, log = [0.0], []
    # A call takes as many seconds as calls were made before it.
    monkeypatch.setattr(timing.time, 'perf_counter', lambda: now[0])
    monkeypatch.setattr(timing.time, 'process_time', lambda: now[0] / 2)  # on half of a processor

    def call(name):
        now[0] += len(log)
        log.append(name)

    times = measure({'a': lambda: call('a'), 'b': lambda: call('b')}, repeats=3)
    assert log == ['a', 'b'] * (WARMUP + 3)
    first = 2 * WARMUP
    assert times == {
        'a': {'median_s': first + 2, 'min_s': first, 'max_s': first + 4, 'cpu_s': first / 2 + 1},
        'b': {'median_s': first + 3, 'min_s': first + 1, 'max_s': first + 5, 'cpu_s': first / 2 + 1.5},
    }


@pytest.mark.parametrize('device, waits', [('cuda', 2 * (WARMUP + 1)), ('cpu', 0)])
def test_waits_for_the_gpu_around_each_call(monkeypatch, device, waits):
    log = []
    monkeypatch.setattr(torch.cuda, 'synchronize', lambda: log.append('wait'))
    measure({'a': lambda: log.append('call')}, 1, device)
    assert Counter(log) == Counter(wait=waits, call=WARMUP + 1)
    if waits:
        assert log == ['wait', 'call', 'wait'] * (WARMUP + 1)


def test_threads_are_restored_after_an_error():
    before = torch.get_num_threads(), cv2.getNumThreads()
    with pytest.raises(KeyError), limited_threads(max(before) + 1) as count:
        assert torch.get_num_threads() == cv2.getNumThreads() == count == max(before) + 1
        raise KeyError
    assert (torch.get_num_threads(), cv2.getNumThreads()) == before
    with limited_threads(None) as count:
        assert count == before[0] == cv2.getNumThreads()
