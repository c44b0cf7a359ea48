"""MLCM: a box for each sentence (paper sections IV.B and IV.C)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.models.layers import DetrTransformerEncoder, SinePositionalEncoding
from torch import Tensor, nn

from xemap.errors import ConfigError, DataError
from xemap.models.checkpoint import read_state_dict
from xemap.models.localizers.base import NetworkLocalizer
from xemap.models.localizers.mlcm.decoder import CrossModalDecoder
from xemap.models.localizers.mlcm.features import EncodedImages, EncodedTexts, MLCMFeatures, letterbox_padding
from xemap.models.localizers.mlcm.fusion import TokenFusion
from xemap.models.localizers.mlcm.layers import detr_layer, fuse_attention
from xemap.models.localizers.mlcm.levels import AddedLevels
from xemap.models.localizers.mlcm.weights import load_detr_weights
from xemap.models.localizers.pairs import index_pairs
from xemap.registry import MODELS
from xemap.structures import BoxAnswers, XeMapDataSample

MEMORY = ('scales', 'words', 'sentence')
"""What the decoder's memory may hold (Table III): tokens of all image levels, word states, the sentence state."""


@MODELS.register_module()
class MLCM(NetworkLocalizer):
    """Visual grounding with a multi-level cross-modal decoder: one box per query.

    The backbone's last output and coarser levels (eq. 1), words and sentence (eq. 2) are the memory of a decoder whose
    queries are the tokens of the finest level (eqs. 3 to 13); an encoder and the fusion with words and a learnable
    token (eq. 14) follow, and a head that reads a box from the token's state. A batch is B images and N >= B (image,
    query) pairs. What depends on an image alone, and what on a text alone, is computed once for all pairs that share
    it.

    Args:
        backbone: image encoder; its last output is used.
        language_model: see :class:`~xemap.models.localizers.mlcm.text.WordSentenceEncoder`; whether it keeps the
            sentence follows ``memory``, its ``max_tokens`` ``max_words``, and its ``pad`` ``legacy``. None = features
            come from the caller, see :meth:`forward_features`.
        head: see :class:`~xemap.models.localizers.mlcm.head.BoxHead`; ``width`` and ``legacy`` are those given here.
        in_channels: number of channels of the backbone's last output.
        width, num_heads, feedforward, dropout: the same for all transformer layers.
        num_decoder_layers: L; 0 = no decoder (Table III a).
        num_encoder_layers, num_fusion_layers: layers of the encoder and of the fusion.
        memory: some of :data:`MEMORY`, what the decoder attends to (Table III b to e).
        num_added: levels below the finest.
        grid: (rows, columns) of the finest level at the usual input size, for the fusion's learned positions.
        max_words: word tokens that have positions, [CLS] and [SEP] among them.
        order, fusion_activation: options of the fusion, see :class:`~xemap.models.localizers.mlcm.fusion.TokenFusion`.
        legacy: as the authors' code (mask_text_padding off, texts always padded to ``max_words``, the head's input
            coordinates from 0 to size - 1).
        mask_text_padding: padding, of words and of letterboxed images, takes no part in the fusion; None = unless
            ``legacy``.
        text_width: width of word and sentence states; None = the language model's.
        detr: checkpoint of DETR-R50 that initializes backbone, first projection, encoder and fusion.
        detr_decoder: take the decoder's first layer from it too.
        detr_fusion: take the fusion's layers from its encoder, as the authors do; False leaves them as TransVG's.
        frozen: names of parts that do not train, as ``'language_model'``.
        max_pairs: most pairs computed at a time in prediction; memory follows it, the result does not.
        data_preprocessor, init_cfg: as in MMEngine.

    Raises:
        ConfigError: an option out of its range, or one that does not fit the others or would have no effect.
    """

    form = 'box'

    def __init__(
        self,
        backbone: dict,
        language_model: dict | None,
        head: dict,
        in_channels: int = 2048,
        width: int = 256,
        num_heads: int = 8,
        feedforward: int = 2048,
        dropout: float = 0.1,
        num_decoder_layers: int = 1,
        num_encoder_layers: int = 6,
        num_fusion_layers: int = 6,
        memory: tuple[str, ...] = MEMORY,
        num_added: int = 3,
        grid: tuple[int, int] = (20, 20),
        max_words: int = 40,
        order: str = 'visual-text-token',
        fusion_activation: bool = True,
        legacy: bool = False,
        mask_text_padding: bool | None = None,
        text_width: int | None = None,
        detr: str | None = None,
        detr_decoder: bool = False,
        detr_fusion: bool = True,
        frozen: tuple[str, ...] | str = (),
        max_pairs: int = 16,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(max_pairs, data_preprocessor, init_cfg)
        if not memory or not set(memory) <= set(MEMORY):
            raise ConfigError(f'MLCM: memory={tuple(memory)}; give some of {", ".join(MEMORY)}')
        for name, value, least in (
            ('num_decoder_layers', num_decoder_layers, 0),
            ('num_encoder_layers', num_encoder_layers, 1),
            ('num_fusion_layers', num_fusion_layers, 1),
            ('num_added', num_added, 0),
            ('max_words', max_words, 1),
            ('grid', min(grid), 1),
        ):
            if value < least:
                raise ConfigError(f'MLCM: {name} with {value}; give at least {least}')
        if detr_decoder and not (detr and num_decoder_layers):
            missing = 'a decoder' if detr else 'detr, the checkpoint to take it from'
            raise ConfigError(f'MLCM: detr_decoder=True needs {missing}; give it or leave detr_decoder out')
        self.memory = tuple(memory) if num_decoder_layers else ()
        self.legacy, self.max_words = legacy, max_words
        self.mask_text_padding = (not legacy) if mask_text_padding is None else mask_text_padding
        self.detr, self.detr_decoder, self.detr_fusion = detr, detr_decoder, detr_fusion
        self.backbone = MODELS.build(backbone)
        self.levels = AddedLevels(in_channels, width, num_added if 'scales' in self.memory else 0)
        text_width = self._build_language_model(language_model, text_width)
        self.image_pos = SinePositionalEncoding(num_feats=width // 2, normalize=True)
        if {'words', 'sentence'} & set(self.memory):
            self.text_proj = nn.Sequential(nn.Linear(text_width, width), nn.ReLU(inplace=True))
            self.text_pos = nn.Embedding(max_words + 1, width)
        layer: dict[str, Any] = dict(width=width, num_heads=num_heads, feedforward=feedforward, dropout=dropout)
        self.decoder = CrossModalDecoder(num_decoder_layers, **layer) if num_decoder_layers else None
        self.encoder = DetrTransformerEncoder(num_encoder_layers, detr_layer(**layer))
        fuse_attention(self.encoder)
        self.fusion = TokenFusion(
            num_fusion_layers,
            text_width=text_width,
            grid=grid,
            max_words=max_words,
            order=order,
            activation=fusion_activation,
            **layer,
        )
        self.head = MODELS.build(_with(head, 'head', width=('width', width), legacy=('legacy', legacy)))
        self.freeze(frozen)

    @property
    def scored(self) -> bool:
        return getattr(self.head, 'score', None) is not None

    def _build_language_model(self, config: dict | None, text_width: int | None) -> int:
        if config is None:
            self.language_model = None
            if text_width is None:
                raise ConfigError('MLCM: language_model=None needs text_width, the width of the features you bring')
            return text_width
        config = _with(
            config,
            'language_model',
            sentence=('memory', 'sentence' in self.memory),
            max_tokens=('max_words', self.max_words),
            pad=('legacy', self.legacy),
        )
        self.language_model = MODELS.build(config)
        if text_width not in (None, self.language_model.width):
            raise ConfigError(f'MLCM: text_width={text_width}; the language model gives {self.language_model.width}')
        return self.language_model.width

    def init_weights(self) -> None:
        """Xavier for transformers and head, torch's default for convolutions and projections, then DETR's weights."""
        super().init_weights()
        for part in (self.decoder, self.encoder, self.fusion.layers, self.head):
            for parameter in part.parameters() if part is not None else ():
                if parameter.dim() > 1:
                    nn.init.xavier_uniform_(parameter)
        if self.detr:
            load_detr_weights(self, read_state_dict(self.detr), self.detr_decoder, self.detr_fusion)

    def loss(self, inputs: Tensor, data_samples: list[XeMapDataSample]) -> dict[str, Tensor]:
        """Losses of the head, averaged over the pairs of all ranks; samples have ``gt_boxes``.

        Raises:
            DataError: there is no pair.
        """
        if not any(sample.texts for sample in data_samples):
            raise DataError('a training batch without any query; leave images without queries out of the data set')
        (features,) = self.extract(inputs, data_samples)
        return self.head.loss(features, data_samples)

    def predict(self, inputs: Tensor, data_samples: list[XeMapDataSample]) -> list[BoxAnswers]:
        """Boxes in the frame of the network's input."""
        return self.head.predict(self.extract(inputs, data_samples, self.max_pairs), data_samples)

    def tensor(self, inputs: Tensor, data_samples: list[XeMapDataSample]) -> Tensor:
        """(N, 4) cx, cy, w, h as parts of the input, pairs in the samples' order."""
        return torch.cat([features.box for features in self.extract(inputs, data_samples)])

    def extract(
        self, inputs: Tensor, data_samples: Sequence[XeMapDataSample], max_pairs: int | None = None
    ) -> Iterator[MLCMFeatures]:
        """Features of all pairs of a batch, in groups; images and distinct texts are encoded once each.

        Args:
            inputs: (B, 3, H, W) normalized.
            data_samples: B samples with ``texts``; meta information ``content``, where it is given, is the part x0, y0,
                x1, y1 of the input that shows the image, in pixels.
            max_pairs: most pairs in a group; None = all.

        Raises:
            ConfigError: the network has no language model.
        """
        if self.language_model is None:
            raise ConfigError('this MLCM has language_model=None and reads no texts; use forward_features')
        pairs, texts = index_pairs([sample.texts for sample in data_samples], inputs.device)
        encoded = self.encode_states(*self.language_model(texts))
        images = self.encode_images(inputs, letterbox_padding(inputs, data_samples))
        for group in pairs.split(max_pairs):
            yield self.ground(images, encoded, group.image_idx, group.text_idx)

    def forward_features(
        self,
        images: Tensor,
        words: Tensor,
        sentence: Tensor | None,
        word_mask: Tensor,
        image_mask: Tensor | None = None,
        image_idx: Tensor | None = None,
    ) -> MLCMFeatures:
        """Ground texts whose features the caller brings.

        Args:
            images: (B, 3, H, W) normalized.
            words: (N, S, text_width) word states.
            sentence: (N, text_width) or (N, 1, text_width); None where the memory has no sentence.
            word_mask: (N, S), 1 = real token, 0 = padding.
            image_mask: (B, H, W), 1 = padding around a letterboxed image (as in DETR), 0 = image; None = no padding.
            image_idx: (N,) the image of each text; None = image n for text n.

        Raises:
            ConfigError: sizes that do not fit.
        """
        if image_idx is None:
            image_idx = torch.arange(len(words), device=words.device)
            if len(images) != len(words):
                raise ConfigError(f'{len(images)} images for {len(words)} texts; give image_idx, the image of each')
        texts = self.encode_states(words, word_mask == 0, sentence)
        text_idx = torch.arange(len(words), device=words.device)
        return self.ground(self.encode_images(images, image_mask), texts, image_idx, text_idx)

    def encode_images(self, images: Tensor, padding: Tensor | None = None) -> EncodedImages:
        """Compute what depends on the images alone, each once.

        Args:
            images: (B, 3, H, W) normalized.
            padding: (B, H, W), True = padding around a letterboxed image; None = there is none.
        """
        size, c5 = (images.shape[-2], images.shape[-1]), self.backbone(images)[-1]
        levels = self.levels(c5)
        paddings: list[Tensor | None] = []
        positions = []
        for level in levels:
            if padding is not None:
                # Nearest neighbor, from one level to the next.
                padding = F.interpolate(padding[:, None].float(), level.shape[-2:])[:, 0].bool()
            paddings.append(None if padding is None else padding.flatten(1))
            positions.append(_tokens(self.image_pos(padding, level)).expand(images.shape[0], -1, -1).to(level.dtype))
        tokens = [_tokens(level) for level in levels]
        grid, first, pos = (levels[0].shape[-2], levels[0].shape[-1]), paddings[0], positions[0]
        if self.decoder is None:
            return EncodedImages(size, c5, grid, pos, first, None, self.encode_visual(tokens[0], pos, first))
        memory = None
        if 'scales' in self.memory:
            memory = torch.cat(tokens, 1), torch.cat(positions, 1), _joined(paddings)
        side = self.decoder.image_side(tokens[0], pos, memory)
        if self.memory != ('scales',):
            return EncodedImages(size, c5, grid, pos, first, side, None)
        image_idx = torch.arange(images.shape[0], device=images.device)
        decoded = self.decoder.text_side(side, image_idx, None)
        return EncodedImages(size, c5, grid, pos, first, side, self.encode_visual(decoded, pos, first))

    def encode_visual(self, tokens: Tensor, pos: Tensor, padding: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Run the encoder, once per image where no text reaches it, else once per pair.

        Args:
            tokens, pos: (N, P, C) tokens of the finest level and their positions.
            padding: (N, P) bool, True = padding; None = there is none.

        Returns:
            (N, P, C) each: ``tokens``, the encoder's output, and that projected for the fusion.
        """
        encoded = self.encoder(tokens, pos, padding)
        return tokens, encoded, self.fusion.visual_proj(encoded)

    def encode_states(self, words: Tensor, padding: Tensor, sentence: Tensor | None = None) -> EncodedTexts:
        """Compute what depends on the texts alone.

        Args:
            words: (T, S, text_width) word states.
            padding: (T, S) bool, True = padding.
            sentence: (T, text_width) or (T, 1, text_width).

        Raises:
            ConfigError: more words than there are positions, or no sentence where the memory has one.
        """
        number, length = words.shape[:2]
        if length > self.max_words:
            raise ConfigError(f'{length} word tokens; the network has positions for {self.max_words} (max_words)')
        states, places, paddings = [], [], []
        if 'words' in self.memory:
            states.append(words)
            places.append(self.text_pos.weight[:length])
            paddings.append(padding)
        if 'sentence' in self.memory:
            if sentence is None:
                raise ConfigError('the memory has a sentence state, and none was given')
            states.append(sentence.reshape(number, 1, -1))
            places.append(self.text_pos.weight[-1:])
            paddings.append(padding.new_zeros(number, 1))
        projected = self.fusion.word_proj(words)
        if not states:
            return EncodedTexts(projected, padding, None)
        memory = self.text_proj(torch.cat(states, 1))
        pos = torch.cat(places)[None].expand_as(memory)
        return EncodedTexts(projected, padding, (memory, pos, torch.cat(paddings, 1)))

    def ground(self, images: EncodedImages, texts: EncodedTexts, image_idx: Tensor, text_idx: Tensor) -> MLCMFeatures:
        """Compute what needs both, for N pairs.

        Args:
            images, texts: from :meth:`encode_images` and :meth:`encode_states`.
            image_idx, text_idx: (N,) the image and the text of each pair.
        """
        padding = None if images.padding is None else images.padding[image_idx]
        if images.visual is None:
            assert self.decoder is not None and images.side is not None
            assert texts.memory is not None
            text, text_pos, text_padding = texts.memory
            of_text = (text[text_idx], text_pos[text_idx], None if text_padding is None else text_padding[text_idx])
            decoded = self.decoder.text_side(images.side, image_idx, of_text)
            tokens, encoded, visual = self.encode_visual(decoded, images.pos[image_idx], padding)
        else:
            tokens, encoded, visual = (part[image_idx] for part in images.visual)
        masks = (padding, texts.padding[text_idx]) if self.mask_text_padding else (None, None)
        state, attention = self.fusion(visual, images.grid, texts.words[text_idx], *masks)
        return MLCMFeatures(self.head(state), state, attention, encoded, tokens, images.c5, images.grid, images.size)


def _with(config: dict, part: str, **options: tuple[str, Any]) -> dict:
    """The config of a part with options that follow from the model's, each by the name of that and its value."""
    for key, (source, _) in options.items():
        if key in config:
            raise ConfigError(f'MLCM: model.{part}.{key} follows model.{source}; set that and leave this out')
    return {**config, **{key: value for key, (_, value) in options.items()}}


def _tokens(level: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, h * w, C)."""
    return level.flatten(2).transpose(1, 2)


def _joined(paddings: list[Tensor | None]) -> Tensor | None:
    present = [padding for padding in paddings if padding is not None]
    return torch.cat(present, 1) if present else None
