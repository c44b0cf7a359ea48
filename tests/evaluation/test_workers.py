"""Scoring in worker processes: the same rows, bounded memory, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.evaluation.metrics.test_selo import SIZE, box, image
from xemap.errors import ConfigError, DataError, XeMapError
from xemap.evaluation import SeLoMetric
from xemap.evaluation.scoring import ScoringTask, SeloScorer
from xemap.evaluation.workers import ScoringPool
from xemap.structures import MapAnswers, MaskRegion, PolygonRegion, Query

ROOT = Path(__file__).resolve().parents[2]
QUERY = Query('it', PolygonRegion([box(2, 2, 8, 8)]))


def samples() -> list:
    """Polygons and masks, low and full resolution, half precision, and a query that cannot be scored."""
    made = [image(i, queries=1 + i % 3) for i in range(5)]
    made.append(image(5, 2, SIZE))
    made[1].answers = MapAnswers(torch.from_numpy(made[1].answers.data).half())
    mask = np.zeros(SIZE, bool)
    mask[30:70, 20:90] = mask[100:103, 100:103] = True
    made[2].queries[1] = Query('masked', MaskRegion.from_mask(mask), kind='position')
    made[4].queries[0] = Query('gone', PolygonRegion([box(900, 900, 950, 950)]))
    return made


def rows_of(metric: SeLoMetric, given: list) -> list[dict]:
    """One row per query."""
    for sample in given:
        metric.process(None, [sample.to_dict()])
    return metric.gather()


def children() -> set[int]:
    """Living processes whose parent is this one."""
    pids = set()
    for stat in Path('/proc').glob('[0-9]*/stat'):
        try:
            state, parent = stat.read_text().rpartition(')')[2].split()[:2]
        except OSError:
            continue
        if int(parent) == os.getpid() and state != 'Z':
            pids.add(int(stat.parent.name))
    return pids


@pytest.fixture
def nothing_left():
    """No process survives the test that was not there before (Python's resource tracker may)."""
    before = children()
    yield
    left = [pid for pid in children() - before if b'resource_tracker' not in Path(f'/proc/{pid}/cmdline').read_bytes()]
    assert not left


@pytest.mark.parametrize('options', [{}, {'protocol': 'paper', 'with_bounds': False, 'min_region_area': 0.01}])
def test_rows_are_the_same(nothing_left, options):
    expected = rows_of(SeLoMetric(**options), samples())
    assert len(expected) == 11 and {row['problem'] for row in expected} > {None}
    assert str(rows_of(SeLoMetric(**options, workers=2), samples())) == str(expected)  # as text: NaN equals NaN


def test_bounds_are_kept_here_over_repeated_evaluations(nothing_left, monkeypatch):
    with_references, submit = [], ScoringPool.submit

    def spy(self, label, task):
        with_references.append(task.references)
        return submit(self, label, task)

    monkeypatch.setattr(ScoringPool, 'submit', spy)
    metric = SeLoMetric(workers=1)
    first, second = rows_of(metric, samples()[:2]), rows_of(metric, samples()[:2])
    assert str(first) == str(second) and first[0]['ceiling_rmi'] > first[0]['floor_rmi']
    assert with_references == [True] * 3 + [False] * 3


def test_a_map_that_cannot_be_scored_is_named(nothing_left):
    broken = image(3)
    broken.answers.data[1, 3, 3] = float('nan')
    metric = SeLoMetric(workers=1)
    with pytest.raises(DataError, match=r'^images/3.png, query "query 1 of image 3": .*nan'):
        rows_of(metric, [image(0), broken, *samples()])
    assert metric._pool is None


def test_an_error_of_the_next_sample_ends_the_processes(nothing_left):
    metric = SeLoMetric(workers=1)
    metric.process(None, [image(0).to_dict()])
    unpredicted = image(1)
    del unpredicted.answers
    with pytest.raises(DataError, match='lacks answers'):
        metric.process(None, [unpredicted.to_dict()])
    assert metric._pool is None


def test_a_killed_worker_is_one_line(nothing_left):
    metric = SeLoMetric(workers=1)
    metric.process(None, [image(0).to_dict()])
    (worker,) = metric._pool._executor._processes
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(XeMapError, match=r'one of 1 scoring processes died .*test_evaluator\.workers=0'):
        rows_of(metric, samples() * 3)
    assert metric._pool is None


def test_a_worker_killed_between_two_maps_is_one_line_too(nothing_left):
    task = ScoringTask(SeloScorer('paper'), MapAnswers(np.ones((1, 9, 9))), QUERY, (9, 9), True)
    pool = ScoringPool(1)
    try:
        pool.submit(0, task)
        assert len(pool.finish()) == 1
        (worker,) = pool._executor._processes.values()
        worker.kill()
        worker.join()
        with pytest.raises(XeMapError, match='one of 1 scoring processes died'):
            for number in range(100):
                pool.submit(number, task)
                time.sleep(0.05)
    finally:
        pool.close()


def test_waiting_maps_are_bounded_in_bytes(nothing_left):
    task = ScoringTask(SeloScorer('paper'), MapAnswers(np.zeros((1, 10, 10))), QUERY, (1500, 1500), True)
    pool, most, taken = ScoringPool(1, pending_bytes=5 * task.nbytes), 0, []
    try:
        for number in range(20):
            taken += [label for label, _ in pool.submit(number, task)]
            most = max(most, len(pool))
        assert most == 5
        # Larger maps than that, yet one to do and one to do next: no worker waits for this process.
        pool.pending_bytes = 1
        lengths = []
        for number in range(20, 25):
            taken += [label for label, _ in pool.submit(number, task)]
            lengths.append(len(pool))
        assert max(lengths) == 2
        finished = pool.finish()
        assert all(future.done() for _, future in finished)
        assert taken + [label for label, _ in finished] == list(range(25)) and not len(pool)
    finally:
        pool.close()


def test_workers_have_no_torch():
    code = (
        'import sys, xemap.evaluation.workers; '
        'sys.exit(", ".join({"torch", "mmengine", "mmdet", "rich", "pyarrow"} & set(sys.modules)) or None)'
    )
    subprocess.run([sys.executable, '-c', code], cwd=ROOT, check=True)


SCRIPT = """
import sys, time
import numpy as np
from xemap.evaluation.scoring import ScoringTask, SeloScorer
from xemap.evaluation.workers import ScoringPool
from xemap.structures import MapAnswers, PolygonRegion, Query

if __name__ == '__main__':
    query = Query('it', PolygonRegion([[2, 2, 8, 2, 8, 8, 2, 8]]))
    answer = MapAnswers(np.ones((1, 9, 9)))
    pool = ScoringPool(1)
    for number in range({tasks}):
        pool.submit(number, ScoringTask(SeloScorer('paper'), answer, query, (3000, 3000), True))
    {first}
    print(*pool._executor._processes, flush=True)
    {then}
"""


@pytest.mark.parametrize('tasks, first', [(300, ''), (1, 'pool.finish()')], ids=['busy', 'idle'])
@pytest.mark.parametrize('stop', [None, signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_the_program_is_the_end_of_its_workers(tmp_path, stop, tasks, first):
    """Soon: the tasks that wait would take minutes."""
    script = tmp_path / 'scores.py'
    then = 'raise SystemExit(7)' if stop is None else 'time.sleep(60)'
    script.write_text(SCRIPT.replace('{first}', first).replace('{then}', then).replace('{tasks}', str(tasks)))
    status = 7 if stop is None else -stop
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        start_new_session=True,
    )  # fmt: skip
    worker = int(process.stdout.readline())
    if stop == signal.SIGINT:
        os.killpg(process.pid, stop)  # as a terminal does
    elif stop is not None:
        process.send_signal(stop)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == status
    assert errors.count('Traceback') == (stop == signal.SIGINT), errors  # its own, and none of the worker
    deadline = time.monotonic() + 20
    while Path(f'/proc/{worker}').exists() and 'Z' not in _state(worker):
        assert time.monotonic() < deadline, 'the worker is still there'
        time.sleep(0.05)


def _state(pid: int) -> str:
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
    except OSError:
        return 'Z'


@pytest.mark.parametrize('number', [-1, 1.5, '2'])
def test_bad_numbers(number):
    with pytest.raises(ConfigError, match='workers='):
        SeLoMetric(workers=number)
