"""Deformable attention against a plain loop and against mmcv's module."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.ops import MultiScaleDeformableAttention

from xemap.models.fusion import DeformableAttention, sample_levels
from xemap.models.fusion.encoder import reference_points


def loop_reference(value, shapes, locations, weights):
    """Bilinear samples one by one: pixel (i, j) is centred on ((j + 0.5) / w, (i + 0.5) / h), outside is zero."""
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


@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 999),
    shapes=st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=3),
)
def test_sampling_equals_a_plain_loop(seed, shapes):
    case = random_case(seed, shapes)
    torch.testing.assert_close(sample_levels(*case), loop_reference(*case), atol=1e-4, rtol=1e-4)


def test_sampling_gradients():
    value, shapes, locations, weights = random_case(3, [(4, 5), (2, 2)], torch.float64)
    tensors = [t.requires_grad_() for t in (value, locations, weights)]
    assert torch.autograd.gradcheck(lambda v, lo, we: sample_levels(v, shapes, lo, we), tensors)


@pytest.mark.parametrize('shapes', [[(5, 7)], [(8, 6), (4, 3), (2, 2)]])
def test_module_equals_mmcv(shapes):
    torch.manual_seed(0)
    config = dict(embed_dims=16, num_heads=4, num_levels=len(shapes), num_points=3, dropout=0.0)
    ours = DeformableAttention(**config)
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    theirs = MultiScaleDeformableAttention(**config, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    tokens = sum(h * w for h, w in shapes)
    query, position = torch.randn(2, tokens, 16), torch.randn(1, tokens, 16)
    points = reference_points(shapes, 'cpu')
    expected = theirs(
        query,
        query_pos=position,
        reference_points=points[None, :, None].expand(2, -1, len(shapes), -1),
        spatial_shapes=torch.tensor(shapes),
        level_start_index=None,
    )
    torch.testing.assert_close(ours(query, position, points, shapes), expected, atol=1e-5, rtol=1e-5)


def test_positions_are_exact_where_values_are_bfloat16():
    torch.manual_seed(0)
    value, weights = torch.randn(1, 64 * 64, 4, 8), torch.ones(1, 500, 4, 1, 2)
    locations = torch.rand(1, 500, 4, 1, 2, 2)
    exact = sample_levels(value, [(64, 64)], locations, weights)
    mixed = sample_levels(value.bfloat16(), [(64, 64)], locations, weights)
    torch.testing.assert_close(mixed.float(), exact, atol=0.05, rtol=0)
