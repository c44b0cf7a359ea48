"""Deformable attention against mmcv's module."""

from __future__ import annotations

import pytest
import torch
from mmcv.ops import MultiScaleDeformableAttention

from xemap.errors import ConfigError
from xemap.models.fusion import DeformableAttention
from xemap.models.fusion.encoder import reference_points


@pytest.mark.parametrize('sampling', ['auto', 'grid_sample'])
@pytest.mark.parametrize('shapes', [[(5, 7)], [(8, 6), (4, 3), (2, 2)]])
def test_module_equals_mmcv(shapes, sampling):
    torch.manual_seed(0)
    config = dict(embed_dims=16, num_heads=4, num_levels=len(shapes), num_points=3, dropout=0.0)
    ours = DeformableAttention(**config, sampling=sampling)
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


def test_an_unknown_back_end_is_refused():
    with pytest.raises(ConfigError, match='sampling "magic" is unknown; use "auto" or one of embedding_bag, triton'):
        DeformableAttention(embed_dims=16, num_heads=4, num_levels=1, sampling='magic')
