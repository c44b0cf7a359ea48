"""Relations between objects: spatial kernels, chosen by the text, around what the text attends to."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xemap.errors import ConfigError
from xemap.models.fusion.sampling import LevelShapes

RINGS = ((0.15, 0.1), (0.35, 0.2), (0.8, 0.35))
"""Radius and width of the rings of :func:`relation_basis`, in sides of the image."""
CORE = 0.08
"""Width of its middle."""
NUM_BASES = 1 + 3 * len(RINGS)


def relation_basis(height: int, width: int, device: torch.device | str = 'cpu') -> Tensor:
    """Smooth functions of the offset between two cells of a grid, from which kernels are mixed.

    With d = (dx, dy) from cell j to cell i in sides of the image, r = |d|: one Gaussian ``exp(-(r / 0.08)^2)``, and of
    each ring ``g = exp(-((r - radius) / width)^2)`` the three functions ``g``, ``g dx / r`` and ``g dy / r``. So a
    kernel can be near, far, and on one side.

    Returns:
        (height * width receivers i, height * width sources j, :data:`NUM_BASES`) float32 in [-1, 1].
    """
    y, x = torch.meshgrid(
        (torch.arange(height, device=device) + 0.5) / height,
        (torch.arange(width, device=device) + 0.5) / width,
        indexing='ij',
    )
    centers = torch.stack([x, y], -1).view(-1, 2)
    offset = centers[:, None] - centers
    # Not the norm: its slope at zero is not finite, and a graph keeps it.
    distance = offset.square().sum(-1).clamp(min=1e-12).sqrt()
    direction = offset / distance[..., None]
    bases = [torch.exp(-((distance / CORE) ** 2))]
    for radius, spread in RINGS:
        ring = torch.exp(-(((distance - radius) / spread) ** 2))
        bases += [ring, ring * direction[..., 0], ring * direction[..., 1]]
    return torch.stack(bases, -1)


class RelationBlock(nn.Module):
    """Tells each image token how it lies to what a text speaks of: "next to the lake", "left of the road".

    Each head reads the text twice, with weights ``r`` and ``r'`` over its tokens: once for the anchor, with which it
    attends over the cells j of one level, ``a_j = softmax_j(q_j . k / sqrt(D))``, and once for the relation, which
    mixes a spatial kernel ``K(i - j) = sum_m w_m B_m(i - j)`` of the functions of :func:`relation_basis`. The cell i
    is told ``R_i = sum_j a_j K(i - j)``, other levels what their position has bilinearly, and ``W_o R_i`` is added to
    its token.

    Attention with positional embeddings can express the same and does not learn it from some 10^4 pairs;
    docs/learning.md has the measurement.

    Args:
        embed_dims: width C of image and text tokens.
        num_heads: anchors that a text may have, H; with ``phrase_weight`` of XeMap-Network at least 2, the first for
            the objects of the query's category, the second for its anchors.
        head_dims: width D of the space in which an anchor is looked for.
        level: level whose cells are attended over, 0 = the finest. The kernels of a level of h x w cells take
            ``10 (h w)^2`` values: 2.6 MB for 16 x 16, 42 MB for 32 x 32.

    Raises:
        ConfigError: a number below 1, or a negative level.
    """

    def __init__(self, embed_dims: int, num_heads: int = 4, head_dims: int = 16, level: int = 0) -> None:
        super().__init__()
        if min(embed_dims, num_heads, head_dims) < 1 or level < 0:
            raise ConfigError(
                f'RelationBlock: embed_dims={embed_dims}, num_heads={num_heads}, head_dims={head_dims}, level={level}; '
                'give at least 1 of each, and a level of at least 0'
            )
        self.num_heads, self.head_dims, self.level = num_heads, head_dims, level
        self.image_norm, self.text_norm = nn.LayerNorm(embed_dims), nn.LayerNorm(embed_dims)
        self.anchor_role, self.relation_role = nn.Linear(embed_dims, num_heads), nn.Linear(embed_dims, num_heads)
        self.query = nn.Linear(embed_dims, num_heads * head_dims)
        self.key = nn.Linear(embed_dims, num_heads * head_dims)
        self.kernel = nn.Linear(embed_dims, num_heads * NUM_BASES)
        self.out = nn.Linear(num_heads, embed_dims)

    def forward(
        self,
        vision: Tensor,
        vision_pos: Tensor,
        shapes: LevelShapes,
        text: Tensor,
        text_padding: Tensor | None = None,
        basis: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Image tokens with the relation added.

        Args:
            vision: (N, P, C) image tokens, the levels one after another.
            vision_pos: (1 or N, P, C) their positional embedding: an anchor may be "the lake on the left".
            shapes: (h, w) of every level.
            text: (N, S, C) text tokens.
            text_padding: (N, S) bool, True = padding; None = all tokens are real.
            basis: :meth:`basis` of these shapes, which all blocks of an encoder share; None = made here.

        Returns:
            (N, P, C), and the attention a of :meth:`attend`.
        """
        basis = self.basis(shapes, vision.device) if basis is None else basis
        attended = self.attend(vision, vision_pos, shapes, text, text_padding)
        related = self.relations(attended, shapes, text, text_padding, basis)
        return vision + self.out(related).to(vision.dtype), attended

    def basis(self, shapes: LevelShapes, device: torch.device | str = 'cpu') -> Tensor:
        """:func:`relation_basis` of the block's level, the sources first: (h * w, h * w * :data:`NUM_BASES`) float32.

        Raises:
            ConfigError: the image has no such level.
        """
        if self.level >= len(shapes):
            raise ConfigError(f'RelationBlock: level={self.level} of {len(shapes)} levels; count from 0, the finest')
        return relation_basis(*shapes[self.level], device).transpose(0, 1).flatten(1)

    def relations(
        self,
        attended: Tensor,
        shapes: LevelShapes,
        text: Tensor,
        text_padding: Tensor | None,
        basis: Tensor,
    ) -> Tensor:
        """R of every token and head, (N, P, H), from the attention of :meth:`attend`; else as :meth:`forward`."""
        height, width = shapes[self.level]
        kernels = self.kernels(text, text_padding)
        attended = attended.to(kernels.dtype)
        spread = torch.matmul(attended, basis.to(attended.dtype)).unflatten(-1, (height * width, NUM_BASES))
        related = torch.einsum('nhim,nhm->nhi', spread, kernels)
        grid = related.unflatten(-1, (height, width))
        levels = [
            grid if level == self.level else F.interpolate(grid, shape, mode='bilinear', align_corners=False)
            for level, shape in enumerate(shapes)
        ]
        return torch.cat([level.flatten(2) for level in levels], dim=2).transpose(1, 2)

    def attend(
        self, vision: Tensor, vision_pos: Tensor, shapes: LevelShapes, text: Tensor, text_padding: Tensor | None = None
    ) -> Tensor:
        """a of every head over the cells of the level, (N, H, h * w) float32; each row sums to 1."""
        start = sum(height * width for height, width in shapes[: self.level])
        cells = slice(start, start + shapes[self.level][0] * shapes[self.level][1])
        placed = self.image_norm(vision[:, cells]) + vision_pos[:, cells]
        query = self.query(placed).unflatten(-1, (self.num_heads, self.head_dims))
        text = self.text_norm(text)
        key = self.key(text).unflatten(-1, (self.num_heads, self.head_dims))
        key = torch.einsum('nsh,nshd->nhd', _share(self.anchor_role(text), text_padding), key)
        scores = torch.einsum('nphd,nhd->nhp', query, key) / math.sqrt(self.head_dims)
        return scores.float().softmax(-1)  # not cast back: the gradient of phrase_loss would not fit into float16

    def kernels(self, text: Tensor, text_padding: Tensor | None = None) -> Tensor:
        """w of every head, (N, H, :data:`NUM_BASES`)."""
        text = self.text_norm(text)
        mixed = self.kernel(text).unflatten(-1, (self.num_heads, NUM_BASES))
        return torch.einsum('nsh,nshm->nhm', _share(self.relation_role(text), text_padding), mixed)


def _share(role: Tensor, text_padding: Tensor | None) -> Tensor:
    """Softmax of (N, S, H) over the real tokens of a text."""
    if text_padding is not None:
        role = role.masked_fill(text_padding[..., None], float('-inf'))
    return role.float().softmax(1).to(role.dtype)
