"""Words and sentence: the text states that MLCM reads."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xemap.errors import ConfigError
from xemap.models.text_encoders import HuggingFaceTextEncoder
from xemap.registry import MODELS


@MODELS.register_module()
class WordSentenceEncoder(HuggingFaceTextEncoder):
    """Word states, the mean of the last layers, and the pooled sentence state of a BERT-like encoder.

    Args:
        layers: the last so many hidden states are averaged to word states (F_t^w).
        sentence: keep the pooler, tanh(W h_[CLS] + b) of the last layer (F_t^s). Without it, its parameters are left
            out: unused ones have no gradient.
        max_tokens: longer texts are cut to this many tokens, [CLS] and [SEP] among them.
        pad: always pad to ``max_tokens``, instead of to the longest text.
        kwargs: as :class:`~xemap.models.text_encoders.HuggingFaceTextEncoder`.

    Raises:
        ConfigError: the encoder has fewer layers, or no pooler for the sentence.
    """

    def __init__(
        self, layers: int = 4, sentence: bool = True, max_tokens: int = 40, pad: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(max_tokens=max_tokens, keep_pooler=sentence, **kwargs)
        depth = self.model.config.num_hidden_layers
        if not 1 <= layers <= depth:
            raise ConfigError(f'WordSentenceEncoder: layers={layers}; the encoder has {depth}')
        if sentence and getattr(self.model, 'pooler', None) is None:
            raise ConfigError(
                f'WordSentenceEncoder: {type(self.model).__name__} has no pooler for the sentence; use a BERT, or '
                'leave "sentence" out of model.memory'
            )
        self.layers, self.sentence = layers, sentence
        self.padding = 'max_length' if pad else True

    def forward(self, texts: list[str]) -> tuple[Tensor, Tensor, Tensor | None]:  # type: ignore[override]
        """Encode texts; the result of one does not depend on the others, except at padding.

        Args:
            texts: N sentences, none empty.

        Returns:
            words (N, S, width), padding (N, S) bool (True = padding), sentence (N, width) or None.

        Raises:
            DataError: an empty text.
        """
        return super().forward(texts)  # type: ignore[return-value]

    def _encode(self, texts: list[str]) -> tuple[Tensor, Tensor, Tensor | None]:  # type: ignore[override]
        return self.encode(**self.encoder_inputs(texts))

    def encode(self, **tokens: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """As :meth:`forward`, of tokens."""
        output = self.model(**tokens, output_hidden_states=True)
        words = torch.stack(output.hidden_states[-self.layers :]).mean(0)
        return words, tokens['attention_mask'] == 0, output.pooler_output if self.sentence else None
