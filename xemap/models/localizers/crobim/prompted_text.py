"""BERT that reads a text alone, or a text with prompts behind it."""

from __future__ import annotations

import torch
from torch import Tensor

from xemap.errors import ConfigError
from xemap.models.text_encoders.huggingface import HuggingFaceTextEncoder, usable_positions
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
        self.truncation, self.padding = truncation, 'max_length'

    def encoder_inputs(self, texts: list[str]) -> dict[str, Tensor]:
        tokens = super().encoder_inputs(texts)
        if self.truncation == 'keep_end':
            return tokens
        length = self.max_tokens
        rows = [row[:length] for row in self.tokenizer(texts, verbose=False)['input_ids']]
        cut = self.tokenizer.pad({'input_ids': rows}, padding='max_length', max_length=length, return_tensors='pt')
        return {key: value.to(tokens['input_ids'].device) for key, value in cut.items()}

    def tokenize(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Tokens of T texts.

        Returns:
            ids (T, max_tokens) int64, and their padding (T, max_tokens) bool, True = padding.

        Raises:
            DataError: an empty text.
        """
        tokens = self.encoder_inputs(texts)
        return tokens['input_ids'], tokens['attention_mask'] == 0

    def check_positions(self, num_prompts: int) -> None:
        """There are positions for the prompts behind a text.

        Raises:
            ConfigError: there are not.
        """
        limit = usable_positions(self.model, self.tokenizer)
        if self.max_tokens + num_prompts > limit:
            raise ConfigError(
                f'text encoder "{self.name}" has {limit} positions, fewer than max_tokens={self.max_tokens} and '
                f'num_prompts={num_prompts} need; lower language_model.max_tokens or prompts.num_prompts'
            )

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
