"""The cross-modal decoder (paper eqs. 3 to 13), with what depends on the image alone computed once per image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from mmdet.models.layers import DetrTransformerDecoder
from torch import Tensor

from xemap.models.localizers.mlcm.layers import detr_layer, fuse_attention, split_heads

Memory = tuple[Tensor, Tensor, Tensor | None]
"""Tokens (N, M, C), their positions (N, M, C), and padding (N, M) bool, True = padding, or None: there is none."""


@dataclass
class ImageSide:
    """What the decoder computes from B images before it sees a text.

    Args:
        query: (B, T, C) tokens after the first self-attention and its norm (eqs. 4, 8).
        query_pos: (B, T, C) their positions.
        keys, values: for each layer (B, heads, M, C / heads), of the visual part of the memory.
        padding: (B, M) bool, True = padding of the visual part; None = there is none.
        heads: (B, heads, T, C / heads) queries of the first cross-attention.
        attended: (B, heads, T, C / heads) what they take from the visual part alone; None without one.
        mass: (B, heads, T) logarithm of the sum of its exponentiated scores; None without a visual part.
    """

    query: Tensor
    query_pos: Tensor
    keys: list[Tensor]
    values: list[Tensor]
    padding: Tensor | None
    heads: Tensor
    attended: Tensor | None
    mass: Tensor | None


class CrossModalDecoder(DetrTransformerDecoder):
    """L post-norm decoder layers whose queries are the finest image level and whose memory is image and text.

    ``forward`` (MMDetection's) takes the whole memory for each pair. :meth:`image_side` and :meth:`text_side` give
    the same from B images and N texts: the memory's visual part enters the softmax of the first cross-attention as
    one key whose score is its log-sum-exp and whose value is what it alone would give, so its M tokens are never
    repeated for the queries of an image. In training, pairs of one image share the dropout of the image side.

    Args:
        num_layers: L.
        width, num_heads, feedforward, dropout: see :func:`~xemap.models.localizers.mlcm.layers.detr_layer`.
    """

    def __init__(self, num_layers: int, width: int, num_heads: int, feedforward: int, dropout: float) -> None:
        layer = detr_layer(width, num_heads, feedforward, dropout, crosses=True)
        super().__init__(num_layers, layer, return_intermediate=False)
        fuse_attention(self)

    def image_side(self, query: Tensor, query_pos: Tensor, memory: Memory | None) -> ImageSide:
        """Compute what depends on the images alone.

        Args:
            query: (B, T, C) tokens of the finest level.
            query_pos: (B, T, C).
            memory: the memory of all levels of B images; None = the memory is text only.
        """
        first = self.layers[0]
        query = first.norms[0](first.self_attn(query, query_pos=query_pos, key_pos=query_pos))
        heads = split_heads(first.cross_attn.attn, query + query_pos, 0)
        if memory is None:
            return ImageSide(query, query_pos, [], [], None, heads, None, None)
        tokens, pos, padding = memory
        keys = [split_heads(layer.cross_attn.attn, tokens + pos, 1) for layer in self.layers]
        values = [split_heads(layer.cross_attn.attn, tokens, 2) for layer in self.layers]
        scores = heads @ keys[0].transpose(-1, -2) * heads.shape[-1] ** -0.5
        if padding is not None:
            scores = scores.masked_fill(padding[:, None, None], float('-inf'))
        weights = F.dropout(scores.softmax(-1), first.cross_attn.attn.dropout, self.training)
        return ImageSide(query, query_pos, keys, values, padding, heads, weights @ values[0], scores.logsumexp(-1))

    def text_side(self, image: ImageSide, image_idx: Tensor, memory: Memory | None) -> Tensor:
        """Decode N pairs.

        Args:
            image: from :meth:`image_side`.
            image_idx: (N,) the image of each pair.
            memory: the memory of N texts; None = the memory is visual only.

        Returns:
            (N, T, C) after the last norm.
        """
        query, query_pos = image.query[image_idx], image.query_pos[image_idx]
        for number, layer in enumerate(self.layers):
            attention = layer.cross_attn
            if number:
                query = layer.norms[0](layer.self_attn(query, query_pos=query_pos, key_pos=query_pos))
            sides = []
            if memory is not None:
                tokens, pos, padding = memory
                keys, values = split_heads(attention.attn, tokens + pos, 1), split_heads(attention.attn, tokens, 2)
                sides.append((keys, values, padding))
            if number:
                if image.keys:
                    image_padding = None if image.padding is None else image.padding[image_idx]
                    sides.insert(0, (image.keys[number][image_idx], image.values[number][image_idx], image_padding))
                heads = split_heads(attention.attn, query + query_pos, 0)
                taken = _attend(heads, sides, attention.attn.dropout if self.training else 0.0)
            elif image.attended is None:
                taken = _attend(image.heads[image_idx], sides, attention.attn.dropout if self.training else 0.0)
            else:
                taken = self._join(image, image_idx, sides)
            projected = attention.attn.out_proj(taken.transpose(1, 2).flatten(2))
            query = layer.norms[1](query + attention.dropout_layer(attention.proj_drop(projected)))
            query = layer.norms[2](layer.ffn(query))
        return self.post_norm(query)

    def _join(self, image: ImageSide, image_idx: Tensor, text: list[Memory]) -> Tensor:
        """First cross-attention of N pairs: the image's part, once more weighed against the text's."""
        assert image.attended is not None and image.mass is not None
        attended = image.attended[image_idx]
        if not text:
            return attended
        keys, values, padding = text[0]
        scores = image.heads[image_idx] @ keys.transpose(-1, -2) * keys.shape[-1] ** -0.5
        if padding is not None:
            scores = scores.masked_fill(padding[:, None, None], float('-inf'))
        weights = torch.cat([image.mass[image_idx][..., None], scores], -1).softmax(-1)
        of_text = F.dropout(weights[..., 1:], self.layers[0].cross_attn.attn.dropout, self.training)
        return weights[..., :1] * attended + of_text @ values


def _attend(heads: Tensor, sides: list[Memory], dropout: float) -> Tensor:
    """Attention of (N, heads, T, c) over the keys and values of all sides together."""
    keys, values = torch.cat([side[0] for side in sides], 2), torch.cat([side[1] for side in sides], 2)
    mask = None
    if any(padding is not None for *_, padding in sides):
        shapes = [(padding, keys.shape[0], keys.shape[2]) for keys, _, padding in sides]
        mask = ~torch.cat(
            [heads.new_zeros(n, m, dtype=torch.bool) if padding is None else padding for padding, n, m in shapes], 1
        )
        mask = mask[:, None, None]
    return F.scaled_dot_product_attention(heads, keys, values, attn_mask=mask, dropout_p=dropout)
