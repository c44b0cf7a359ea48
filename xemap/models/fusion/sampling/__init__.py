"""Weighted bilinear samples of several feature levels, the core of deformable attention, in several back ends.

============== ========== ==========================================================================
back end       runs on    what it is
============== ========== ==========================================================================
embedding_bag  CPU        a sparse product: corners are rows of a table, weights are per row
triton         CUDA       one or two kernels a direction, compiled on first use; needs a C compiler for that
mmcv           CUDA       mmcv's operator, where mmcv was built with it
grid_sample    both       plain torch, level by level; also what is traced and exported
============== ========== ==========================================================================

All take the same arguments and give the same result; the tests hold each against a plain loop.
"""

from __future__ import annotations

import torch
from torch import Tensor

from xemap.errors import ConfigError
from xemap.models.fusion.sampling.embedding_bag import sample_embedding_bag
from xemap.models.fusion.sampling.grid_sample import LevelShapes, sample_grid
from xemap.models.fusion.sampling.mmcv_op import has_compiled_ops, sample_mmcv


def sample_triton(value: Tensor, shapes: LevelShapes, locations: Tensor, weights: Tensor) -> Tensor:
    from xemap.models.fusion.sampling import triton_kernel

    return triton_kernel.sample_triton(value, shapes, locations, weights)


BACKENDS = {
    'embedding_bag': sample_embedding_bag,
    'triton': sample_triton,
    'mmcv': sample_mmcv,
    'grid_sample': sample_grid,
}


def sample_levels(
    value: Tensor, shapes: LevelShapes, locations: Tensor, weights: Tensor, backend: str = 'auto'
) -> Tensor:
    """Weighted bilinear samples of several feature levels.

    Args:
        value: (N, P, heads, d) with P the sum of the levels' areas.
        shapes: (h, w) of every level.
        locations: (N, Q, heads, levels, points, 2) x, y in [0, 1] of each level; pixel (i, j) is centered on
            ((j + 0.5) / w, (i + 0.5) / h), outside counts as zero. Float32 or wider, whatever the values are.
        weights: (N, Q, heads, levels, points).
        backend: a key of :data:`BACKENDS`, or ``'auto'`` for :func:`choose_backend`.

    Returns:
        (N, Q, heads * d) in the type of ``value``.

    Raises:
        ConfigError: the back end does not run on the device of ``value``, or is not installed.
    """
    if backend == 'auto':
        backend = choose_backend(value.device)
    elif backend == 'embedding_bag' and value.is_cuda:
        raise ConfigError('sampling "embedding_bag" runs on the CPU only; use "auto" on a GPU')
    elif backend in ('triton', 'mmcv') and not value.is_cuda:
        raise ConfigError(f'sampling "{backend}" runs on CUDA only; use "auto" on a CPU')
    sample = BACKENDS[backend]
    if backend != 'grid_sample':  # a graph that torch.compile makes goes on behind it
        sample = torch.compiler.disable(sample)
    return sample(value, shapes, locations, weights)


def choose_backend(device: torch.device) -> str:
    """The fastest back end that runs on a device; ``grid_sample`` while a graph of the model is being recorded."""
    if torch.jit.is_tracing() or torch.compiler.is_exporting():
        return 'grid_sample'
    if device.type == 'cpu':
        return 'embedding_bag'
    if device.type == 'cuda' and not torch.are_deterministic_algorithms_enabled():  # grid_sample warns, as it should
        from xemap.models.fusion.sampling import triton_kernel  # triton takes a while to import; a CPU never needs it

        return 'triton' if triton_kernel.triton_available() else 'mmcv' if has_compiled_ops() else 'grid_sample'
    return 'grid_sample'


def check_backend(name: str) -> str:
    """The name, if it is one.

    Raises:
        ConfigError: it is not.
    """
    if name != 'auto' and name not in BACKENDS:
        raise ConfigError(f'sampling "{name}" is unknown; use "auto" or one of {", ".join(BACKENDS)}')
    return name


__all__ = ['BACKENDS', 'LevelShapes', 'check_backend', 'choose_backend', 'has_compiled_ops', 'sample_levels']
