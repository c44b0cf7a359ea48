"""The (image, query) pairs of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from xemap.structures import XeMapDataSample


def index_pairs(data_samples: Sequence[XeMapDataSample], device: torch.device) -> tuple[Tensor, Tensor, list[str]]:
    """The (image, query) pairs of a batch: (N,) image of each, (N,) text of each, and the distinct texts."""
    flat = [(image, text) for image, sample in enumerate(data_samples) for text in sample.texts]
    distinct = {text: index for index, text in enumerate(dict.fromkeys(text for _, text in flat))}
    image_idx = torch.tensor([image for image, _ in flat], device=device)
    return image_idx, torch.tensor([distinct[text] for _, text in flat], device=device), list(distinct)
