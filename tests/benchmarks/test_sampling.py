"""Back ends of deformable sampling."""

from __future__ import annotations

import pytest
from benchmarks import sampling
from benchmarks.sampling import available_backends, benchmark_sampling


def test_back_ends_compute_the_same():
    result = benchmark_sampling((64, 128), 1, 'cpu')
    assert result['tokens'] == 8 * 16 + 4 * 8 + 2 * 4 + 1 * 2 and list(result['dtypes']) == ['float32']
    rows = result['dtypes']['float32']
    assert list(rows) == available_backends('cpu') == ['embedding_bag', 'grid_sample']
    assert 0 < rows['embedding_bag']['max_difference'] < 1e-3 and rows['grid_sample']['max_difference'] == 0
    times = rows['embedding_bag'], rows['grid_sample']
    for way in ('forward', 'with_backward'):
        assert times[0]['gain'][way] == pytest.approx(times[1][way]['median_s'] / times[0][way]['median_s'])


def test_another_result_would_show(monkeypatch):
    sample = sampling.BACKENDS['grid_sample']
    monkeypatch.setitem(sampling.BACKENDS, 'embedding_bag', lambda *given: 2 * sample(*given))
    rows = benchmark_sampling((64, 64), 1, 'cpu')['dtypes']['float32']
    monkeypatch.undo()
    assert rows['embedding_bag']['max_difference'] > 0.1


@pytest.mark.parametrize('triton', [False, True])
def test_on_a_gpu(monkeypatch, triton):
    monkeypatch.setattr(sampling, 'triton_available', lambda: triton)
    monkeypatch.setattr(sampling, 'has_compiled_ops', lambda: False)
    assert available_backends('cuda') == ['triton'] * triton + ['grid_sample']
