"""MLCM composed from MMDetection's parts as they are, each query by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmcv.cnn.bricks.transformer import MultiheadAttention
from torch import Tensor, nn

from xemap.models.localizers import MLCM
from xemap.models.localizers.mlcm.decoder import CrossModalDecoder, Memory
from xemap.models.localizers.mlcm.features import MLCMFeatures, letterbox_padding
from xemap.structures import XeMapDataSample


class NaiveDecoder(CrossModalDecoder):
    """MMDetection's decoder over the whole memory of each pair."""

    def image_side(self, query: Tensor, query_pos: Tensor, memory: Memory | None) -> Any:
        return query, query_pos, memory

    def text_side(self, image: Any, image_idx: Tensor, memory: Memory | None) -> Tensor:
        query, query_pos, of_image = image
        given = [side for side in (of_image, memory) if side is not None]
        paddings = [
            tokens.new_zeros(tokens.shape[:2], dtype=torch.bool) if padding is None else padding
            for tokens, _, padding in given
        ]
        tokens, pos = (torch.cat([side[i] for side in given], 1) for i in (0, 1))
        return self(
            query, key=tokens, value=tokens, query_pos=query_pos, key_pos=pos, key_padding_mask=torch.cat(paddings, 1)
        )[-1]


class NaiveMLCM(MLCM):
    """An image is encoded, and everything after it run, for each of its queries, as a detector does; a text for each
    pair. Attention gives its weights, as mmcv calls it.
    """

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        if self.decoder is not None:
            self.decoder.__class__ = NaiveDecoder
        for attention in self.modules():
            if isinstance(attention, MultiheadAttention):
                attention.attn.__class__ = nn.MultiheadAttention

    def extract(
        self, inputs: Tensor, data_samples: Sequence[XeMapDataSample], max_pairs: int | None = None
    ) -> Iterator[MLCMFeatures]:
        """As :meth:`xemap.models.localizers.MLCM.extract`, all pairs at once."""
        assert self.language_model is not None
        image_idx = torch.tensor([i for i, sample in enumerate(data_samples) for _ in sample.texts])
        texts = self.encode_states(*self.language_model([text for sample in data_samples for text in sample.texts]))
        padding = letterbox_padding(inputs, data_samples)
        images = self.encode_images(inputs[image_idx], None if padding is None else padding[image_idx])
        each = torch.arange(len(image_idx), device=inputs.device)
        yield self.ground(images, texts, each, each)
