"""CAMP: regions and words pass each other messages, and a network scores what they become (ICCV 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.checkpoint import checkpoint

from xemap.models.retrieval.regions import RegionWordModel
from xemap.registry import MODELS

CHUNK = 1 << 26
"""Most numbers in an array over (image, text, region or word, channel); memory follows it."""


class MessagePassing(nn.Module):
    """How well images as regions and texts as words match.

    With the affinity A = (W_v V)(W_t T)^T / sqrt(D) of an image and a text, a region's message is the mean of the
    words weighted by the softmax of its row of A, a word's message that of the regions by its column. Each is let in
    as far as it agrees: v + relu(F_v(sigmoid(v * m) * (v + m))), and so for words. Regions, and words, are then
    averaged with learned weights, softmax(w . v / sqrt(D)), and two linear layers score the sum of the two.

    Args:
        width: D of regions and words.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project_regions, self.project_words = (nn.Linear(width, width, bias=False) for _ in range(2))
        self.fuse_regions, self.fuse_words = (nn.Linear(width, width) for _ in range(2))
        self.weigh_regions, self.weigh_words = (nn.Linear(width, 1) for _ in range(2))
        self.score = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, regions: Tensor, words: Sequence[Tensor]) -> Tensor:
        """Logits of matching.

        Args:
            regions: (n, R, D).
            words: t tensors (L_i, D).

        Returns:
            (n, t).
        """
        lengths = torch.tensor([len(text) for text in words], device=regions.device)
        padded = pad_sequence(list(words), batch_first=True)
        pairs = max(1, CHUNK // ((regions.shape[1] + padded.shape[1]) * regions.shape[2]))
        columns = min(len(padded), pairs)
        rows = max(1, pairs // columns)
        return torch.cat([
            torch.cat([self._run(images, *texts) for texts in zip(padded.split(columns), lengths.split(columns))], 1)
            for images in regions.split(rows)
        ])  # fmt: skip

    def _run(self, regions: Tensor, words: Tensor, lengths: Tensor) -> Tensor:
        if torch.is_grad_enabled():  # computed again in the backward pass: every pair has activations of its own
            return checkpoint(self._match, regions, words, lengths, use_reentrant=False)
        return self._match(regions, words, lengths)

    def _match(self, regions: Tensor, words: Tensor, lengths: Tensor) -> Tensor:
        scale = regions.shape[-1] ** -0.5
        padding = torch.arange(words.shape[1], device=words.device) >= lengths[:, None]  # (t, L)
        affinity = torch.einsum('nrd,tld->ntrl', self.project_regions(regions), self.project_words(words)) * scale
        to_regions = affinity.masked_fill(padding[None, :, None], float('-inf')).softmax(-1)
        messages = torch.einsum('ntrl,tld->ntrd', to_regions, words)
        seen = torch.einsum('ntrl,nrd->ntld', affinity.softmax(-2), regions)
        image = _fuse(regions[:, None], messages, self.fuse_regions)  # (n, t, R, D)
        text = _fuse(words[None], seen, self.fuse_words)  # (n, t, L, D)
        weights = self.weigh_words(text)[..., 0].mul(scale).masked_fill(padding[None], float('-inf')).softmax(-1)
        pooled = torch.einsum('ntl,ntld->ntd', weights, text)
        weights = self.weigh_regions(image)[..., 0].mul(scale).softmax(-1)
        return self.score(pooled + torch.einsum('ntr,ntrd->ntd', weights, image))[..., 0]


def _fuse(states: Tensor, message: Tensor, transform: nn.Module) -> Tensor:
    return states + transform((states * message).sigmoid() * (states + message)).relu()


@MODELS.register_module()
class CAMP(RegionWordModel):
    """Regions and words compared by :class:`MessagePassing`, in training, in the metric and under SeLo.

    Args:
        embed_dim: width of the common space.
        loss: loss of logits; default :class:`~xemap.models.retrieval.losses.HardestBCELoss`.
        kwargs: see :class:`~xemap.models.retrieval.regions.RegionWordModel`.
    """

    def __init__(self, embed_dim: int = 1024, loss: dict | None = None, **kwargs) -> None:
        super().__init__(embed_dim=embed_dim, loss=loss or dict(type='HardestBCELoss'), **kwargs)
        self.matching = MessagePassing(embed_dim)

    def similarity(self, images: Tensor, texts: Sequence[Tensor]) -> Tensor:
        """Probabilities of matching, (n, t)."""
        return self.matching(images, texts).sigmoid()

    def pair_loss(self, images: Tensor, texts: Sequence[Tensor], matching: Tensor) -> dict[str, Tensor]:
        return {'loss': self.criterion(self.matching(images, texts), matching)}
