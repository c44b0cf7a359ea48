from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xemap.errors import ConfigError
from xemap.models.retrieval.losses import ContrastiveLoss, HardestBCELoss, HardTripletLoss

SIMILARITY = torch.tensor([[0.9, 0.8, 0.1], [0.2, 0.5, 0.4], [0.6, 0.3, 0.7]])
PAIRS = torch.eye(3, dtype=torch.bool)


def test_triplet_by_hand():
    # texts for images: row maxima of 0.2 + s_ij - s_ii: 0.1, 0.1, 0.1; images for texts: columns: 0, 0.5, 0
    assert HardTripletLoss(0.2)(SIMILARITY, PAIRS).item() == pytest.approx(0.1 + 0.1 + 0.1 + 0.5)
    assert HardTripletLoss(0.2, hardest=False)(SIMILARITY, PAIRS).item() == pytest.approx(0.1 + 0.1 + 0.1 + 0.5)
    # with margin 0.4 rows: 0.3; 0.1, 0.3; 0.3; columns: 0.1; 0.7, 0.2; 0.1
    wide = HardTripletLoss(0.4)(SIMILARITY, PAIRS).item()
    assert wide == pytest.approx(0.3 + 0.3 + 0.3 + 0.1 + 0.7 + 0.1)
    every = HardTripletLoss(0.4, hardest=False)(SIMILARITY, PAIRS).item()
    assert every == pytest.approx(wide + 0.1 + 0.2)


def test_other_captions_of_the_image_are_no_negatives():
    matching = PAIRS.clone()
    matching[0, 1] = matching[1, 0] = True
    # without (0, 1) and (1, 0): rows 0, 0.1, 0.1; columns 0, 0, 0
    assert HardTripletLoss(0.2)(SIMILARITY, matching).item() == pytest.approx(0.2)
    rows = [math.exp(0.9) + math.exp(0.1), math.exp(0.5) + math.exp(0.4), sum(map(math.exp, (0.6, 0.3, 0.7)))]
    columns = [math.exp(0.9) + math.exp(0.6), math.exp(0.5) + math.exp(0.3), sum(map(math.exp, (0.1, 0.4, 0.7)))]
    nominal = [0.9, 0.5, 0.7]
    expected = sum(math.log(r) + math.log(c) - 2 * n for r, c, n in zip(rows, columns, nominal)) / 6
    assert ContrastiveLoss(None)(SIMILARITY, matching).item() == pytest.approx(expected)


def test_contrastive_by_hand():
    similarity = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    pairs = torch.eye(2, dtype=torch.bool)
    rows = (math.log(math.exp(2) + 1) - 2, math.log(2 * math.exp(1)) - 1)
    columns = (math.log(math.exp(2) + math.exp(1)) - 2, math.log(1 + math.exp(1)) - 1)
    assert ContrastiveLoss(0.5)(similarity, pairs).item() == pytest.approx((sum(rows) + sum(columns)) / 4)


def test_hardest_bce_by_hand():
    logits = torch.tensor([[2.0, 0.5, -1.0], [1.0, 3.0, 0.0], [-2.0, 4.0, 1.0]])
    matching = torch.eye(3, dtype=torch.bool)
    matching[2, 1] = matching[1, 2] = True  # the same words about another image: no negative
    p = logits.sigmoid()
    expected = [
        -2 * p[0, 0].log() - (1 - p[0, 1]).log() - (1 - p[1, 0]).log(),
        -2 * p[1, 1].log() - (1 - p[1, 0]).log() - (1 - p[0, 1]).log(),
        -2 * p[2, 2].log() - (1 - p[2, 0]).log() - (1 - p[0, 2]).log(),
    ]
    torch.testing.assert_close(HardestBCELoss()(logits, matching), sum(expected) / 3)
    alone = HardestBCELoss()(logits, torch.ones(3, 3, dtype=torch.bool))  # no negative at all
    torch.testing.assert_close(alone, -2 * p.diagonal().log().mean())


def test_the_temperature_is_learned_and_limited():
    loss = ContrastiveLoss(0.07)
    loss(SIMILARITY, PAIRS).backward()
    assert loss.log_scale.grad != 0
    loss.log_scale.data.fill_(20.0)
    assert loss(SIMILARITY, PAIRS).item() == pytest.approx(ContrastiveLoss(0.01)(SIMILARITY, PAIRS).item())
    assert not list(ContrastiveLoss(None).parameters())


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**31), st.booleans())
def test_triplet_equals_a_loop(n, seed, hardest):
    generator = torch.Generator().manual_seed(seed)
    similarity = torch.rand(n, n, generator=generator)
    matching = (torch.rand(n, n, generator=generator) < 0.2) | torch.eye(n, dtype=torch.bool)
    expected, join = 0.0, max if hardest else sum
    for i in range(n):
        texts = [max(0.0, 0.2 + similarity[i, j].item() - similarity[i, i].item())
                 for j in range(n) if not matching[i, j]]  # fmt: skip
        shown = [max(0.0, 0.2 + similarity[j, i].item() - similarity[i, i].item())
                 for j in range(n) if not matching[j, i]]  # fmt: skip
        expected += join(texts or [0.0]) + join(shown or [0.0])
    assert HardTripletLoss(0.2, hardest)(similarity, matching).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize('loss', [HardTripletLoss(), HardestBCELoss(), ContrastiveLoss()])
def test_what_is_no_batch_of_pairs(loss):
    with pytest.raises(ConfigError, match=r'\(2, 3\)'):
        loss(torch.zeros(2, 3), torch.ones(2, 3, dtype=torch.bool))
    with pytest.raises(ConfigError, match='must be'):
        loss(torch.zeros(2, 2), torch.ones(3, 3, dtype=torch.bool))


def test_temperature_zero():
    with pytest.raises(ConfigError, match='temperature=0'):
        ContrastiveLoss(0)
