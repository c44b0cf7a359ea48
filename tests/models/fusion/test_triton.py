"""The Triton kernels: interpreted against slow references, compiled without a GPU, and compiled on a GPU.

Interpreting is decided when Triton is imported, so this file runs itself once in a process of its own, which
saves all results; it loads the kernels without the package, whose imports would take longer than the kernels.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import traceback
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.checkpoint import checkpoint

ROOT = Path(__file__).resolve().parents[3]
SOURCE = ROOT / 'xemap/models/fusion/sampling/triton_kernel.py'
needs_triton = pytest.mark.skipif(importlib.util.find_spec('triton') is None, reason='Triton is not installed')


def needs_gpu(test):
    return pytest.mark.gpu(pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')(needs_triton(test)))


def load_kernels():
    spec = importlib.util.spec_from_file_location('kernels', SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def random_case(seed, shapes, n=1, queries=5, heads=2, dim=3, points=2, dtype=torch.float32, weight_dtype=None):
    """Value, shapes, locations, weights and the gradient of the result."""
    generator = torch.Generator().manual_seed(seed)
    grid = (n, queries, heads, len(shapes), points)
    value = torch.randn(n, sum(h * w for h, w in shapes), heads, dim, generator=generator)
    locations = torch.rand(*grid, 2, generator=generator) * 1.6 - 0.3
    weights = torch.randn(grid, generator=generator)
    upstream = torch.randn(n, queries, heads * dim, generator=generator)
    return [value.to(dtype), shapes, locations, weights.to(weight_dtype or dtype), upstream.to(dtype)]


def border_case():
    """Positions on, between and around the pixels of two levels, all of them exact in single precision."""
    shapes = [(2, 4), (1, 1)]
    case = random_case(9, shapes, queries=21 * 21, heads=1, points=1)
    steps = torch.arange(-4, 17) / 16
    grid = torch.stack(torch.meshgrid(steps * 2, steps * 2, indexing='ij'), -1)
    case[2] = grid.view(1, 441, 1, 1, 1, 2).expand(1, 441, 1, 2, 1, 2).contiguous()
    return case


def strided_case():
    """The tensors of another case, each laid out in another order."""
    value, shapes, locations, weights, upstream = random_case(4, [(3, 4), (2, 2)], n=2)
    backwards = [t.permute(*reversed(range(t.dim()))).contiguous() for t in (value, locations, weights, upstream)]
    value, locations, weights, upstream = (t.permute(*reversed(range(t.dim()))) for t in backwards)
    return [value, shapes, locations, weights, upstream]


def double_case():
    case = random_case(5, [(3, 2), (1, 4)], dtype=torch.float64)
    case[2] = case[2].double()
    return case


CASES = {
    'several levels': lambda: random_case(0, [(4, 5), (2, 2), (1, 1)], n=2),
    'several blocks': lambda: random_case(1, [(6, 5)], n=2, queries=19, dim=32, points=1),
    'wide heads': lambda: random_case(2, [(3, 3)], dim=600, heads=1, points=1, queries=2),
    'borders': border_case,
    'strides': strided_case,
    'float64': double_case,
    'bfloat16': lambda: random_case(6, [(5, 7), (2, 3)], dim=20, dtype=torch.bfloat16),
    'float16': lambda: random_case(7, [(5, 7)], dim=32, dtype=torch.float16, weight_dtype=torch.float32),
}
# Of the result and of the gradients of value, locations and weights, which are as precise as their types.
HALF, SINGLE = (1e-2, 1e-2, 1e-4, 1e-2), (1e-4,) * 4
TOLERANCES = {'bfloat16': HALF, 'float16': (2e-3, 2e-3, 1e-4, 1e-4), 'float64': (1e-12,) * 4}


def run_case(sample, case, device='cpu'):
    """Result and gradients of value, locations and weights."""
    value, shapes, locations, weights, upstream = (t.to(device) if torch.is_tensor(t) else t for t in case)
    inputs = [t.requires_grad_() for t in (value, locations, weights)]
    out = sample(value, shapes, locations, weights)
    return [out.detach().cpu(), *(t.cpu() for t in torch.autograd.grad(out, inputs, upstream))]


def check_gradients_that_are_asked_for(kernels, device):
    """Alone they are as together, and the values are kept only where they are needed."""
    case = random_case(0, [(2, 3)], points=1)
    together = run_case(kernels.sample_triton, case, device)[1:]
    for i in range(3):
        value, shapes, locations, weights, upstream = (t.to(device) if torch.is_tensor(t) else t for t in case)
        differentiated = (value, locations, weights)[i]
        for tensor in (value, locations, weights):
            tensor.detach_().requires_grad_(tensor is differentiated)
        out = kernels.sample_triton(value, shapes, locations, weights)
        assert (out.grad_fn.saved_tensors[0] is None) == (differentiated is value)
        torch.testing.assert_close(torch.autograd.grad(out, differentiated, upstream)[0].cpu(), together[i])


def check_emptiness(kernels, device):
    for shapes, n, queries in (([(2, 2)], 0, 5), ([(2, 2)], 2, 0), ([], 1, 5)):
        for tensor in run_case(kernels.sample_triton, random_case(0, shapes, n, queries), device):
            assert not tensor.any()
    whole = random_case(0, [(0, 3), (2, 2), (3, 0)], points=1)
    part = [whole[0], [(2, 2)], whole[2][:, :, :, 1:2], whole[3][:, :, :, 1:2], whole[4]]
    results, expected = (run_case(kernels.sample_triton, case, device) for case in (whole, part))
    for tensor in results[2:]:
        assert not tensor[:, :, :, ::2].any()
    torch.testing.assert_close([*results[:2], *(t[:, :, :, 1:2] for t in results[2:])], expected)


def check_far_outside(kernels, device):
    """Neither result nor gradient, also where no integer holds the pixel or there is none."""
    far = torch.tensor([1e9, -1e9, 3e38, float('inf'), float('-inf'), float('nan')])
    inside = torch.full_like(far, 0.5)
    case = random_case(0, [(4, 4)], points=1, queries=12, heads=1)
    case[2] = torch.cat([torch.stack([far, inside], -1), torch.stack([inside, far], -1)]).view(case[2].shape)
    for tensor in run_case(kernels.sample_triton, case, device):
        assert not tensor.any(), tensor


def check_checkpointing(kernels, device):
    case = random_case(0, [(2, 3)], points=1)

    def again(*args):
        return checkpoint(kernels.sample_triton, *args, use_reentrant=False)

    for first, second in zip(run_case(again, case, device), run_case(kernels.sample_triton, case, device)):
        torch.testing.assert_close(first, second)


def check_autocast(kernels, device):
    """Types stay the inputs' own."""
    case = random_case(0, [(2, 3)], points=1)
    with torch.autocast(device, torch.bfloat16):
        mixed = run_case(kernels.sample_triton, case, device)
    torch.testing.assert_close(mixed, run_case(kernels.sample_triton, case, device))


