"""Fusion of visual tokens, words and a learnable token (paper eq. 14)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmdet.models.layers import DetrTransformerEncoder
from torch import Tensor, nn

from xemap.errors import ConfigError
from xemap.models.localizers.mlcm.layers import detr_layer, fuse_attention

ORDERS = ('visual-text-token', 'token-text-visual')


class TokenFusion(DetrTransformerEncoder):
    """Post-norm encoder layers over ``[visual tokens, words, token]``; the state of the token is the result.

    Positions are a learned table, one row for each place, added to queries and keys in every layer. The rows of the
    visual tokens are resampled bicubically for another grid than the table's.

    Args:
        num_layers: number of layers of the encoder.
        width, num_heads, feedforward, dropout: see :func:`~xemap.models.localizers.mlcm.layers.detr_layer`.
        text_width: width of the word states.
        grid: (rows, columns) of visual tokens that the table is made for.
        max_words: most word tokens, [CLS] and [SEP] among them.
        order: the order of eq. 14, ``'visual-text-token'``, or TransVG's, ``'token-text-visual'``.
        activation: ReLU after the projections of visual tokens and words.

    Raises:
        ConfigError: an unknown order.
    """

    def __init__(
        self,
        num_layers: int,
        width: int,
        num_heads: int,
        feedforward: int,
        dropout: float,
        text_width: int,
        grid: tuple[int, int] = (20, 20),
        max_words: int = 40,
        order: str = 'visual-text-token',
        activation: bool = True,
    ) -> None:
        super().__init__(num_layers, detr_layer(width, num_heads, feedforward, dropout))
        if order not in ORDERS:
            raise ConfigError(f'TokenFusion: order "{order}" is unknown; use one of {", ".join(ORDERS)}')
        fuse_attention(self)
        self.grid, self.max_words, self.order = (int(grid[0]), int(grid[1])), max_words, order
        ending = [nn.ReLU(inplace=True)] if activation else []
        self.visual_proj = nn.Sequential(nn.Linear(width, width), *ending)
        self.word_proj = nn.Sequential(nn.Linear(text_width, width), *ending)
        self.token = nn.Embedding(1, width)
        self.positions = nn.Embedding(self.grid[0] * self.grid[1] + max_words + 1, width)
        nn.init.uniform_(self.positions.weight)

    def forward(
        self,
        visual: Tensor,
        grid: tuple[int, int],
        words: Tensor,
        visual_padding: Tensor | None = None,
        word_padding: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Fuse N pairs.

        Args:
            visual: (N, P, width) projected visual tokens, see ``visual_proj``.
            grid: (rows, columns) of them, P in all.
            words: (N, S, width) projected word states, see ``word_proj``.
            visual_padding: (N, P) bool, True = padding that takes no part; None = there is none.
            word_padding: (N, S) bool, likewise.

        Returns:
            the state of the token (N, width), and its attention in the last layer to the visual tokens, the mean over
            heads, (N, P), whose sum is at most 1.
        """
        (n, num_visual, width), num_words = visual.shape, words.shape[1]
        parts = [visual, words, self.token.weight.expand(n, 1, width)]
        positions = self.position_rows(grid, num_words)
        paddings = [
            visual.new_zeros(n, part.shape[1], dtype=torch.bool) if padding is None else padding
            for part, padding in zip(parts, (visual_padding, word_padding, None))
        ]
        first_visual, place = 0, num_visual + num_words
        if self.order == 'token-text-visual':
            parts, positions, paddings = parts[::-1], positions[::-1], paddings[::-1]
            first_visual, place = num_words + 1, 0
        tokens = torch.cat(parts, 1)
        pos = torch.cat(positions)[None].to(tokens.dtype).expand_as(tokens)
        padding = None if visual_padding is None and word_padding is None else torch.cat(paddings, 1)
        for layer in self.layers[:-1]:
            tokens = layer(tokens, pos, padding)
        # Nobody reads the other tokens of the last layer.
        last, token = self.layers[-1], tokens[:, place : place + 1]
        given = (token + pos[:, place : place + 1], tokens + pos, tokens)
        taken, weights = last.self_attn.attn(
            *(part.transpose(0, 1) for part in given), key_padding_mask=padding, need_weights=True
        )
        token = token + last.self_attn.dropout_layer(last.self_attn.proj_drop(taken.transpose(0, 1)))
        state = last.norms[1](last.ffn(last.norms[0](token)))
        return state[:, 0], weights[:, 0, first_visual : first_visual + num_visual]

    def position_rows(self, grid: tuple[int, int], num_words: int) -> list[Tensor]:
        """Rows of the table for visual tokens, words and token, (.., width) each."""
        table, num_positions = self.positions.weight, self.grid[0] * self.grid[1]
        visual = table[:num_positions]
        if tuple(grid) != self.grid:
            image = visual.T.reshape(1, -1, *self.grid)
            visual = F.interpolate(image, tuple(grid), mode='bicubic', align_corners=False)[0].flatten(1).T
        return [visual, table[num_positions : num_positions + num_words], table[-1:]]
