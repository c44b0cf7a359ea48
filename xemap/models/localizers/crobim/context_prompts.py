"""Context-aware prompt modulation: prompts for the text encoder, made from the image (CAPM, eqs. 1 and 2)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xemap.errors import ConfigError

POOLS = ('adaptive_avg', 'avg', 'max')
CONTEXTS = ('tokens', 'channels')


class ContextPrompts(nn.Module):
    """Learnable prompts attend to pooled image features of several scales.

    Eq. 1: ``V_e = Concat_i(Pool(V_i))``; eq. 2: ``P_v = softmax((P W_q) (V_e W_k)^T / sqrt(D_l)) V_e W_v``.

    ``context='tokens'`` takes the concatenation along tokens, as the printed shape ``4 s^2 x C_total`` says: each
    pooled cell of each scale is a key, projected by weights of its scale. ``'channels'`` is the printed word,
    channel concatenation. With ``grid=1`` that leaves a single key: all prompts become the same vector, and
    neither they nor the query and key weights get a gradient.

    Args:
        in_channels: channels of each scale of the image encoder.
        width: width D_l of the text encoder.
        num_prompts: prompts N_p per image.
        scales: which scales are keys, from 0.
        pool: ``'adaptive_avg'`` or ``'max'``: to ``grid`` x ``grid`` cells; ``'avg'``: windows as large as the
            coarsest scale, so that finer scales keep more cells.
        grid: cells s per side, for the pools that take it.
        context: see above.
        scale: divide the scores by ``sqrt(D_l)``, which the print leaves out.

    Raises:
        ConfigError: an unknown choice, a ``grid`` with a pool that takes none, or channels of cells that differ in
            number.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        width: int,
        num_prompts: int = 4,
        scales: Sequence[int] = (0, 1, 2, 3),
        pool: str = 'adaptive_avg',
        grid: int = 1,
        context: str = 'tokens',
        scale: bool = True,
    ) -> None:
        super().__init__()
        if pool not in POOLS:
            raise ConfigError(f'ContextPrompts: pool "{pool}" is unknown; use one of {", ".join(POOLS)}')
        if context not in CONTEXTS:
            raise ConfigError(f'ContextPrompts: context "{context}" is unknown; use one of {", ".join(CONTEXTS)}')
        if context == 'channels' and pool == 'avg':
            raise ConfigError('ContextPrompts: with pool "avg" scales differ in cells; use context "tokens"')
        if pool == 'avg' and grid != 1:
            raise ConfigError(
                f'ContextPrompts: grid={grid} has no effect with pool "avg", whose windows have the size of the '
                'coarsest scale; leave grid out, or use pool "adaptive_avg"'
            )
        if num_prompts < 1 or grid < 1:
            raise ConfigError(f'ContextPrompts: num_prompts={num_prompts}, grid={grid}; give at least 1 of each')
        self.scales = check_stages('ContextPrompts: scales', scales, len(in_channels))
        self.num_prompts, self.pool, self.grid, self.context = num_prompts, pool, grid, context
        self.factor = 1 / math.sqrt(width) if scale else 1.0
        self.prompts = nn.Parameter(torch.empty(num_prompts, width))
        nn.init.normal_(self.prompts, std=0.02)
        channels = [in_channels[scale] for scale in self.scales]
        if context == 'channels':
            channels = [sum(channels)]
        self.query = nn.Linear(width, width, bias=False)
        self.keys = nn.ModuleList([nn.Linear(c, width, bias=False) for c in channels])
        self.values = nn.ModuleList([nn.Linear(c, width, bias=False) for c in channels])

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Prompts of B images.

        Args:
            levels: (B, C_i, H_i, W_i) of every scale of the image encoder.

        Returns:
            (B, num_prompts, width).
        """
        window = levels[-1].shape[-2:]
        cells = [self.pool_level(levels[scale], window).flatten(2).transpose(1, 2) for scale in self.scales]
        if self.context == 'channels':
            cells = [torch.cat(cells, -1)]
        keys = torch.cat([project(cell) for project, cell in zip(self.keys, cells)], 1)  # (B, cells, D_l)
        values = torch.cat([project(cell) for project, cell in zip(self.values, cells)], 1)
        scores = torch.einsum('pd,bkd->bpk', self.query(self.prompts), keys) * self.factor
        return scores.float().softmax(-1).to(values.dtype) @ values

    def pool_level(self, level: Tensor, window: Sequence[int]) -> Tensor:
        """Cells of a (B, C, H, W) scale: one for each ``window`` (height, width) of it, or ``grid`` of them."""
        if self.pool == 'avg':
            return F.avg_pool2d(level, tuple(window))
        pool = F.adaptive_avg_pool2d if self.pool == 'adaptive_avg' else F.adaptive_max_pool2d
        return pool(level, self.grid)


def check_stages(name: str, stages: Sequence[int], number: int) -> tuple[int, ...]:
    """Different stages in rising order.

    Raises:
        ConfigError: there is none, or one that is not in ``range(number)``.
    """
    chosen = tuple(sorted(set(stages)))
    if not chosen or len(chosen) != len(stages) or chosen[0] < 0 or chosen[-1] >= number:
        raise ConfigError(f'{name}={tuple(stages)}; give different stages from 0 to {number - 1}')
    return chosen