def check_training_after_inference(kernels, device):
    """What is kept for a size must not be an inference tensor."""
    case = random_case(0, [(1, 9)], points=1)
    with torch.inference_mode():
        out = kernels.sample_triton(*(t.to(device) if torch.is_tensor(t) else t for t in case[:4]))
    torch.testing.assert_close(run_case(kernels.sample_triton, case, device)[0], out.clone().cpu())


def check_second_derivatives_are_refused(kernels, device):
    value, shapes, locations, weights, _ = random_case(0, [(1, 2)], points=1)
    value, locations, weights = (t.to(device).requires_grad_() for t in (value, locations, weights))
    out = kernels.sample_triton(value, shapes, locations, weights).sin().sum()
    gradient = torch.autograd.grad(out, locations, create_graph=True)[0]
    with pytest.raises(RuntimeError, match='once_differentiable'):
        gradient.sum().backward()


def check_more_than_two_to_the_31_values(kernels, device):
    """In one image and over several; the pages of the zeros are not touched."""
    for n, height, width, dim in ((1, 2**12, 2**12, 129), (17, 2**13, 2**10, 16)):
        value = torch.from_numpy(np.zeros((n, height * width, 1, dim), np.float16)).to(device)
        value[-1, -1] = 1
        corner = torch.tensor([1 - 0.5 / width, 1 - 0.5 / height], device=device)
        weights = torch.ones(n, 1, 1, 1, 1, device=device, requires_grad=True)
        out = kernels.sample_triton(value, [(height, width)], corner.expand(n, 1, 1, 1, 1, 2), weights)
        (gradient,) = torch.autograd.grad(out.float().sum(), weights)
        assert out[-1].eq(1).all() and not out[:-1].any()
        assert gradient.flatten().tolist() == [0] * (n - 1) + [dim]


