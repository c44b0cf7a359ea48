"""XeMap-Network (paper section III)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from functools import cached_property

import torch
from mmdet.models.layers import SinePositionalEncoding
from torch import Tensor, nn

from xemap.errors import ConfigError
from xemap.models.backbones import build_neck
from xemap.models.checkpoint import load_grounding_dino
from xemap.models.freezing import is_frozen
from xemap.models.fusion.deformable import LevelShapes
from xemap.models.heads import FusedTokens
from xemap.models.heads.base import batch_targets, mean_over_pairs
from xemap.models.localizers.fusing import FusingLocalizer
from xemap.models.localizers.pairs import index_pairs
from xemap.models.losses import phrase_loss
from xemap.registry import MODELS, build_part
from xemap.structures import XeMapDataSample

_NO_PHRASES = (
    'phrase_weight: no query of this batch records its distractors or anchors, so the relation blocks learn nothing '
    'from it; make the data again (make_synthetic.py, convert_dataset.py --expressions), or set phrase_weight to 0'
)

PROBE = 256
"""Side of the image by which the network shows its stride."""


@MODELS.register_module()
class XeMapNetwork(FusingLocalizer):
    """Contextual referring maps from an image and its queries, end to end.

    What it predicts is its head's business: another head makes masks or boxes of the same fused tokens.

    A batch is B images and the N >= B (image, query) pairs that stand in their data samples. Images and
    distinct texts are encoded once each; only fusion and head run N times. Sub-module names are those of
    MMDetection's ``GroundingDINO``.

    Args:
        backbone: image encoder, several levels.
        neck: brings the levels to one width (and may add levels); ``in_channels='auto'`` fits any backbone.
        language_model: text encoder, see :class:`~xemap.models.text_encoders.HuggingFaceTextEncoder`.
        encoder: fusion layers, see :class:`~xemap.models.fusion.FusionEncoder`.
        head: makes answers from fused tokens, see :class:`~xemap.models.heads.Head`.
        positional_encoding: positional encoding of image tokens.
        num_levels: levels that the neck returns.
        frozen: names of parts that do not train, as ``'backbone'`` or ``'encoder.layers.0'``: their parameters take
            no gradient and never reach the optimizer, they stay in eval mode, and a whole encoder or neck runs
            without building a graph.
        max_pairs: most pairs fused at a time in prediction; memory follows it, the result does not.
        phrase_weight: factor of a loss on the relation blocks' attention: of each block, the first head is to attend
            to the objects of the query's category, the second to its anchors, see
            :func:`~xemap.models.losses.phrase_loss`. Needs ``gt_phrases`` of
            :class:`~xemap.datasets.transforms.GeneratePhrases`. The mean is over all pairs; those that record neither
            distractors nor anchors add 0. 0 = off.
        grounding_dino: Grounding DINO or MM-Grounding-DINO checkpoint of MMDetection that initializes
            backbone, neck, text projection and fusion.
        data_preprocessor: normalization, see :class:`mmengine.model.ImgDataPreprocessor`.
        init_cfg: as in MMEngine.

    Raises:
        ConfigError: a name in ``frozen`` that is no part, a positional encoding of another width or an encoder of
            another number of levels than the rest, ``max_pairs`` below 1, or a ``phrase_weight`` below 0, without
            relation blocks or with a frozen encoder; with the first image, a neck that does not fit the backbone.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        language_model: dict,
        encoder: dict,
        head: dict,
        positional_encoding: dict,
        num_levels: int = 4,
        frozen: tuple[str, ...] | str = ('backbone', 'language_model'),
        max_pairs: int = 16,
        phrase_weight: float = 0.0,
        grounding_dino: str | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(max_pairs, data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        self.neck = build_neck(neck, self.backbone)
        self.language_model = MODELS.build(language_model)
        self.encoder = MODELS.build(encoder)
        self.head = MODELS.build(head)
        self.positional_encoding = build_part(SinePositionalEncoding, 'positional_encoding', positional_encoding)
        width = self.encoder.embed_dims
        if self.positional_encoding.num_feats * 2 != width:
            raise ConfigError(
                f'positional_encoding.num_feats is {self.positional_encoding.num_feats}; '
                f'set it to half the encoder width ({width // 2})'
            )
        for layer in self.encoder.layers:
            levels = getattr(layer.self_attn, 'num_levels', num_levels)
            if levels != num_levels:
                raise ConfigError(
                    f'encoder.layer_cfg.self_attn_cfg.num_levels is {levels} and num_levels is {num_levels}; '
                    'set both to the number of levels that the neck returns'
                )
        channels = neck.get('in_channels')
        self._neck_channels = list(channels) if isinstance(channels, (list, tuple)) else None
        self.text_feat_map = nn.Linear(self.language_model.width, width)
        if not phrase_weight >= 0:
            raise ConfigError(f'phrase_weight={phrase_weight}; give a number of at least 0')
        if phrase_weight and not len(getattr(self.encoder, 'relation_layers', ())):
            raise ConfigError(
                f'phrase_weight={phrase_weight} is for relation blocks, and the encoder has none; set '
                'encoder.relation_cfg = dict(), or phrase_weight = 0'
            )
        self.num_levels = num_levels
        self.phrase_weight = phrase_weight
        self._phrases_seen = False
        self.level_embed = nn.Parameter(torch.empty(num_levels, width))
        nn.init.normal_(self.level_embed)
        self.grounding_dino = grounding_dino
        self.freeze(frozen)
        if phrase_weight and is_frozen('encoder', self.frozen):
            raise ConfigError(
                f'phrase_weight={phrase_weight} trains relation blocks, and frozen={self.frozen} stops them; '
                "set phrase_weight = 0, or leave 'encoder' out of frozen"
            )

    def init_weights(self) -> None:
        """Initialize as Grounding DINO does, then load what the config names."""
        super().init_weights()
        for parameter in self.encoder.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        for layer in self.encoder.layers:
            layer.self_attn.init_weights()
        nn.init.xavier_uniform_(self.text_feat_map.weight)
        nn.init.zeros_(self.text_feat_map.bias)
        if self.grounding_dino:
            load_grounding_dino(self, self.grounding_dino)

    @cached_property
    def stride(self) -> int:
        with torch.no_grad():
            _, _, shapes = self.encode_images(self.level_embed.new_zeros(1, 3, PROBE, PROBE))
        return -(-PROBE // min(min(shape) for shape in shapes))

    def fuse(
        self, inputs: Tensor, texts: Sequence[Sequence[str]], max_pairs: int | None = None
    ) -> Iterator[FusedTokens]:
        vision, vision_pos, shapes = self.encode_images(inputs)
        pairs, distinct = index_pairs(texts, inputs.device)
        text, padding = self.encode_texts(distinct)
        size = (inputs.shape[-2], inputs.shape[-1])
        for group in pairs.split(max_pairs):
            masked = padding[group.text_idx]
            fuse = self.encoder.fuse_with_attention if self.phrase_weight else self.encoder
            tokens, words, *attention = fuse(vision[group.image_idx], vision_pos, shapes, text[group.text_idx], masked)
            yield FusedTokens(tokens, shapes, words, masked, size, group.counts, *attention)

    def losses(self, fused: FusedTokens, data_samples: list[XeMapDataSample]) -> dict[str, Tensor]:
        """Losses of the head, and ``loss_phrases`` where it has a weight."""
        losses = super().losses(fused, data_samples)
        if self.phrase_weight:
            remedy = (
                'put dict(type="GeneratePhrases") before PackXeMapInputs in the training pipeline, or set '
                f'phrase_weight={self.phrase_weight} to 0'
            )
            phrases = batch_targets(data_samples, 'gt_phrases', remedy)
            if not self._phrases_seen:
                self._phrases_seen = bool(phrases.any())
                if not self._phrases_seen:
                    warnings.warn(_NO_PHRASES, stacklevel=2)
            per_block = [
                phrase_loss(attended, fused.shapes[block.level], phrases)
                for block, attended in zip(self.encoder.relation_layers, fused.attention)
            ]
            losses['loss_phrases'] = self.phrase_weight * mean_over_pairs(torch.stack(per_block).mean(0))
        return losses

    def encode_images(self, inputs: Tensor) -> tuple[Tensor, Tensor, LevelShapes]:
        """Image tokens.

        Returns:
            tokens (B, P, C) of all levels one after another, their position and level embedding
            (1, P, C), and the levels' (h, w).
        """
        with self._graph_of('backbone'):
            features = self.backbone(inputs)
        channels = [level.shape[1] for level in features]
        if self._neck_channels is not None and self._neck_channels != channels:
            raise ConfigError(
                f'neck.in_channels is {self._neck_channels}; the backbone returns levels of {channels} channels, '
                "set it to that or to 'auto'"
            )
        with self._graph_of('neck'):
            levels = self.neck(features)
        if len(levels) != len(self.level_embed):
            raise ConfigError(f'num_levels is {len(self.level_embed)}; the neck returns {len(levels)}, set it to that')
        shapes = [tuple(level.shape[-2:]) for level in levels]
        tokens = torch.cat([level.flatten(2).transpose(1, 2) for level in levels], 1)
        positions = [self.positional_encoding(None, level[:1]).flatten(2).transpose(1, 2) for level in levels]
        embedded = [position + embed for position, embed in zip(positions, self.level_embed)]
        return tokens, torch.cat(embedded, 1).to(tokens.dtype), shapes

    def encode_texts(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Text tokens (T, S, C) and their padding (T, S) bool."""
        with self._graph_of('language_model'):
            hidden, padding = self.language_model(texts)
        return self.text_feat_map(hidden), padding

    def _graph_of(self, name: str):
        return torch.no_grad() if is_frozen(name, self.frozen) else nullcontext()
