"""The (image, query) pairs of a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Pairs:
    """Which image and which text belong together, N times.

    Args:
        image_idx: (N,) image of each pair.
        text_idx: (N,) text of each pair, in a list of distinct texts.
        counts: pairs of each of the B images.
    """

    image_idx: Tensor
    text_idx: Tensor
    counts: list[int]

    def split(self, max_pairs: int | None) -> Iterator[Pairs]:
        """At most so many pairs at a time, in their order; None = all at once."""
        size = max_pairs or len(self.image_idx)
        for images, texts in zip(self.image_idx.split(size), self.text_idx.split(size)):
            yield Pairs(images, texts, images.bincount(minlength=len(self.counts)).tolist())


def index_pairs(texts: Sequence[Sequence[str]], device: torch.device) -> tuple[Pairs, list[str]]:
    """The pairs of images with their queries, and the distinct texts.

    Args:
        texts: the queries of each of B images.
        device: device of the indices.
    """
    flat = [text for queries in texts for text in queries]
    distinct = {text: index for index, text in enumerate(dict.fromkeys(flat))}
    image_idx = torch.tensor([image for image, queries in enumerate(texts) for _ in queries], device=device)
    text_idx = torch.tensor([distinct[text] for text in flat], device=device)
    return Pairs(image_idx, text_idx, [len(queries) for queries in texts]), list(distinct)
