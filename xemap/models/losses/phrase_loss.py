"""The loss by which relation blocks learn what the phrases of a sentence name."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from xemap.errors import ConfigError

EPS = 1e-4


def phrase_loss(attended: Tensor, shape: tuple[int, int], phrases: Tensor) -> Tensor:
    """How little of a relation block's attention lies on what the phrases of its query name.

    Head k of the block belongs to phrase k: with ``a_kj`` its attention on the cells j and ``m_kj`` the share of a cell
    that the phrase's objects cover, divided by the largest one, it is ``-log(sum_j a_kj m_kj + 1e-4)``. Further heads
    are free.

    Args:
        attended: a, (N, H, h * w), see :meth:`~xemap.models.fusion.relation.RelationBlock.attend`.
        shape: (h, w) of the cells.
        phrases: (N, K, H', W') in [0, 1], see :class:`~xemap.datasets.transforms.GeneratePhrases`; 0 everywhere where
            a query has no such phrase, or it is not known.

    Returns:
        (N,) the mean over the phrases that a query has, 0 where it has none.

    Raises:
        ConfigError: the block has fewer heads than there are phrases.
    """
    count = phrases.shape[1]
    if attended.shape[1] < count:
        raise ConfigError(
            f'phrase_weight needs {count} heads in each relation block and finds {attended.shape[1]}; set '
            f'encoder.relation_cfg.num_heads to at least {count}'
        )
    cells = F.adaptive_avg_pool2d(phrases.float(), shape).flatten(2)
    most = cells.amax(-1, keepdim=True)
    hit = (attended[:, :count].float() * (cells / most.clamp(min=torch.finfo(cells.dtype).tiny))).sum(-1)
    given = most[..., 0] > 0
    return (-torch.log(hit + EPS) * given).sum(1) / given.sum(1).clamp(min=1)
