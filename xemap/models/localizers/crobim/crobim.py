"""CroBIM: cross-modal bidirectional interaction for referring segmentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from xemap.errors import ConfigError
from xemap.models.fusion.deformable import LevelShapes
from xemap.models.heads import FusedTokens
from xemap.models.localizers.crobim.aggregation import LanguageGuidedAggregation
from xemap.models.localizers.crobim.context_prompts import ContextPrompts
from xemap.models.localizers.crobim.decoder import MutualInteractionDecoder
from xemap.models.localizers.crobim.deficit import DeficitCompensation
from xemap.models.localizers.crobim.mask_head import MaskHead
from xemap.models.localizers.crobim.prompted_text import PromptedTextEncoder
from xemap.models.localizers.fusing import FusingLocalizer
from xemap.models.localizers.pairs import index_pairs
from xemap.registry import MODELS, build_part


class EncodedImages(NamedTuple):
    """What is computed once per image.

    Attributes:
        levels: (B, C_i, H_i, W_i) of every stage of the image encoder.
        prompts: (B, N_p, D_l), or None.
    """

    levels: Sequence[Tensor]
    prompts: Tensor | None


class EncodedTexts(NamedTuple):
    """What is computed once per distinct text.

    Attributes:
        ids, padding: (T, max_tokens); True = padding.
        states: (T, max_tokens, D_l), read without prompts.
    """

    ids: Tensor
    padding: Tensor
    states: Tensor


@MODELS.register_module()
class CroBIM(FusingLocalizer):
    """Masks by cross-modal bidirectional interaction (arXiv 2410.08613).

    Images are encoded once for all their queries, and so are their prompts; a text is read once alone, and once more
    for each image whose prompts it is read with. Which reading of the paper each option is: ``docs/crobim.md``.

    Args:
        backbone: image encoder that returns four stages of strides 4, 8, 16, 32.
        language_model: :class:`~xemap.models.localizers.crobim.prompted_text.PromptedTextEncoder`.
        in_channels: channels of the stages.
        prompts: options of :class:`~xemap.models.localizers.crobim.context_prompts.ContextPrompts`; None = no prompts.
        attend: option of :class:`~xemap.models.localizers.crobim.aggregation.LanguageGuidedAggregation`.
        compensation: options of :class:`~xemap.models.localizers.crobim.deficit.DeficitCompensation`; None = none.
        decoder: options of :class:`~xemap.models.localizers.crobim.decoder.MutualInteractionDecoder`.
        head: options of :class:`~xemap.models.localizers.crobim.mask_head.MaskHead`.
        frozen: names of parts that do not train, see :func:`~xemap.models.freezing.freeze`.
        max_pairs: see :class:`~xemap.models.localizers.base.NetworkLocalizer`.
        data_preprocessor: normalization, see :class:`mmengine.model.ImgDataPreprocessor`.
        init_cfg: as in MMEngine.

    Raises:
        ConfigError: an option that does not exist, more tokens and prompts than the text encoder has positions for, or
            a name in ``frozen`` that is no part.
    """

    def __init__(
        self,
        backbone: dict,
        language_model: dict,
        in_channels: Sequence[int] = (128, 256, 512, 1024),
        prompts: dict | None = {},  # noqa: B006  (never changed; None means something else)
        attend: str = 'words',
        compensation: dict | None = {},  # noqa: B006
        decoder: dict | None = None,
        head: dict | None = None,
        frozen: tuple[str, ...] | str = (),
        max_pairs: int = 16,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(max_pairs, data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        self.language_model = build_part(PromptedTextEncoder, 'language_model', language_model)
        self.in_channels, text_width = tuple(in_channels), self.language_model.width
        self.prompts = None
        if prompts is not None:
            self.prompts = build_part(ContextPrompts, 'prompts', prompts, in_channels, text_width)
            self.language_model.check_positions(self.prompts.num_prompts)
        tokens = self.language_model.max_tokens
        self.aggregation = nn.ModuleList(
            [LanguageGuidedAggregation(channels, text_width, attend, tokens) for channels in in_channels]
        )
        self.compensation = None
        if compensation is not None:
            self.compensation = build_part(DeficitCompensation, 'compensation', compensation, in_channels)
        self.decoder = build_part(MutualInteractionDecoder, 'decoder', decoder, in_channels, text_width)
        self.head = build_part(MaskHead, 'head', head, self.decoder.embed_dims, len(self.in_channels))
        self.freeze(frozen)

    @property
    def stride(self) -> int:
        return 2 ** (len(self.in_channels) + 1)

    def fuse(
        self, inputs: Tensor, texts: Sequence[Sequence[str]], max_pairs: int | None = None
    ) -> Iterator[FusedTokens]:
        pairs, distinct = index_pairs(texts, inputs.device)
        images = self.encode_images(inputs)
        encoded = self.encode_texts(*self.language_model.tokenize(distinct))
        size = (inputs.shape[-2], inputs.shape[-1])
        for group in pairs.split(max_pairs):
            vision, shapes, text, padding = self.interact(images, encoded, group.image_idx, group.text_idx)
            yield FusedTokens(vision, shapes, text, padding, size, group.counts)

    def encode_images(self, inputs: Tensor) -> EncodedImages:
        """What depends on an image alone.

        Args:
            inputs: (B, 3, H, W) normalized images; sides are multiples of :attr:`stride`.

        Raises:
            ConfigError: sides that are no multiples, or a backbone of other channels.
        """
        if inputs.shape[-1] % self.stride or inputs.shape[-2] % self.stride:
            raise ConfigError(
                f'CroBIM: input of {inputs.shape[-1]} x {inputs.shape[-2]} pixels; its regions need sides that are '
                f'multiples of {self.stride}: set the size of ResizeImage to that'
            )
        levels = self.backbone(inputs)
        channels = tuple(level.shape[1] for level in levels)
        if channels != self.in_channels:
            raise ConfigError(f'CroBIM: in_channels is {self.in_channels}; the backbone returns {channels}, use these')
        return EncodedImages(levels, None if self.prompts is None else self.prompts(levels))

    def encode_texts(self, ids: Tensor, padding: Tensor) -> EncodedTexts:
        """What depends on a text alone.

        Args:
            ids, padding: (T, max_tokens) of T distinct texts, see
                :meth:`~xemap.models.localizers.crobim.prompted_text.PromptedTextEncoder.tokenize`.
        """
        return EncodedTexts(ids, padding, self.language_model.encode(ids, padding)[0])

    def interact(
        self, images: EncodedImages, texts: EncodedTexts, image_idx: Tensor, text_idx: Tensor
    ) -> tuple[Tensor, LevelShapes, Tensor, Tensor]:
        """Let N pairs of images and texts interact.

        Args:
            images, texts: from :meth:`encode_images` and :meth:`encode_texts`.
            image_idx, text_idx: (N,) the pairs.

        Returns:
            image tokens (N, P, D), the levels' (h, w), text tokens (N, S, D) and their padding (N, S).
        """
        text, padding = texts.states[text_idx], texts.padding[text_idx]
        aggregated = [stage(level, text, padding, image_idx) for stage, level in zip(self.aggregation, images.levels)]
        levels, scores = [list(part) for part in zip(*aggregated)]
        if self.compensation is not None:
            words = padding if self.aggregation[0].attend == 'words' else None
            levels = self.compensation(levels, scores, words)
        if images.prompts is not None:
            text, padding = self.language_model.encode(texts.ids[text_idx], padding, images.prompts[image_idx])
        return *self.decoder(levels, text, padding), padding
