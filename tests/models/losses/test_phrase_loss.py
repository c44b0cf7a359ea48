"""The loss on a relation block's attention."""

from __future__ import annotations

import math

import pytest
import torch

from xemap.errors import ConfigError
from xemap.models.losses import phrase_loss


def test_plain_sums():
    torch.manual_seed(0)
    attended = torch.rand(3, 4, 6, dtype=torch.float64).softmax(-1)
    phrases = torch.rand(3, 2, 4, 6, dtype=torch.float64)
    phrases[1, 1] = phrases[2] = 0
    losses = phrase_loss(attended, (2, 3), phrases)
    for n in range(3):
        terms = []
        for k in range(2):
            cells = [
                sum(float(phrases[n, k, 2 * y + i, 2 * x + j]) for i in range(2) for j in range(2)) / 4
                for y in range(2)
                for x in range(3)
            ]
            if max(cells) > 0:
                hit = sum(float(a) * cell / max(cells) for a, cell in zip(attended[n, k], cells))
                terms.append(-math.log(hit + 1e-4))
        assert float(losses[n]) == pytest.approx(sum(terms) / len(terms) if terms else 0.0, rel=1e-5)
    assert losses[2] == 0


def test_attention_on_the_phrase_costs_nothing_and_elsewhere_much():
    phrases = torch.zeros(1, 1, 2, 2)
    phrases[0, 0, 1, 0] = 0.01  # a small object is one all the same
    on, off = (torch.eye(4)[None, None, cell] for cell in (2, 1))
    assert float(phrase_loss(on, (2, 2), phrases)) == pytest.approx(0, abs=1e-3)
    assert float(phrase_loss(off, (2, 2), phrases)) > 9


def test_gradient_is_finite_without_phrases():
    logits = torch.zeros(2, 2, 4, requires_grad=True)
    phrase_loss(logits.softmax(-1), (2, 2), torch.zeros(2, 2, 2, 2)).sum().backward()
    assert not logits.grad.any()


def test_fewer_heads_than_phrases():
    with pytest.raises(ConfigError, match=r'needs 2 heads .* finds 1; set encoder\.relation_cfg\.num_heads'):
        phrase_loss(torch.ones(1, 1, 4), (2, 2), torch.zeros(1, 2, 2, 2))
