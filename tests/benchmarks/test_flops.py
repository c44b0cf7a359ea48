"""Operations are counted, and set against what one product reaches."""

from __future__ import annotations

import torch
from benchmarks import flops
from benchmarks.flops import count_flops, matmul_ceiling, share_of_ceiling


def test_products_are_counted_with_their_gradients():
    a, b = torch.ones(3, 4, requires_grad=True), torch.ones(4, 5, requires_grad=True)
    assert count_flops(lambda: a @ b) == 2 * 3 * 4 * 5
    assert count_flops(lambda: (a @ b).sum().backward()) == 3 * 2 * 3 * 4 * 5


def test_the_ceiling_is_that_of_one_product(monkeypatch):
    monkeypatch.setitem(flops.SIZES, 'cpu', 10)
    now = iter(range(0, 1000, 2))
    monkeypatch.setattr(flops.time, 'perf_counter', lambda: next(now))
    assert matmul_ceiling('cpu', torch.float32) == 2 * 10**3 / 2


def test_share(monkeypatch):
    monkeypatch.setattr(flops, 'matmul_ceiling', lambda device, dtype: 100.0)
    a = torch.ones(2, 5)
    share = share_of_ceiling(lambda: a @ a.T, 2.0, 'cpu', torch.bfloat16)
    assert share == {
        'flops': 40, 'flop_per_s': 20.0, 'ceiling_flop_per_s': 100.0, 'ceiling_dtype': 'bfloat16',
        'share_of_ceiling': 0.2,
    }  # fmt: skip
