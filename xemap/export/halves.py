"""Networks in two halves with tensors at their borders: what runs once per image, and what runs once per query."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from xemap.errors import ConfigError
from xemap.models.heads import FusedTokens, HMSAHead, PixelHead
from xemap.models.localizers import LAVT, MLCM, CroBIM, XeMapNetwork
from xemap.models.localizers.crobim.crobim import EncodedImages
from xemap.models.localizers.lavt.head import FusedLevels
from xemap.models.localizers.lavt.stages import Stages
from xemap.models.text_encoders import HuggingFaceTextEncoder


class Halves(ABC):
    """How one kind of network is taken apart.

    Args:
        network: what is exported.
        size: (H, W) of its input.

    Raises:
        ConfigError: one of its parts cannot be exported.
    """

    kind: ClassVar[type[nn.Module]]

    image_inputs: ClassVar[tuple[str, ...]] = ('image',)
    """What images are given as: (B, 3, H, W) float32, normalized, and for some networks more."""

    outputs: tuple[str, ...]
    """Of :meth:`answer`, one row per query each."""

    encoded: tuple[str, ...] | None = None
    """Names of the tensors that :meth:`encode` gives; None = it gives something else, and the halves stay together."""

    shared: ClassVar[tuple[str, ...]] = ()
    """Which of them are the same for every image, with 1 as the number of images."""

    def __init__(self, network: Any, size: tuple[int, int]) -> None:
        reader = network.language_model
        if not isinstance(reader, HuggingFaceTextEncoder):
            raise ConfigError(
                f'{type(network).__name__} with language_model={reader and type(reader).__name__} cannot be exported; '
                'it needs a text encoder from transformers'
            )
        self.network, self.size = network, size

    @abstractmethod
    def encode(self, *image: Tensor) -> Any:
        """What depends on B images alone, which are given as :attr:`image_inputs`."""

    @abstractmethod
    def answer(
        self, encoded: Any, token_ids: Tensor, attention_mask: Tensor, image_idx: Tensor
    ) -> Tensor | tuple[Tensor, ...]:
        """Answers to Q queries.

        Args:
            encoded: from :meth:`encode`.
            token_ids: (Q, S) int64.
            attention_mask: (Q, S) int64, 1 = token, 0 = padding.
            image_idx: (Q,) int64, the image of each query.

        Returns:
            the :attr:`outputs`.
        """


class PixelHalves(Halves):
    """Of a network with a head for maps or masks; answers are (Q, H, W) float32 in [0, 1]."""

    def __init__(self, network: Any, size: tuple[int, int]) -> None:
        super().__init__(network, size)
        if not isinstance(network.head, (HMSAHead, PixelHead)):
            raise ConfigError(
                f'{type(network).__name__} with the head {type(network.head).__name__} cannot be exported; it '
                'needs an HMSAHead or a PixelHead'
            )
        self.outputs = (f'{network.head.form}s',)

    def hidden_states(self, token_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(Q, S, D_l) of the language model's last layer."""
        model = self.network.language_model.model
        return model(input_ids=token_ids, attention_mask=attention_mask).last_hidden_state

    def finish(self, fused: FusedTokens | FusedLevels) -> Tensor:
        """What the head makes of fused features."""
        answers = self.network.head(fused)
        return answers.sigmoid() if isinstance(self.network.head, PixelHead) else answers


class XeMapHalves(PixelHalves):
    """``tokens`` (B, P, C) of all levels one after another, and their ``positions`` (1, P, C)."""

    kind = XeMapNetwork
    encoded = ('tokens', 'positions')
    shared = ('positions',)

    def __init__(self, network: Any, size: tuple[int, int]) -> None:
        super().__init__(network, size)
        with torch.no_grad():
            self.shapes = network.eval().encode_images(network.level_embed.new_zeros(1, 3, *size))[2]

    def encode(self, *image: Tensor) -> tuple[Tensor, ...]:
        tokens, positions, _ = self.network.encode_images(*image)
        return tokens, positions

    def answer(self, encoded: Any, token_ids: Tensor, attention_mask: Tensor, image_idx: Tensor) -> Tensor:
        tokens, positions = encoded
        padding = attention_mask == 0
        text = self.network.text_feat_map(self.hidden_states(token_ids, attention_mask))
        vision, words = self.network.encoder(tokens[image_idx], positions, self.shapes, text, padding)
        return self.finish(FusedTokens(vision, self.shapes, words, padding, self.size, (token_ids.shape[0],)))


