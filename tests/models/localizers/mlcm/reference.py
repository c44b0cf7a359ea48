"""Equations 3 to 14 written down with matrix products and softmax, pair by pair, from the tensors of a model.

Nothing is shared between pairs, no attention module of torch is called, and there is no batch dimension: this is what
the network's arithmetic is compared with.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


def sine(padding: Tensor, width: int) -> Tensor:
    """(h * w, width) positions of a level, y first, from its (h, w) padding, one number at a time."""
    h, w = padding.shape
    keep = (~padding).tolist()
    rows = []
    for i in range(h):
        for j in range(w):
            counts = (sum(keep[k][j] for k in range(i + 1)), sum(keep[i][: j + 1]))
            totals = (sum(keep[k][j] for k in range(h)), sum(keep[i]))
            row = []
            for count, total in zip(counts, totals):
                angle = count / (total + 1e-6) * 2 * math.pi
                for channel in range(width // 2):
                    at = angle / 10000 ** (2 * (channel // 2) / (width // 2))
                    row.append(math.cos(at) if channel % 2 else math.sin(at))
            rows.append(row)
    return torch.tensor(rows, dtype=torch.float64)


def norm(module: Any, x: Tensor) -> Tensor:
    centered = x - x.mean(-1, keepdim=True)
    return centered / (centered.square().mean(-1, keepdim=True) + 1e-5).sqrt() * module.weight + module.bias


def attention(module: Any, query: Tensor, key: Tensor, value: Tensor, keep: Tensor | None = None) -> Tensor:
    """Eq. 7 for every head, with the projections; ``keep`` (keys,) bool."""
    attn = module.attn
    heads, width = attn.num_heads, attn.embed_dim
    weights, biases = attn.in_proj_weight.split(width), attn.in_proj_bias.split(width)
    q, k, v = (x @ w.T + b for x, w, b in zip((query, key, value), weights, biases))
    parts = []
    for dims in torch.arange(width).chunk(heads):
        scores = q[:, dims] @ k[:, dims].T / math.sqrt(width // heads)
        if keep is not None:
            scores = scores[:, keep]
        exponents = (scores - scores.amax(1, keepdim=True)).exp()
        parts.append(exponents / exponents.sum(1, keepdim=True) @ (v[:, dims] if keep is None else v[keep][:, dims]))
    return torch.cat(parts, 1) @ attn.out_proj.weight.T + attn.out_proj.bias


def feed_forward(ffn: Any, x: Tensor) -> Tensor:
    """Eq. 13 without its norm."""
    first, second = ffn.layers[0][0], ffn.layers[1]
    return x + (x @ first.weight.T + first.bias).clamp(min=0) @ second.weight.T + second.bias


def decode(decoder: Any, x: Tensor, x_pos: Tensor, y: Tensor, y_pos: Tensor, keep: Tensor) -> Tensor:
    """Eqs. 3 to 13, and the decoder's last norm."""
    for layer in decoder.layers:
        x = norm(layer.norms[0], x + attention(layer.self_attn, x + x_pos, x + x_pos, x))
        x = norm(layer.norms[1], x + attention(layer.cross_attn, x + x_pos, y + y_pos, y, keep))
        x = norm(layer.norms[2], feed_forward(layer.ffn, x))
    return norm(decoder.post_norm, x)


def encode(layers: Any, x: Tensor, pos: Tensor, keep: Tensor | None) -> Tensor:
    for layer in layers:
        x = norm(layer.norms[0], x + attention(layer.self_attn, x + pos, x + pos, x, keep))
        x = norm(layer.norms[1], feed_forward(layer.ffn, x))
    return x


def project(sequence: Any, x: Tensor) -> Tensor:
    """Linear and, where the network has it, ReLU."""
    y = x @ sequence[0].weight.T + sequence[0].bias
    return y.clamp(min=0) if len(sequence) > 1 else y


def nearest(padding: Tensor, size: tuple[int, int]) -> Tensor:
    (h, w), (rows, dims) = padding.shape, size
    return padding[[i * h // rows for i in range(rows)]][:, [j * w // dims for j in range(dims)]]


@torch.no_grad()
def ground(model: Any, image: Tensor, words: Tensor, sentence: Tensor, word_mask: Tensor, padding: Tensor) -> dict:
    """One pair: image (3, H, W), words (S, text_width), sentence (text_width,), word_mask (S,), padding (H, W).

    Positions are the model's, which are float32; :func:`sine` is what they are compared with.
    """
    levels = [level[0] for level in model.levels(model.backbone(image[None])[-1])]
    paddings, positions = [], []
    for level in levels:
        padding = nearest(padding, tuple(level.shape[-2:]))
        paddings.append(padding.flatten())
        positions.append(model.image_pos(padding[None])[0].flatten(1).T.to(image.dtype))
    x, x_pos = levels[0].flatten(1).T, positions[0]
    memory, memory_pos, keep = [], [], []
    if 'scales' in model.memory:
        memory += [level.flatten(1).T for level in levels]
        memory_pos += positions
        keep += [~padded for padded in paddings]
    real = word_mask.bool()
    if 'words' in model.memory:
        memory.append(project(model.text_proj, words))
        memory_pos.append(model.text_pos.weight[: len(words)])
        keep.append(real)
    if 'sentence' in model.memory:
        memory.append(project(model.text_proj, sentence[None]))
        memory_pos.append(model.text_pos.weight[-1:])
        keep.append(torch.ones(1, dtype=torch.bool))
    if model.decoder is not None:
        x = decode(model.decoder, x, x_pos, torch.cat(memory), torch.cat(memory_pos), torch.cat(keep))
    decoded = x
    x = encode(model.encoder.layers, x, x_pos, ~paddings[0])
    fusion, visual, number = model.fusion, len(x), len(words)
    tokens = torch.cat([project(fusion.visual_proj, x), project(fusion.word_proj, words), fusion.token.weight])
    table = fusion.positions.weight
    pos = torch.cat([table[: visual + number], table[-1:]])
    keep_all = torch.cat([~paddings[0], real, real.new_ones(1)]) if model.mask_text_padding else None
    state = encode(fusion.layers, tokens, pos, keep_all)[-1]
    z = state
    for step in model.head.layers:
        z = z @ step.weight.T + step.bias if hasattr(step, 'weight') else z.clamp(min=0)
    return {'decoder': decoded, 'visual_tokens': x, 'fusion': state, 'box': 2 / (1 + (-z).exp()) - 0.5}
