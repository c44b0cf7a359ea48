from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xemap.errors import ConfigError
from xemap.models.retrieval import scan
from xemap.models.retrieval.base import unit
from xemap.models.retrieval.scan import ScanSimilarity


def slow(regions, words, smooth, pooling, sharp) -> torch.Tensor:
    """One image, one text, one word at a time, with the attended region built."""
    table = torch.empty(len(regions), len(words), dtype=torch.float64)
    for n, patches in enumerate(regions.double()):
        for t, text in enumerate(words):
            cosine = text.double() @ patches.T
            damped = torch.where(cosine > 0, cosine, 0.1 * cosine)
            relevance = []
            for i in range(len(text)):
                row = torch.stack([damped[i, j] / max(damped[:, j].norm().item(), 1e-12) for j in range(len(patches))])
                weights = (smooth * row).softmax(0)
                attended = sum(w * v for w, v in zip(weights, patches))
                relevance.append((attended @ text[i].double() / (attended.norm() * text[i].double().norm())).item())
            if pooling == 'mean':
                table[n, t] = sum(relevance) / len(relevance)
            else:
                table[n, t] = math.log(sum(math.exp(sharp * r) for r in relevance)) / sharp
    return table


@settings(max_examples=15, deadline=None)
@given(
    st.integers(1, 3), st.integers(1, 4), st.lists(st.integers(1, 5), min_size=1, max_size=3), st.integers(0, 2**31),
    st.sampled_from(['mean', 'lse']),
)  # fmt: skip
def test_equals_the_slow_reference(images, regions, lengths, seed, pooling):
    generator = torch.Generator().manual_seed(seed)
    pictures = unit(torch.randn(images, regions, 6, generator=generator))
    words = [unit(torch.randn(length, 6, generator=generator)) for length in lengths]
    fast = ScanSimilarity(9.0, pooling, 6.0)(pictures, words)
    torch.testing.assert_close(fast.double(), slow(pictures, words, 9.0, pooling, 6.0), atol=1e-4, rtol=0)


def test_chunks_change_nothing(monkeypatch):
    pictures = unit(torch.randn(5, 3, 6, generator=torch.Generator().manual_seed(0)))
    words = [unit(torch.randn(4, 6)), unit(torch.randn(2, 6))]
    whole = ScanSimilarity()(pictures, words)  # with gradients: in one piece
    monkeypatch.setattr(scan, 'CHUNK', 1)
    with torch.no_grad():
        torch.testing.assert_close(ScanSimilarity()(pictures, words), whole)


def test_a_word_finds_its_region():
    regions = torch.eye(4)[None]
    match, none = torch.eye(4)[2:3], unit(torch.ones(1, 4))
    scores = ScanSimilarity(smooth=50.0)(regions, [match, none])
    assert scores[0, 0] > 0.99 and scores[0, 1].item() == pytest.approx(1.0, abs=1e-4)  # all four regions together
    assert ScanSimilarity(smooth=50.0)(regions[:, :2], [match]).item() == pytest.approx(0, abs=1e-6)


def test_unknown_pooling():
    with pytest.raises(ConfigError, match='pooling "max"'):
        ScanSimilarity(pooling='max')
