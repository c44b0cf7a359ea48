"""The decoder's layers (eqs. 14 to 16) against plain loops in float64."""

from __future__ import annotations

import math

import pytest
import torch

from tests.models.localizers.crobim.made_up import CHANNELS, WIDTH, pyramid, seeded, words
from xemap.models.localizers.crobim import MutualInteractionDecoder
from xemap.models.localizers.crobim.decoder import MODES


def decoder(**options):
    small = dict(num_layers=2, embed_dims=32, num_heads=4, num_points=2, ffn_dims=16)
    module = seeded(MutualInteractionDecoder(CHANNELS, WIDTH, **{**small, **options}))
    for layer in module.vision_layers:  # offsets of a few pixels, not of the whole image
        layer.deform_attn.sampling_offsets.weight.data *= 0.3
    return module


def norm(module, x):
    return (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, keepdim=True, unbiased=False) + 1e-5) * (
        module.weight
    ) + module.bias


def attend(module, query, key, value, padding=None):
    """Multi-head attention of one pair, head by head and query by query."""
    width, heads = query.shape[-1], module.num_heads
    (wq, wk, wv), (bq, bk, bv) = module.in_proj_weight.chunk(3), module.in_proj_bias.chunk(3)
    q, k, v = query @ wq.T + bq, key @ wk.T + bk, value @ wv.T + bv
    dim = width // heads
    out = torch.zeros_like(q)
    for head in range(heads):
        part = slice(head * dim, (head + 1) * dim)
        for i in range(len(q)):
            scores = k[:, part] @ q[i, part] / math.sqrt(dim)
            if padding is not None:
                scores = scores.masked_fill(padding, float('-inf'))
            out[i, part] = scores.softmax(0) @ v[:, part]
    return out @ module.out_proj.weight.T + module.out_proj.bias


def ffn(module, x):
    first, second = module.layers[0][0], module.layers[1]
    return x + torch.relu(x @ first.weight.T + first.bias) @ second.weight.T + second.bias


def bilinear(level, x, y):
    """Sample (h, w, d) at pixel coordinates, zero outside."""
    height, width, total = level.shape[0], level.shape[1], 0
    for j, i in ((math.floor(x) + dx, math.floor(y) + dy) for dx in (0, 1) for dy in (0, 1)):
        if 0 <= i < height and 0 <= j < width:
            total = total + level[i, j] * (1 - abs(x - j)) * (1 - abs(y - i))
    return total


def deformable(module, x, pos, shapes):
    """Multi-scale deformable self-attention of one pair, sampling point by sampling point."""
    heads, points, dim = module.num_heads, module.num_points, x.shape[-1] // module.num_heads
    value, query = module.value_proj(x), x + pos
    offsets = module.sampling_offsets(query).view(-1, heads, len(shapes), points, 2)
    weights = module.attention_weights(query).view(-1, heads, len(shapes) * points).softmax(-1)
    weights = weights.view(-1, heads, len(shapes), points)
    centers = [((j + 0.5) / w, (i + 0.5) / h) for h, w in shapes for i in range(h) for j in range(w)]
    levels = [part.view(h, w, -1) for part, (h, w) in zip(value.split([h * w for h, w in shapes]), shapes)]
    out = torch.zeros_like(x)
    for token, (cx, cy) in enumerate(centers):
        for head in range(heads):
            part = slice(head * dim, (head + 1) * dim)
            for level, (h, w) in enumerate(shapes):
                for point in range(points):
                    dx, dy = offsets[token, head, level, point].tolist()
                    sample = bilinear(levels[level][..., part], cx * w + dx - 0.5, cy * h + dy - 0.5)
                    out[token, part] += weights[token, head, level, point] * sample
    return x + module.output_proj(out)


def by_loops(module, levels, text, padding, pair, order, mode):
    tokens, positions, shapes = [], [], []
    for project, level, embed in zip(module.vision_proj, levels, module.level_embed):
        projected = project(level)
        shapes.append(tuple(projected.shape[-2:]))
        tokens.append(projected[pair].flatten(1).T)
        positions.append(module.positions(None, projected[:1])[0].flatten(1).T + embed)
    start, pos = torch.cat(tokens), torch.cat(positions).double()
    linear, layer_norm = module.text_proj
    t = norm(layer_norm, text[pair] @ linear.weight.T + linear.bias)
    x, hidden = start, padding[pair]

    def update_text(layer, t, x):
        t = norm(layer.norms[0], t + attend(layer.cross_attn, t, x + pos, x))
        t = norm(layer.norms[1], t + attend(layer.self_attn, t, t, t, hidden))
        return norm(layer.norms[2], ffn(layer.ffn, t))

    def update_vision(layer, x, t):
        gathered = attend(layer.cross_attn, x + pos, t, t, hidden)
        x = norm(layer.norms[0], x + (gathered * x if mode == 'unidirectional' else gathered))
        x = norm(layer.norms[1], deformable(layer.deform_attn, x, pos, shapes))
        return norm(layer.norms[2], ffn(layer.ffn, x))

    if order == 'stacked':
        for layer in module.text_layers:
            t = update_text(layer, t, start)
        for layer in module.vision_layers:
            x = update_vision(layer, x, t)
    else:
        for index, layer in enumerate(module.vision_layers):
            before = t
            if mode != 'unidirectional':
                t = update_text(module.text_layers[index], t, x)
            x = update_vision(layer, x, before if mode == 'parallel' else t)
    return start + x, t


@pytest.mark.parametrize('order, mode', [('stacked', 'cascaded'), *(('interleaved', mode) for mode in MODES)])
@torch.no_grad()
def test_decoder_layers(order, mode):
    module = decoder(order=order, mode=mode)
    levels = pyramid(2, (1, 1))
    text, padding = words(2)
    vision, shapes, updated = module(levels, text, padding)
    assert shapes == [(8, 8), (4, 4), (2, 2), (1, 1)]
    expected, expected_text = by_loops(module, levels, text, padding, 0, order, mode)
    # Positions are float32, and so are the sampling points that come from them.
    torch.testing.assert_close(vision[0], expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(updated[0][:3], expected_text[:3], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_what_reads_what():
    levels = pyramid(1, (1, 2))
    text, padding = words(1)
    padding[:] = False
    other = text.clone()
    other[:, -1] += 1
    for mode in ('cascaded', 'parallel', 'unidirectional'):
        module = decoder(mode=mode, num_layers=1)
        vision, _, updated = module(levels, text, padding)
        assert (module(levels, other, padding)[0] - vision).abs().max() > 1e-3
        moved = decoder(mode=mode, num_layers=1)
        for layer in moved.text_layers:
            layer.cross_attn.in_proj_weight.data += 0.1  # another text update
        same = torch.equal(moved(levels, text, padding)[0], vision)
        assert same == (mode != 'cascaded')
        if mode == 'unidirectional':
            torch.testing.assert_close(updated, module.text_proj(text))


@torch.no_grad()
def test_back_ends_agree():
    levels, (text, padding) = pyramid(2, (1, 2)), words(2)
    results = [decoder(sampling=name)(levels, text, padding)[0] for name in ('grid_sample', 'embedding_bag')]
    torch.testing.assert_close(results[0], results[1], atol=1e-6, rtol=1e-5)
