"""How much of what the device can multiply a step uses."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

SIZES = {'cpu': 2048, 'cuda': 8192}
"""Side of the square matrices of the ceiling, by device."""


def count_flops(call: Callable[[], object]) -> int:
    """Floating-point operations of the matrix products, attentions and convolutions of a call, gradients included.

    A multiplication and an addition count as two. What the counter does not know counts as nothing: element-wise
    work, and deformable sampling.
    """
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def matmul_ceiling(device: str, dtype: torch.dtype, repeats: int = 5) -> float:
    """Floating-point operations per second of one large matrix product, which nothing real exceeds."""
    side = SIZES[device]
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    seconds = []
    for _ in range(repeats + 1):
        _wait(device)
        start = time.perf_counter()
        torch.mm(a, b)
        _wait(device)
        seconds.append(time.perf_counter() - start)
    return 2 * side**3 / median(seconds[1:])


def share_of_ceiling(call: Callable[[], object], seconds: float, device: str, dtype: torch.dtype) -> dict[str, Any]:
    """``flops`` of a call, ``flop_per_s`` as it takes so many seconds, the ceiling beside it and their ratio."""
    flops, ceiling = count_flops(call), matmul_ceiling(device, dtype)
    return {
        'flops': flops,
        'flop_per_s': flops / seconds,
        'ceiling_flop_per_s': ceiling,
        'ceiling_dtype': str(dtype).removeprefix('torch.'),
        'share_of_ceiling': flops / seconds / ceiling,
    }


def _wait(device: str) -> None:
    if device == 'cuda':
        torch.cuda.synchronize()
