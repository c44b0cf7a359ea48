"""CroBIM composed naively, each query by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from xemap.models.fusion.deformable import DeformableAttention
from xemap.models.heads import FusedTokens
from xemap.models.localizers import CroBIM


class NaiveCroBIM(CroBIM):
    """An image is encoded and makes its prompts for each of its queries, and a text is read anew for each pair;
    deformable attention samples level by level with ``grid_sample``.
    """

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        for part in self.modules():
            if isinstance(part, DeformableAttention):
                part.sampling = 'grid_sample'

    def fuse(
        self, inputs: Tensor, texts: Sequence[Sequence[str]], max_pairs: int | None = None
    ) -> Iterator[FusedTokens]:
        """As :meth:`xemap.models.localizers.CroBIM.fuse`, all pairs at once."""
        image_idx = torch.tensor([i for i, queries in enumerate(texts) for _ in queries], device=inputs.device)
        images = self.encode_images(inputs[image_idx])
        tokens = self.language_model.tokenize([text for queries in texts for text in queries])
        each = torch.arange(len(image_idx), device=inputs.device)
        vision, shapes, text, padding = self.interact(images, self.encode_texts(*tokens), each, each)
        size = (inputs.shape[-2], inputs.shape[-1])
        yield FusedTokens(vision, shapes, text, padding, size, [len(queries) for queries in texts])
