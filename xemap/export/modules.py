"""Networks with tensors only at their borders, as exporters need them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from mmdet.models.backbones.swin import ShiftWindowMSA
from torch import Tensor, nn

from xemap.errors import ConfigError
from xemap.models.heads import FusedTokens, HMSAHead
from xemap.models.localizers import MLCM, XeMapNetwork
from xemap.models.text_encoders import HuggingFaceTextEncoder

PAIR_INPUTS = ('token_ids', 'attention_mask', 'image_idx')
"""One row per query; ``image_idx`` says which image it belongs to."""


class WholeNetwork(nn.Module):
    """Maps of several images for any number of tokenized queries.

    Args:
        network: an :class:`~xemap.models.localizers.XeMapNetwork` with a text encoder from transformers.

    Raises:
        ConfigError: another kind of model.
    """

    inputs: ClassVar[tuple[str, ...]] = ('image', *PAIR_INPUTS)
    outputs: ClassVar[tuple[str, ...]] = ('maps',)

    def __init__(self, network: Any) -> None:
        super().__init__()
        _check(network)
        self.network = network
        self.eval()

    def example(self, size: tuple[int, int], texts: Sequence[str]) -> tuple[Tensor, ...]:
        """Inputs made up for these texts."""
        image_idx = _shared_out(texts)
        return (_made_up(size, len(texts)), *tokenize(self.network, texts), image_idx)

    def forward(self, image: Tensor, token_ids: Tensor, attention_mask: Tensor, image_idx: Tensor) -> Tensor:
        """Run on a batch of queries.

        Args:
            image: (B, 3, H, W) float32, normalized.
            token_ids: (Q, S) int64, see :func:`tokenize`.
            attention_mask: (Q, S) int64, 1 = token, 0 = padding.
            image_idx: (Q,) int64, the image of each query.

        Returns:
            (Q, H, W) float32 in [0, 1].
        """
        vision, positions, shapes = self.network.encode_images(image)
        size = (image.shape[-2], image.shape[-1])
        return _maps(self.network, vision[image_idx], positions, shapes, size, token_ids, attention_mask)


class QuerySide(nn.Module):
    """Maps from the tokens of :class:`ImageSide`: the part that runs once per query.

    Args:
        network: as for :class:`WholeNetwork`.
        size: (height, width) of the images that the tokens are of.
    """

    inputs: ClassVar[tuple[str, ...]] = ('tokens', 'positions', *PAIR_INPUTS)
    outputs: ClassVar[tuple[str, ...]] = ('maps',)

    def __init__(self, network: Any, size: tuple[int, int]) -> None:
        super().__init__()
        self.images = ImageSide(network)
        self.network, self.size = network, size
        with torch.no_grad():
            self.shapes = network.encode_images(network.level_embed.new_zeros(1, 3, *size))[2]
        self.eval()

    def example(self, size: tuple[int, int], texts: Sequence[str]) -> tuple[Tensor, ...]:
        """Tokens of images made up, and these texts."""
        with torch.no_grad():
            tokens = self.images(*self.images.example(size, texts))
        return (*tokens, *tokenize(self.network, texts), _shared_out(texts))

    def forward(
        self, tokens: Tensor, positions: Tensor, token_ids: Tensor, attention_mask: Tensor, image_idx: Tensor
    ) -> Tensor:
        """Run on a batch of queries.

        Args:
            tokens: (B, P, C) of the levels, one after another.
            positions: (1, P, C) their position and level embedding.
            token_ids, attention_mask, image_idx: see :class:`WholeNetwork`.

        Returns:
            (Q, H, W) float32 in [0, 1].
        """
        chosen = tokens[image_idx]
        return _maps(self.network, chosen, positions, self.shapes, self.size, token_ids, attention_mask)


def _maps(network, vision, positions, shapes, size, token_ids: Tensor, attention_mask: Tensor) -> Tensor:
    hidden = network.language_model.model(input_ids=token_ids, attention_mask=attention_mask).last_hidden_state
    padding = attention_mask == 0
    fused, text = network.encoder(vision, positions, shapes, network.text_feat_map(hidden), padding)
    return network.head(FusedTokens(fused, shapes, text, padding, size, (token_ids.shape[0],)))


class WholeGrounding(nn.Module):
    """Boxes of one image, which may be letterboxed, for any number of tokenized queries.

    Args:
        network: an :class:`~xemap.models.localizers.MLCM` with a text encoder.

    Raises:
        ConfigError: it has none.
    """

    inputs: ClassVar[tuple[str, ...]] = ('image', 'token_ids', 'attention_mask', 'padding')
    outputs: ClassVar[tuple[str, ...]] = ('boxes', 'scores')

    def __init__(self, network: MLCM) -> None:
        super().__init__()
        if network.language_model is None:
            raise ConfigError('this MLCM has language_model=None and reads no texts; it cannot be exported')
        self.network: Any = network
        self.eval()

    def example(self, size: tuple[int, int], texts: Sequence[str]) -> tuple[Tensor, ...]:
        """Inputs made up for these texts; with more than one, the image is letterboxed."""
        padding = torch.zeros(1, *size, dtype=torch.bool)
        if len(texts) > 1:
            padding[:, : size[0] // 4] = padding[:, -(size[0] // 4) :] = True
        return (_made_up(size, len(texts))[:1], *tokenize(self.network, texts), padding)

    def forward(
        self, image: Tensor, token_ids: Tensor, attention_mask: Tensor, padding: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Run on a batch of queries.

        Args:
            image: (1, 3, H, W) float32, normalized.
            token_ids: (Q, S) int64, see :func:`tokenize`.
            attention_mask: (Q, S) int64, 1 = token, 0 = padding.
            padding: (1, H, W) bool, True = border around a letterboxed image.

        Returns:
            boxes (Q, 4) x0, y0, x1, y1 as parts of the input's width and height, which may reach beyond it, and
            scores (Q,).
        """
        network = self.network
        states = network.language_model.encode(input_ids=token_ids, attention_mask=attention_mask)
        text_idx = torch.arange(token_ids.shape[0], device=image.device)
        images = network.encode_images(image, padding)
        features = network.ground(images, network.encode_states(*states), torch.zeros_like(text_idx), text_idx)
        height, width = features.size
        boxes = network.head.corners(features.box, features.size) / image.new_tensor([width, height, width, height])
        return boxes, network.head.score_logits(features.fusion).sigmoid()


