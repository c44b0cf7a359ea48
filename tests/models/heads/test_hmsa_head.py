from __future__ import annotations

import pytest
import torch

from xemap.errors import ConfigError
from xemap.models.heads import HMSAHead, pool_text


def test_pooling_uses_real_tokens_only():
    text = torch.tensor([[[1.0, 4.0], [3.0, 2.0], [100.0, 100.0]]])
    padding = torch.tensor([[False, False, True]])
    assert pool_text(text, padding, 'mean').tolist() == [[2.0, 3.0]]
    assert pool_text(text, padding, 'max').tolist() == [[3.0, 4.0]]
    assert pool_text(text, padding, 'first').tolist() == [[1.0, 4.0]]


def test_map_by_hand():
    """One level of 1 x 2 with vectors along and against the text: (1 + 1) / 2 = 1 and (-1 + 1) / 2 = 0.

    A second level of 1 x 1 at a right angle gives 1/2 everywhere; the mean over levels is 0.75 and 0.25.
    """
    vision = torch.tensor([[[3.0, 0.0], [-5.0, 0.0], [0.0, 2.0]]])
    text = torch.tensor([[[0.5, 0.0]]])
    maps = HMSAHead()(vision, [(1, 2), (1, 1)], text, torch.zeros(1, 1, dtype=torch.bool), (1, 2))
    torch.testing.assert_close(maps, torch.tensor([[[0.75, 0.25]]]))


def test_maps_are_interpolated_bilinearly_with_pixel_centres():
    vision = torch.tensor([[[1.0, 0.0], [-1.0, 0.0]]])
    maps = HMSAHead()(vision, [(1, 2)], torch.tensor([[[1.0, 0.0]]]), torch.zeros(1, 1, dtype=torch.bool), (1, 4))
    torch.testing.assert_close(maps, torch.tensor([[[1.0, 0.75, 0.25, 0.0]]]))


def test_unknown_pooling():
    with pytest.raises(ConfigError, match='"median" is unknown; use one of mean, max, first'):
        HMSAHead(pooling='median')