class CroBIMHalves(PixelHalves):
    """``level_1`` (B, C_1, H / 4, W / 4) … of the image encoder, and ``prompts`` (B, N_p, D_l) where there are any."""

    kind = CroBIM

    def __init__(self, network: Any, size: tuple[int, int]) -> None:
        super().__init__(network, size)
        levels = tuple(f'level_{i + 1}' for i in range(len(network.in_channels)))
        self.encoded = levels if network.prompts is None else (*levels, 'prompts')

    def encode(self, *image: Tensor) -> tuple[Tensor, ...]:
        images = self.network.encode_images(*image)
        return (*images.levels, *(() if images.prompts is None else (images.prompts,)))

    def answer(self, encoded: Any, token_ids: Tensor, attention_mask: Tensor, image_idx: Tensor) -> Tensor:
        number = len(self.network.in_channels)
        images = EncodedImages(encoded[:number], encoded[number] if len(encoded) > number else None)
        texts = self.network.encode_texts(token_ids, attention_mask == 0)
        each = torch.arange(token_ids.shape[0], device=token_ids.device)
        vision, shapes, words, padding = self.network.interact(images, texts, image_idx, each)
        return self.finish(FusedTokens(vision, shapes, words, padding, self.size, (token_ids.shape[0],)))


class LAVTHalves(PixelHalves):
    """``features`` (B, C_1, H / 4, W / 4) out of the first stage, behind which the words enter."""

    kind = LAVT
    encoded = ('features',)

    def encode(self, *image: Tensor) -> tuple[Tensor, ...]:
        stages = Stages(self.network.backbone)
        return (stages.run(0, stages.begin(*image)),)

    def answer(self, encoded: Any, token_ids: Tensor, attention_mask: Tensor, image_idx: Tensor) -> Tensor:
        words = self.hidden_states(token_ids, attention_mask)
        stages = Stages(self.network.backbone)
        levels = self.network.levels(stages, encoded[0][image_idx], words, attention_mask == 0)
        return self.finish(FusedLevels(levels, self.size, (token_ids.shape[0],)))


class MLCMHalves(Halves):
    """Images with their ``padding`` (B, H, W) bool, True in the border of a letterboxed image.

    Answers are ``boxes`` (Q, 4), x0, y0, x1, y1 as parts of the input's width and height, which may reach beyond it,
    and ``scores`` (Q,).
    """

    kind = MLCM
    image_inputs = ('image', 'padding')
    outputs = ('boxes', 'scores')

    def encode(self, *image: Tensor) -> Any:
        return self.network.encode_images(*image)

    def answer(
        self, encoded: Any, token_ids: Tensor, attention_mask: Tensor, image_idx: Tensor
    ) -> tuple[Tensor, ...]:
        states = self.network.language_model.encode(input_ids=token_ids, attention_mask=attention_mask)
        each = torch.arange(token_ids.shape[0], device=token_ids.device)
        features = self.network.ground(encoded, self.network.encode_states(*states), image_idx, each)
        height, width = self.size
        corners = self.network.head.corners(features.box, self.size)
        boxes = corners / corners.new_tensor([width, height, width, height])
        return boxes, self.network.head.score_logits(features.fusion).sigmoid()


HALVES = (XeMapHalves, CroBIMHalves, LAVTHalves, MLCMHalves)


def halves_of(network: nn.Module, size: tuple[int, int]) -> Halves:
    """Take a network apart.

    Args:
        network: one of the kinds of :data:`HALVES`.
        size: (H, W) of its input.

    Raises:
        ConfigError: another kind of model, or one of its parts cannot be exported.
    """
    for halves in HALVES:
        if isinstance(network, halves.kind):
            return halves(network, size)
    kinds = ', '.join(halves.kind.__name__ for halves in HALVES)
    raise ConfigError(
        f'{type(network).__name__} cannot be exported; only {kinds} can, since others run code between their networks'
    )
