"""Every back end of deformable sampling against a plain loop."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.checkpoint import checkpoint

from xemap.errors import ConfigError
from xemap.models.fusion.sampling import BACKENDS, choose_backend, sample_levels

ON_CPU = ('embedding_bag', 'grid_sample')
on_cpu = pytest.mark.parametrize('backend', ON_CPU)


def loop_reference(value, shapes, locations, weights):
    """Bilinear samples one by one: pixel (i, j) is centered on ((j + 0.5) / w, (i + 0.5) / h), outside is zero."""
    n, _, heads, dim = value.shape
    out = torch.zeros(n, locations.shape[1], heads, dim, dtype=value.dtype)
    starts = [sum(h * w for h, w in shapes[:i]) for i in range(len(shapes))]
    for b in range(n):
        for q in range(locations.shape[1]):
            for head in range(heads):
                for level, (h, w) in enumerate(shapes):
                    for point in range(locations.shape[4]):
                        x, y = (locations[b, q, head, level, point] * torch.tensor([w, h]) - 0.5).tolist()
                        x0, y0 = int(x // 1), int(y // 1)
                        for j, wx in ((x0, 1 - (x - x0)), (x0 + 1, x - x0)):
                            for i, wy in ((y0, 1 - (y - y0)), (y0 + 1, y - y0)):
                                if 0 <= i < h and 0 <= j < w:
                                    weight = wx * wy * weights[b, q, head, level, point]
                                    out[b, q, head] += weight * value[b, starts[level] + i * w + j, head]
    return out.flatten(2)


def random_case(seed: int, shapes, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    tokens = sum(h * w for h, w in shapes)
    value = torch.randn(2, tokens, 2, 3, generator=generator, dtype=dtype)
    locations = torch.rand(2, 5, 2, len(shapes), 2, 2, generator=generator, dtype=dtype) * 1.6 - 0.3
    weights = torch.rand(2, 5, 2, len(shapes), 2, generator=generator, dtype=dtype)
    return value, shapes, locations, weights


@on_cpu
@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 999),
    shapes=st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=3),
)
def test_sampling_equals_a_plain_loop(backend, seed, shapes):
    case = random_case(seed, shapes)
    torch.testing.assert_close(sample_levels(*case, backend), loop_reference(*case), atol=1e-4, rtol=1e-4)


@on_cpu
@pytest.mark.parametrize('needed', [(0, 1, 2), (0,), (1,), (2,)])
def test_gradients(backend, needed):
    value, shapes, locations, weights = random_case(3, [(4, 5), (2, 2)], torch.float64)
    tensors = [tensor.requires_grad_(i in needed) for i, tensor in enumerate((value, locations, weights))]
    assert torch.autograd.gradcheck(lambda v, lo, we: sample_levels(v, shapes, lo, we, backend), tensors)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 999), scale=st.sampled_from([1.0, 3.0, 1e3, 1e30]))
def test_gradients_of_the_back_ends_are_the_same(seed, scale):
    """Also for samples far outside, which have no influence."""
    value, shapes, locations, weights = random_case(seed, [(5, 7), (3, 2)])
    tensors = [tensor.requires_grad_() for tensor in (value, locations.mul_(scale), weights)]
    gradients = []
    for backend in ON_CPU:
        out = sample_levels(tensors[0], shapes, tensors[1], tensors[2], backend)
        gradients.append(torch.autograd.grad(out.sin().sum(), tensors))
    for first, second in zip(*gradients):
        torch.testing.assert_close(first, second, atol=1e-4, rtol=1e-4)


@on_cpu
def test_positions_are_exact_where_values_are_bfloat16(backend):
    torch.manual_seed(0)
    value, weights = torch.randn(1, 64 * 64, 4, 8), torch.ones(1, 500, 4, 1, 2)
    locations = torch.rand(1, 500, 4, 1, 2, 2)
    exact = sample_levels(value, [(64, 64)], locations, weights, backend)
    mixed = sample_levels(value.bfloat16(), [(64, 64)], locations, weights, backend)
    assert mixed.dtype == torch.bfloat16
    torch.testing.assert_close(mixed.float(), exact, atol=0.05, rtol=0)


def test_a_position_that_is_no_number_reads_no_foreign_memory():
    value, shapes, locations, weights = random_case(0, [(4, 4)])
    locations[0, 0] = float('nan')
    value.requires_grad_()
    out = sample_levels(value, shapes, locations, weights, 'embedding_bag')
    out.sum().backward()
    assert not out[0, 0].any()
    assert torch.isfinite(out).all()
    assert torch.isfinite(value.grad).all()


def test_recomputing_activations_gives_the_same_gradients():
    value, shapes, locations, weights = random_case(1, [(4, 5)])
    value.requires_grad_()
    plain = torch.autograd.grad(sample_levels(value, shapes, locations, weights).sin().sum(), value)[0]
    again = checkpoint(sample_levels, value, shapes, locations, weights, use_reentrant=False)
    torch.testing.assert_close(torch.autograd.grad(again.sin().sum(), value)[0], plain, atol=0, rtol=0)


@on_cpu
@pytest.mark.parametrize('pairs, queries', [(0, 3), (2, 0)])
def test_nothing_to_sample(backend, pairs, queries):
    value = torch.randn(pairs, 20, 2, 3, requires_grad=True)
    out = sample_levels(
        value, [(4, 5)], torch.rand(pairs, queries, 2, 1, 2, 2), torch.rand(pairs, queries, 2, 1, 2), backend
    )
    assert out.shape == (pairs, queries, 6)
    assert not torch.autograd.grad(out.sum(), value)[0].any()


def test_a_graph_that_is_recorded_holds_torch_operators_only():
    value, shapes, locations, weights = random_case(1, [(4, 5)])
    traced = torch.jit.trace(lambda v, lo, we: sample_levels(v, shapes, lo, we), (value, locations, weights))
    names = {node.kind() for node in traced.inlined_graph.nodes()}
    assert any('grid_sampl' in name for name in names)
    other = random_case(2, shapes)
    torch.testing.assert_close(traced(other[0], other[2], other[3]), sample_levels(*other), atol=1e-5, rtol=1e-5)


def test_the_choice_follows_the_device(monkeypatch):
    import xemap.models.fusion.sampling as sampling
    from xemap.models.fusion.sampling import triton_kernel

    assert choose_backend(torch.device('cpu')) == 'embedding_bag'
    assert choose_backend(torch.device('mps')) == 'grid_sample'
    monkeypatch.setattr(triton_kernel, 'triton_available', lambda: False)
    assert choose_backend(torch.device('cuda')) == 'grid_sample'
    monkeypatch.setattr(sampling, 'has_compiled_ops', lambda: True)
    assert choose_backend(torch.device('cuda')) == 'mmcv'
    monkeypatch.setattr(triton_kernel, 'triton_available', lambda: True)
    assert choose_backend(torch.device('cuda')) == 'triton'
    monkeypatch.setattr(torch, 'are_deterministic_algorithms_enabled', lambda: True)
    assert choose_backend(torch.device('cuda')) == 'grid_sample'


@pytest.mark.parametrize('backend', ['triton', 'mmcv'])
def test_a_back_end_of_another_device_is_refused(backend):
    with pytest.raises(ConfigError, match=f'sampling "{backend}" runs on CUDA only'):
        sample_levels(*random_case(0, [(2, 2)]), backend)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')
@pytest.mark.parametrize('backend', [name for name in BACKENDS if name != 'embedding_bag'])
def test_on_a_gpu_every_back_end_equals_the_loop(backend):
    case = random_case(0, [(4, 5), (2, 3)])
    if backend == 'mmcv':
        from xemap.models.fusion.sampling import has_compiled_ops

        if not has_compiled_ops():
            pytest.skip('mmcv was not built with its operators')
    value, shapes, locations, weights = [t.cuda() if isinstance(t, torch.Tensor) else t for t in case]
    out = sample_levels(value, shapes, locations, weights, backend)
    torch.testing.assert_close(out.cpu(), loop_reference(*case), atol=1e-4, rtol=1e-4)
