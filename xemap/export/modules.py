"""XeMap-Network with tensors only at its borders, as exporters need it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from xemap.errors import ConfigError
from xemap.models.heads import FusedTokens, HMSAHead
from xemap.models.localizers import XeMapNetwork
from xemap.models.text_encoders import HuggingFaceTextEncoder


class WholeNetwork(nn.Module):
    """Maps of one image for any number of tokenized queries.

    Args:
        network: an :class:`~xemap.models.localizers.XeMapNetwork` with a text encoder from transformers.

    Raises:
        ConfigError: another kind of model.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        _check(network)
        self.network = network
        self.eval()

    def forward(self, image: Tensor, token_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Run on a batch of queries.

        Args:
            image: (1, 3, H, W) float32, normalised.
            token_ids: (Q, S) int64, see :func:`tokenize`.
            attention_mask: (Q, S) int64, 1 = token, 0 = padding.

        Returns:
            (Q, H, W) float32 in [0, 1].
        """
        network = self.network
        vision, vision_pos, shapes = network.encode_images(image)
        vision = vision.expand(token_ids.shape[0], -1, -1)
        encoder = network.language_model.model
        hidden = encoder(input_ids=token_ids, attention_mask=attention_mask).last_hidden_state
        padding = attention_mask == 0
        fused, text = network.encoder(vision, vision_pos, shapes, network.text_feat_map(hidden), padding)
        size = (image.shape[-2], image.shape[-1])
        return network.head(FusedTokens(fused, shapes, text, padding, size, (token_ids.shape[0],)))


class ImageSide(nn.Module):
    """The part that runs once an image, whatever is asked of it.

    Args:
        network: as for :class:`WholeNetwork`.

    Raises:
        ConfigError: another kind of model.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        _check(network)
        self.network = network
        self.eval()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Encode an image.

        Args:
            image: (1, 3, H, W) float32, normalised.

        Returns:
            tokens of all levels one after another (1, P, C), and their position and level embedding (1, P, C).
        """
        tokens, positions, _ = self.network.encode_images(image)
        return tokens, positions


def tokenize(network: Any, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask of texts, each (Q, S) int64 with S tokens in the longest text."""
    encoder = network.language_model
    tokens = encoder.tokenizer(
        list(texts), padding=True, truncation=True, max_length=encoder.max_tokens, return_tensors='pt'
    )
    return tokens['input_ids'], tokens['attention_mask']


def _check(network: Any) -> None:
    if not (
        isinstance(network, XeMapNetwork)
        and isinstance(network.head, HMSAHead)
        and isinstance(network.language_model, HuggingFaceTextEncoder)
    ):
        raise ConfigError(
            f'{type(network).__name__} cannot be exported; only XeMapNetwork with an HMSAHead and a '
            'HuggingFaceTextEncoder can, since others run code between their networks'
        )