def whole_network(network: Any) -> WholeNetwork | WholeGrounding:
    """The module of a network that answers tokenized queries about an image.

    Raises:
        ConfigError: a model that cannot be exported.
    """
    return WholeGrounding(network) if isinstance(network, MLCM) else WholeNetwork(network)


class ImageSide(nn.Module):
    """The part that runs once per image, for all its queries.

    Args:
        network: as for :class:`WholeNetwork`.

    Raises:
        ConfigError: another kind of model.
    """

    inputs: ClassVar[tuple[str, ...]] = ('image',)
    outputs: ClassVar[tuple[str, ...]] = ('tokens', 'positions')

    def __init__(self, network: Any) -> None:
        super().__init__()
        _check(network)
        self.network = network
        self.eval()

    def example(self, size: tuple[int, int], texts: Sequence[str]) -> tuple[Tensor, ...]:
        """An image made up."""
        return (_made_up(size, len(texts)),)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Encode an image.

        Args:
            image: (B, 3, H, W) float32, normalized.

        Returns:
            tokens of all levels one after another (B, P, C), and their position and level embedding (1, P, C).
        """
        tokens, positions, _ = self.network.encode_images(image)
        return tokens, positions


def tokenize(network: Any, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask of texts, each (Q, S) int64, S tokens in the longest text or as the encoder pads."""
    encoder = network.language_model
    tokens = encoder.tokenizer(
        list(texts), padding=encoder.padding, truncation=True, max_length=encoder.max_tokens, return_tensors='pt'
    )
    return tokens['input_ids'], tokens['attention_mask']


def _check(network: Any) -> None:
    if not (
        isinstance(network, XeMapNetwork)
        and isinstance(network.head, HMSAHead)
        and isinstance(network.language_model, HuggingFaceTextEncoder)
    ):
        raise ConfigError(
            f'{type(network).__name__} cannot be exported; only MLCM, and XeMapNetwork with an HMSAHead and a '
            'HuggingFaceTextEncoder can, since others run code between their networks'
        )


def _number_of_images(texts: Sequence[str]) -> int:
    """Two or three for several texts, so that tracers see a batch; one for a single text."""
    return min(len(texts), 3)


def _shared_out(texts: Sequence[str]) -> Tensor:
    """(Q,) images of the texts of an example, the last image first."""
    return torch.arange(len(texts)).flip(0) % _number_of_images(texts)


def _made_up(size: tuple[int, int], number: int) -> Tensor:
    """Images of an example with so many texts."""
    return torch.randn(min(number, 3), 3, *size, generator=torch.Generator().manual_seed(number))


@contextmanager
def batches_of_any_size() -> Iterator[None]:
    """Lets exporters see a batch in Swin, whose own code turns the number of images into a constant."""

    def window_reverse(self: Any, windows: Tensor, height: int, width: int) -> Tensor:
        side = self.window_size
        x = windows.view(-1, height // side, width // side, side, side, windows.shape[-1])
        return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, windows.shape[-1])

    before = ShiftWindowMSA.window_reverse
    ShiftWindowMSA.window_reverse = window_reverse
    try:
        yield
    finally:
        ShiftWindowMSA.window_reverse = before
