"""The re-associated attention against MMDetection's block."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.models.utils.vlfuse_helper import SingleScaleBiAttentionBlock

from xemap.models.fusion import FusionBlock

SHAPE = dict(v_dim=24, l_dim=16, embed_dim=64, num_heads=4, dropout=0.0, init_values=0.7)


def both_blocks(seed: int) -> tuple[FusionBlock, SingleScaleBiAttentionBlock]:
    torch.manual_seed(seed)
    ours, theirs = FusionBlock(**SHAPE), SingleScaleBiAttentionBlock(**SHAPE)
    for parameter in ours.parameters():  # biases start at zero, which would hide mistakes in their terms
        torch.nn.init.normal_(parameter, std=0.3)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def inputs(n: int, p: int, s: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, s + 1, (n,), generator=generator)
    padding = torch.arange(s) >= lengths[:, None]
    return torch.randn(n, p, 24, generator=generator), torch.randn(n, s, 16, generator=generator), padding


@settings(deadline=None, max_examples=40)
@given(n=st.integers(1, 3), p=st.integers(1, 40), s=st.integers(1, 9) | st.integers(40, 60), seed=st.integers(0, 999))
def test_equals_mmdetection_forward_and_backward(n, p, s, seed):
    """Short texts, which go through the matrices, and long ones, where the image does."""
    ours, theirs = both_blocks(seed)
    vision, lang, padding = inputs(n, p, s, seed)
    results = []
    for block, mask in ((ours, padding), (theirs, (~padding).float())):
        v, t = vision.clone().requires_grad_(), lang.clone().requires_grad_()
        out_v, out_t = block(v, t, mask) if block is ours else block(v, t, attention_mask_l=mask)
        out_t = out_t * ~padding[..., None]  # updates of padding tokens are meaningless in both
        loss = (out_v.sin().sum() + out_t.sin().sum()) / p
        gradients = torch.autograd.grad(loss, [v, t, *block.parameters()])
        results.append((out_v, out_t, *gradients))
    for mine, original in zip(*results):
        torch.testing.assert_close(mine, original, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(results[0][0], results[1][0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('tokens, short', [(1, True), (48, True), (49, False)])
def test_the_side_that_costs_less_goes_through_the_matrices(tokens, short):
    """24 x 4 x S multiplications an image token against 64 x (24 + S): the same at 48."""
    attention = both_blocks(0)[0].attn
    assert attention.projects_text(tokens) is short
    projected = []
    attention.v_proj.register_forward_hook(lambda *_: projected.append(tokens))
    attention(*inputs(1, 5, tokens, 0))
    assert bool(projected) is not short


@pytest.mark.parametrize('tokens', [6, 60])
def test_padding_tokens_have_no_influence(tokens):
    ours, _ = both_blocks(0)
    vision, lang, padding = inputs(3, 20, tokens, 1)
    other = torch.where(padding[..., None], torch.full_like(lang, 7.0), lang)
    first, second = ours(vision, lang, padding), ours(vision, other, padding)
    torch.testing.assert_close(first[0], second[0], atol=1e-6, rtol=0)
    keep = ~padding
    torch.testing.assert_close(first[1][keep], second[1][keep], atol=1e-6, rtol=0)


@pytest.mark.parametrize('scale', [1e2, 1e4])
def test_large_scores_give_no_nan(scale):
    ours, _ = both_blocks(0)
    vision, lang, padding = inputs(2, 20, 6, 1)
    attention = ours.attn
    out_v, out_t = attention(vision * scale, lang * scale, padding)
    assert torch.isfinite(out_v).all()
    assert torch.isfinite(out_t).all()


@pytest.mark.parametrize('tokens', [6, 60])
def test_dropout_keeps_the_bias_of_dropped_weights_out(tokens):
    """Under dropout the attention weights no longer sum to one; the value bias must follow them."""
    ours, theirs = both_blocks(0)
    for block in (ours, theirs):
        block.attn.dropout = 1.0
        block.train()
    vision, lang, padding = inputs(2, 20, tokens, 1)
    mine = ours.attn(vision, lang, padding)
    original = theirs.attn(vision, lang, attention_mask_l=(~padding).float())
    torch.testing.assert_close(mine[0], original[0])
    torch.testing.assert_close(mine[1], original[1])


@pytest.mark.parametrize('tokens', [6, 60])
@pytest.mark.parametrize('image, text', [(True, False), (False, True), (False, False)])
def test_a_direction_that_is_off_updates_nothing_and_leaves_the_other_as_it_was(tokens, image, text):
    whole, _ = both_blocks(0)
    block = FusionBlock(**SHAPE, update_image=image, update_text=text)
    block.load_state_dict(whole.state_dict())
    vision, lang, padding = inputs(2, 20, tokens, 1)
    expected, got = whole(vision, lang, padding), block(vision, lang, padding)
    plain = whole.layer_norm_v(vision), whole.layer_norm_l(lang)
    for on, updated, side, unchanged in zip((image, text), expected, got, plain):
        assert torch.equal(side, updated if on else unchanged)
    assert not torch.equal(expected[0], plain[0]) and not torch.equal(expected[1], plain[1])
    trained = [p for p in block.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(sum(side.sin().sum() for side in got), trained, allow_unused=True)
    assert all(gradient is not None for gradient in gradients)  # DDP does not forgive parameters without gradient
    off = {
        'values_l_proj': image, 'out_v_proj': image, 'gamma_v': image, 'values_v_proj': text, 'out_l_proj': text,
        'gamma_l': text, '.v_proj': image or text, '.l_proj': image or text, 'layer_norm_': True,
    }  # fmt: skip
    for name, parameter in block.named_parameters():
        assert parameter.requires_grad is next(on for part, on in off.items() if part in name)


def test_positions_are_compared_and_gathered_where_they_are_wanted():
    plain, _ = both_blocks(0)
    block = FusionBlock(**SHAPE, with_positions=True)
    block.load_state_dict(plain.state_dict())
    vision, lang, padding = inputs(2, 20, 6, 1)
    position = torch.randn(1, 20, 24, generator=torch.Generator().manual_seed(2))
    image, text = block(vision, lang, padding, position)
    normed, words = block.layer_norm_v(vision), block.layer_norm_l(lang)
    delta_image, delta_text = block.attn(normed + position, words, padding)
    torch.testing.assert_close(image, normed + block.gamma_v * delta_image)  # the residual is without them
    torch.testing.assert_close(text, words + block.gamma_l * delta_text)
    for got, without in zip((image, text), plain(vision, lang, padding, position)):
        assert not torch.allclose(got, without)
    with pytest.raises(ValueError, match='no vision_pos'):
        block(vision, lang, padding)
