"""BERT that reads a text alone, or a text with prompts behind it."""

from __future__ import annotations

import torch
from torch import Tensor

from xemap.errors import ConfigError, DataError
from xemap.models.text_encoders import HuggingFaceTextEncoder
from xemap.registry import MODELS

TRUNCATIONS = ('keep_end', 'hard')


@MODELS.register_module()
class PromptedTextEncoder(HuggingFaceTextEncoder):
    """A BERT-like encoder of texts of a fixed length, which prompts may follow.

    Args:
        name: see :class:`~xemap.models.text_encoders.HuggingFaceTextEncoder`.
        max_tokens: every text is cut or padded to this many tokens.
        pretrained: see :class:`~xemap.models.text_encoders.HuggingFaceTextEncoder`.
        truncation: ``'keep_end'``: a text that is cut keeps its last special token ([SEP]); ``'hard'``: it loses it.

    Raises:
        ConfigError: an unknown choice, or an encoder that knows no token types, as BERT does.
    """

    def __init__(
        self,
        name: str = 'bert-base-uncased',
        max_tokens: int = 20,
        pretrained: bool = True,
        truncation: str = 'keep_end',
    ) -> None:
        super().__init__(name, max_tokens, pretrained)
        if truncation not in TRUNCATIONS:
            raise ConfigError(
                f'PromptedTextEncoder: truncation "{truncation}" is unknown; use one of {", ".join(TRUNCATIONS)}'
            )
        if self.model.config.model_type != 'bert':
            raise ConfigError(
                f'text encoder "{name}" is of type {self.model.config.model_type}; prompts need a BERT, which takes '
                'positions as they are given'
            )
        self.truncation = truncation

    def tokenize(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Tokens of T texts.

        Returns:
            ids (T, max_tokens) int64, and their padding (T, max_tokens) bool, True = padding.

        Raises:
            DataError: an empty text.
        """
        for text in texts:
            if not text.strip():
                raise DataError(f'query {text!r} is empty; remove it or give it words')
        length = self.max_tokens
        if self.truncation == 'hard':
            rows = [row[:length] for row in self.tokenizer(texts, verbose=False)['input_ids']]
            cut = {'input_ids': rows}
            tokens = self.tokenizer.pad(cut, padding='max_length', max_length=length, return_tensors='pt')
        else:
            tokens = self.tokenizer(
                texts, padding='max_length', truncation=True, max_length=length, return_tensors='pt', verbose=False
            )
        self._warn_of_cut(texts, tokens['attention_mask'])
        device = next(self.model.parameters()).device
        return tokens['input_ids'].to(device), ~tokens['attention_mask'].bool().to(device)

    def encode(self, ids: Tensor, padding: Tensor, prompts: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Hidden states of the last layer.

        Prompts stand among the word embeddings, behind the text; their positions follow the fixed length, so that
        the result does not depend on other texts.

        Args:
            ids: (N, max_tokens).
            padding: (N, max_tokens) bool, True = padding.
            prompts: (N, N_p, width), or None.

        Returns:
            (N, max_tokens + N_p, width), and the padding of the same length: prompts are none.
        """
        embedded = self.model.get_input_embeddings()(ids)
        if prompts is not None:
            embedded = torch.cat([embedded, prompts.to(embedded.dtype)], 1)
            padding = torch.cat([padding, padding.new_zeros(prompts.shape[:2])], 1)
        positions = torch.arange(embedded.shape[1], device=ids.device)[None]
        output = self.model(inputs_embeds=embedded, attention_mask=(~padding).long(), position_ids=positions)
        return output.last_hidden_state, padding
