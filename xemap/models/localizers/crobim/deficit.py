"""Attention deficit compensation (the second half of LGFA, eqs. 8 to 13)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xemap.errors import ConfigError
from xemap.models.localizers.crobim.context_prompts import check_stages

WRITE_BACKS = ('add', 'replace')


def deficit_map(scores: Sequence[Tensor], sizes: Sequence[tuple[int, int]], padding: Tensor | None) -> Tensor:
    """Where the attention of neighboring stages disagrees (eqs. 8 and 9).

    ``s_i`` is the mean score over the words that are no padding, averaged over the cells of the coarsest stage and
    stretched to [0, 1] per map: after a softmax that mean would be constant. ``M = sum_i |s_i - s_(i+1)|``.

    Args:
        scores: scores of every stage (N, H_i * W_i, S) before the softmax.
        sizes: (H_i, W_i) of every stage.
        padding: (N, S) bool, True = padding; None = all columns count.

    Returns:
        (N, H_4, W_4) float32, without gradient.
    """
    maps = []
    with torch.no_grad():
        for score, size in zip(scores, sizes):
            score = score.float()
            if padding is None:
                mean = score.mean(-1)
            else:
                keep = (~padding).float()[:, None]  # (N, 1, S)
                mean = (score * keep).sum(-1) / keep.sum(-1)
            window = (size[0] // sizes[-1][0], size[1] // sizes[-1][1])
            coarse = F.avg_pool2d(mean.view(-1, 1, *size), window)[:, 0]
            low, high = coarse.amin((1, 2), keepdim=True), coarse.amax((1, 2), keepdim=True)
            maps.append((coarse - low) / (high - low).clamp(min=1e-6))
        return torch.stack([(a - b).abs() for a, b in zip(maps, maps[1:])]).sum(0)


class DeficitCompensation(nn.Module):
    """Self-attention across stages within the regions where their attention disagrees most.

    A region is a cell of the coarsest stage, and in every other stage the patch that lies under it. The patches of
    a region are projected to one width, brought to one size and concatenated along channels (eq. 11); its positions
    attend to each other, ``V + MSA(LN(V))`` (eq. 12); the result is split, brought back to the patches' sizes and
    written back (eq. 13).

    Args:
        in_channels: channels of each stage; their strides double from stage to stage.
        stages: which stages take part; the map of eq. 9 always comes from all.
        top_ratio: K as a share of the coarsest stage's cells, in [0, 1]; at least one cell, but none for 0, and then
            the parameters, which nothing uses, take no gradient.
        width: channels of a patch of one stage in the attention.
        num_heads: attention heads.
        patch: side of the common size, in positions.
        write_back: ``'add'`` to the features, starting with zero, or ``'replace'`` them.

    Raises:
        ConfigError: an unknown choice, a value out of range, or a width that does not go with the heads.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        stages: Sequence[int] = (0, 1, 2, 3),
        top_ratio: float = 0.25,
        width: int = 64,
        num_heads: int = 8,
        patch: int = 8,
        write_back: str = 'add',
    ) -> None:
        super().__init__()
        if write_back not in WRITE_BACKS:
            raise ConfigError(
                f'DeficitCompensation: write_back "{write_back}" is unknown; use one of {", ".join(WRITE_BACKS)}'
            )
        if not 0 <= top_ratio <= 1:
            raise ConfigError(f'DeficitCompensation: top_ratio={top_ratio}; give a share of the regions in [0, 1]')
        self.stages = check_stages('DeficitCompensation: stages', stages, len(in_channels))
        self.top_ratio, self.patch, self.write_back = top_ratio, patch, write_back
        total = width * len(self.stages)
        if min(width, num_heads, patch) < 1 or total % num_heads:
            raise ConfigError(
                f'DeficitCompensation: width={width}, num_heads={num_heads}, patch={patch}; give at least 1 of each, '
                f'and a width whose {len(self.stages)}-fold (one per stage, {total}) is a multiple of the heads'
            )
        self.proj_in = nn.ModuleList([nn.Linear(in_channels[stage], width) for stage in self.stages])
        self.norm = nn.LayerNorm(total)
        self.attention = nn.MultiheadAttention(total, num_heads, batch_first=True)
        self.proj_out = nn.ModuleList([nn.Linear(total, in_channels[stage]) for stage in self.stages])
        if write_back == 'add':
            for parameter in self.proj_out.parameters():
                nn.init.zeros_(parameter)
        if not top_ratio:
            self.requires_grad_(False)

    def top_regions(self, deficit: Tensor) -> Tensor:
        """Indices of the K cells of largest deficit (eq. 10), ties by index.

        Args:
            deficit: (N, H_4, W_4).

        Returns:
            (N, K) int64, row by row.
        """
        count = max(round(self.top_ratio * math.prod(_size(deficit))), self.top_ratio > 0)
        cells = deficit.flatten(1)
        if torch.onnx.is_in_onnx_export():  # ONNX has no stable sort; its TopK takes the lower index of a tie first
            return cells.topk(count, dim=1).indices
        return cells.sort(dim=1, descending=True, stable=True).indices[:, :count]

    def forward(self, levels: Sequence[Tensor], scores: Sequence[Tensor], padding: Tensor | None) -> list[Tensor]:
        """Compensate the features of N pairs.

        Args:
            levels: (N, C_i, H_i, W_i) of every stage.
            scores: see :func:`deficit_map`.
            padding: see :func:`deficit_map`.

        Returns:
            the levels, changed in the chosen regions and stages only.
        """
        sizes = [_size(level) for level in levels]
        regions = self.top_regions(deficit_map(scores, sizes, padding))
        levels = list(levels)
        if not regions.shape[1]:
            return levels
        cells = sizes[-1][0] * sizes[-1][1]
        rows = (regions + torch.arange(regions.shape[0], device=regions.device)[:, None] * cells).flatten()  # (N * K,)
        split = {stage: _to_patches(levels[stage], sizes[-1]) for stage in self.stages}

        parts = []
        for stage, project in zip(self.stages, self.proj_in):
            # A projection of each position commutes with the interpolation between them.
            patch = project(split[stage][rows]).permute(0, 3, 1, 2)
            parts.append(F.interpolate(patch, (self.patch, self.patch), mode='bilinear', align_corners=False))
        tokens = torch.cat(parts, 1).flatten(2).transpose(1, 2)  # (N * K, patch * patch, total)
        normed = self.norm(tokens)
        tokens = tokens + self.attention(normed, normed, normed, need_weights=False)[0]

        grid = tokens.transpose(1, 2).unflatten(-1, (self.patch, self.patch))
        for stage, project in zip(self.stages, self.proj_out):
            patches = split[stage]
            side = (int(patches.shape[1]), int(patches.shape[2]))
            update = project(F.adaptive_avg_pool2d(grid, side).permute(0, 2, 3, 1)).to(patches.dtype)
            write = patches.index_add if self.write_back == 'add' else patches.index_copy
            levels[stage] = _from_patches(write(0, rows, update), sizes[-1])
        return levels


def _size(maps: Tensor) -> tuple[int, int]:
    """Height and width as numbers, while a graph is recorded too: an exported network has one size of input."""
    return int(maps.shape[-2]), int(maps.shape[-1])


def _to_patches(level: Tensor, grid: tuple[int, int]) -> Tensor:
    """(N, C, H, W) to (N * cells, p, q, C), the patches under the cells of a grid, row by row."""
    n, channels = level.shape[:2]
    height, width = _size(level)
    p, q = height // grid[0], width // grid[1]
    return level.view(n, channels, grid[0], p, grid[1], q).permute(0, 2, 4, 3, 5, 1).reshape(-1, p, q, channels)


def _from_patches(patches: Tensor, grid: tuple[int, int]) -> Tensor:
    """The inverse of :func:`_to_patches`."""
    _, p, q, channels = patches.shape
    view = patches.view(-1, *grid, p, q, channels).permute(0, 5, 1, 3, 2, 4)
    return view.reshape(-1, channels, grid[0] * p, grid[1] * q)