CHECKS = {name.removeprefix('check_'): function for name, function in globals().items() if name.startswith('check_')}


def interpret(path: str) -> None:
    """Save what every case gives and what every check says."""
    kernels = load_kernels()
    results = {name: run_case(kernels.sample_triton, case()) for name, case in CASES.items()}
    for name, check in CHECKS.items():
        try:
            check(kernels, 'cpu')
            results[name] = 'passed'
        except Exception:
            results[name] = traceback.format_exc()
    torch.save(results, path)


@pytest.fixture(scope='module')
def interpreted(tmp_path_factory):
    path = tmp_path_factory.mktemp('triton') / 'results.pt'
    paths = os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])
    done = subprocess.run(
        [sys.executable, __file__, path],
        env={**os.environ, 'TRITON_INTERPRET': '1', 'PYTHONPATH': paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return torch.load(path, weights_only=True)


def assert_as_reference(name, results):
    """The result as a plain loop gives it, and the gradients of grid_sample in double precision."""
    from tests.models.fusion.test_sampling import loop_reference
    from xemap.models.fusion.sampling.grid_sample import sample_grid

    case = CASES[name]()
    assert [t.dtype for t in results] == [case[0].dtype, case[0].dtype, case[2].dtype, case[3].dtype]
    case = [t.double() if torch.is_tensor(t) else t for t in case]
    value, shapes, locations, weights, _ = case
    expected = run_case(sample_grid, case)
    torch.testing.assert_close(expected[0], loop_reference(value, shapes, locations, weights).detach())
    for tensor, reference, tolerance in zip(results, expected, TOLERANCES.get(name, SINGLE)):
        torch.testing.assert_close(tensor.double(), reference, atol=tolerance, rtol=tolerance)


@needs_triton
@pytest.mark.parametrize('name', CASES)
def test_interpreted_kernels_equal_the_references(interpreted, name):
    assert_as_reference(name, interpreted[name])


@needs_triton
@pytest.mark.parametrize('name', CHECKS)
def test_interpreted_kernels(interpreted, name):
    assert interpreted[name] == 'passed', interpreted[name]


@needs_gpu
@pytest.mark.parametrize('name', CASES)
def test_compiled_kernels_equal_the_references(name):
    assert_as_reference(name, run_case(load_kernels().sample_triton, CASES[name](), 'cuda'))


@needs_gpu
@pytest.mark.parametrize('name', CHECKS)
def test_compiled_kernels(name):
    CHECKS[name](load_kernels(), 'cuda')


@needs_gpu
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_compiled_kernels_at_the_size_of_an_image(dtype):
    from xemap.models.fusion.sampling.grid_sample import sample_grid

    shapes = [(64, 64), (32, 32), (16, 16), (8, 8)]
    case = random_case(0, shapes, n=2, queries=5440, heads=8, dim=32, points=4, dtype=dtype)
    wide = [t.float() if torch.is_tensor(t) else t for t in case]
    results = run_case(load_kernels().sample_triton, case, 'cuda')
    for tensor, reference in zip(results, run_case(sample_grid, wide, 'cuda')):
        tolerance = 1e-3 if tensor.dtype == torch.float32 else 2e-2
        # Single precision may put a sample that lies on a pixel's center on either side of it.
        wrong = ~torch.isclose(tensor.float(), reference, atol=tolerance, rtol=tolerance)
        assert wrong.float().mean() < 1e-5


@needs_triton
@pytest.mark.parametrize('capability', [86, 90])
@pytest.mark.parametrize('kind', ['bf16', 'fp32', 'odd'])
def test_kernels_compile_without_a_gpu(capability, kind, tmp_path, monkeypatch):
    """Also for d that fills no vector and where Triton takes a count of 1 for a constant."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    monkeypatch.setenv('TRITON_CACHE_DIR', str(tmp_path))
    kernels = load_kernels()
    odd, kind = kind == 'odd', 'fp16' if kind == 'odd' else kind
    old = capability < 90

    def compiled(name, rows, vector):
        kernel = getattr(kernels, name)
        constants = dict(
            HEADS=8, DIM=32, LEVELS=2, POINTS=1, ROWS=rows, COLUMNS=32, VECTOR=vector, ACC=triton.language.float32
        )
        if odd:
            constants |= dict(DIM=3, COLUMNS=4, VECTOR=min(vector, 4), tokens=1, rows=1, blocks=1)
        types = dict.fromkeys(kernel.arg_names, f'*{kind}') | dict.fromkeys(('tokens', 'rows', 'blocks'), 'i32')
        types |= dict(locations='*fp32', grad_locations='*fp32', grad_value='*fp32', levels='*i32')
        types = {argument: 'constexpr' if argument in constants else types[argument] for argument in kernel.arg_names}
        aligned = [i for i, argument in enumerate(types) if types[argument].startswith('*')]
        attributes = {(i,): [['tt.divisibility', 16]] for i in aligned}
        source = ASTSource(kernel, types, constants, attributes)
        return triton.compile(source, target=GPUTarget('cuda', capability, 32), options=dict(num_warps=2))

    forward = compiled('forward_kernel', 16, 8)
    by_value = compiled('value_gradient_kernel', 4 if old else 16, 1 if old else 4)
    by_sample = compiled('sample_gradient_kernel', 16, 8)
    assert all(kernel.asm['cubin'] for kernel in (forward, by_value, by_sample))
    # Nothing moves between threads where none has to: each keeps its channels from the first read to the last write.
    assert forward.metadata.shared == by_value.metadata.shared == 0
    assert odd or forward.asm['ptx'].count('.v4.b32') >= 4
    assert odd or ('add.v4.f32' in by_value.asm['ptx']) != old


def test_the_module_needs_no_triton(monkeypatch):
    monkeypatch.setitem(sys.modules, 'triton', None)
    kernels = load_kernels()
    assert not kernels.triton_available()
    with pytest.raises(kernels.ConfigError, match='Triton is not installed'):
        kernels.sample_triton(*random_case(0, [(2, 2)])[:4])


@needs_triton
def test_triton_needs_a_compiler(monkeypatch):
    kernels = load_kernels()
    monkeypatch.setenv('CC', 'cc')
    monkeypatch.setattr(kernels.sysconfig, 'get_path', lambda *args: str(SOURCE.parent))
    monkeypatch.setattr(Path, 'is_file', lambda self: self == SOURCE.parent / 'Python.h')
    assert kernels.triton_available()
    monkeypatch.setattr(Path, 'is_file', lambda self: False)
    assert not kernels.triton_available()
    monkeypatch.setattr(Path, 'is_file', lambda self: True)
    monkeypatch.delenv('CC')
    monkeypatch.setenv('PATH', '')
    assert not kernels.triton_available()


@needs_triton
@pytest.mark.skipif('TRITON_INTERPRET' in os.environ, reason='interpreted kernels run on a CPU')
def test_tensors_on_a_cpu_are_refused():
    kernels = load_kernels()
    with pytest.raises(kernels.ConfigError, match='tensors on cpu; move all to one CUDA device'):
        kernels.sample_triton(*random_case(0, [(2, 2)])[:4])


@needs_triton
@pytest.mark.parametrize('wrong', ['heads', 'levels', 'locations', 'weights'])
def test_shapes_that_do_not_match_are_refused(wrong):
    kernels = load_kernels()
    value, shapes, locations, weights, _ = random_case(0, [(2, 2), (1, 3)])
    arguments = dict(heads=value, levels=shapes, locations=locations, weights=weights)
    others = dict(heads=value[:, :, :1], levels=[(2, 2), (2, 3)], locations=locations[..., :1], weights=weights[:, 1:])
    arguments[wrong] = others[wrong]
    with pytest.raises(kernels.ConfigError, match=r'value \(1, 7, .* do not fit'):
        kernels.sample_triton(*arguments.values())


if __name__ == '__main__':
    interpret(sys.argv[1])
