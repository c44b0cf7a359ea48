"""Spatial kernels around what the text attends to."""

from __future__ import annotations

import math

import pytest
import torch

from xemap.errors import ConfigError
from xemap.models.fusion.relation import CORE, NUM_BASES, RINGS, RelationBlock, relation_basis

SHAPES = [(4, 3), (2, 2)]
TOKENS = 16


@pytest.fixture
def block():
    torch.manual_seed(0)
    return RelationBlock(8, num_heads=2, head_dims=4).double()


def inputs(texts: int = 3, words: int = 5):
    generator = torch.Generator().manual_seed(1)
    vision, pos = (torch.randn(n, TOKENS, 8, generator=generator, dtype=torch.float64) for n in (texts, 1))
    text = torch.randn(texts, words, 8, generator=generator, dtype=torch.float64)
    padding = torch.arange(words) >= torch.tensor([[5], [3], [1]])[:texts]
    return vision, pos, SHAPES, text, padding


def relations(block, vision, pos, shapes, text, padding):
    attended = block.attend(vision, pos, shapes, text, padding)
    return block.relations(attended, shapes, text, padding, block.basis(shapes))


def basis_value(m: int, dx: float, dy: float) -> float:
    r = math.hypot(dx, dy)
    if m == 0:
        return math.exp(-((r / CORE) ** 2))
    radius, spread = RINGS[(m - 1) // 3]
    direction = (1.0, dx / max(r, 1e-6), dy / max(r, 1e-6))[(m - 1) % 3]
    return math.exp(-(((r - radius) / spread) ** 2)) * direction


def test_basis_is_what_its_equations_say():
    basis = relation_basis(4, 3)
    assert basis.shape == (12, 12, NUM_BASES) and basis.abs().max() <= 1
    for i in range(12):
        for j in range(12):
            dx, dy = (i % 3 - j % 3) / 3, (i // 3 - j // 3) / 4
            expected = [basis_value(m, dx, dy) for m in range(NUM_BASES)]
            assert basis[i, j].tolist() == pytest.approx(expected, abs=1e-5)


def test_relations_are_what_plain_loops_give(block):
    vision, pos, shapes, text, padding = inputs()
    got = relations(block, vision, pos, shapes, text, padding)
    assert got.shape == (3, TOKENS, 2)
    for n in range(3):
        words = [block.text_norm(text[n, s]) for s in range(5) if not padding[n, s]]
        for h in range(2):
            dims, bases = slice(4 * h, 4 * h + 4), slice(NUM_BASES * h, NUM_BASES * (h + 1))
            anchor = torch.stack([block.anchor_role(word)[h] for word in words]).softmax(0)
            relation = torch.stack([block.relation_role(word)[h] for word in words]).softmax(0)
            key = sum(share * block.key(word)[dims] for share, word in zip(anchor, words))
            weights = sum(share * block.kernel(word)[bases] for share, word in zip(relation, words))
            scores = [
                block.query(block.image_norm(vision[n, j]) + pos[0, j])[dims] @ key / math.sqrt(4) for j in range(12)
            ]
            attended = torch.stack(scores).softmax(0)
            for i in range(12):
                value = 0.0
                for j in range(12):
                    dx, dy = (i % 3 - j % 3) / 3, (i // 3 - j // 3) / 4
                    value += attended[j] * sum(weights[m] * basis_value(m, dx, dy) for m in range(NUM_BASES))
                assert float(got[n, i, h]) == pytest.approx(value.item(), abs=1e-6)


def test_a_basis_that_blocks_share_changes_nothing(block):
    given = inputs()
    torch.testing.assert_close(block(*given, basis=block.basis(SHAPES)), block(*given), atol=0, rtol=0)


def test_padding_and_other_texts_change_nothing(block):
    vision, pos, shapes, text, padding = inputs()
    whole, attended = block(vision, pos, shapes, text, padding)
    alone = block(vision[1:2], pos, shapes, text[1:2, :3])
    torch.testing.assert_close((whole[1:2], attended[1:2]), alone)
    other = text.clone()
    other[padding] = 100.0
    torch.testing.assert_close(block(vision, pos, shapes, other, padding), (whole, attended))


def test_coarser_levels_have_what_lies_at_their_position(block):
    vision, pos, shapes, text, padding = inputs()
    related = relations(block, vision, pos, shapes, text, padding)
    fine = related[:, :12].transpose(1, 2).unflatten(-1, (4, 3))
    coarse = torch.nn.functional.interpolate(fine, (2, 2), mode='bilinear', align_corners=False)
    torch.testing.assert_close(related[:, 12:].transpose(1, 2).unflatten(-1, (2, 2)), coarse)


def test_kernel_and_anchor_move_the_answer(block):
    """With an anchor in one cell and a kernel of one side, the cells on that side are told so."""
    vision, pos, shapes, text, padding = inputs(1)
    block.attend = lambda *args: torch.zeros(1, 2, 12, dtype=torch.float64).index_fill_(-1, torch.tensor([4]), 1.0)
    to_the_right = torch.zeros(1, 2, NUM_BASES, dtype=torch.float64)
    to_the_right[..., 5] = 1.0  # dx of the ring at 0.35; cell 4 lies in the middle column of row 1
    block.kernels = lambda *args: to_the_right
    related = relations(block, vision, pos, shapes, text, padding)[0, :12, 0].view(4, 3)
    assert related[1, 2] > 0.9 and related[1, 0] < -0.9 and abs(float(related[1, 1])) < 1e-6
    assert related[0, 2] > 0 > related[0, 0]


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_attention_stays_float32_in_mixed_precision(dtype):
    """The gradient of a loss on it, 1 / a, times a loss scale does not fit into float16."""
    block = RelationBlock(8, num_heads=2, head_dims=4)
    vision, pos, shapes, text, padding = (
        value.float() if torch.is_tensor(value) and value.is_floating_point() else value for value in inputs()
    )
    with torch.autocast('cpu', dtype):
        related, attended = block(vision, pos, shapes, text, padding)
    assert attended.dtype == related.dtype == torch.float32
    torch.testing.assert_close(attended.sum(-1), torch.ones(3, 2))


def test_gradient_reaches_every_parameter_and_is_finite(block):
    vision, pos, shapes, text, padding = inputs()
    block(vision, pos, shapes, text, padding)[0].square().sum().backward()
    for name, parameter in block.named_parameters():
        assert torch.isfinite(parameter.grad).all() and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize('wrong', [dict(num_heads=0), dict(head_dims=0), dict(level=-1)])
def test_bad_arguments(wrong):
    with pytest.raises(ConfigError, match='RelationBlock: '):
        RelationBlock(8, **wrong)


def test_a_level_that_the_image_lacks(block):
    block.level = 2
    with pytest.raises(ConfigError, match='level=2 of 2 levels'):
        block(*inputs())
