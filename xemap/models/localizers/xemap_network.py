"""XeMap-Network (paper section III)."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from mmdet.utils import reduce_mean
from mmengine.model import BaseModel
from torch import Tensor, nn

from xemap.errors import ConfigError, DataError
from xemap.models.backbones import build_neck
from xemap.models.freezing import freeze, is_frozen, keep_frozen_in_eval
from xemap.models.fusion.deformable import LevelShapes
from xemap.registry import MODELS
from xemap.structures import XeMapDataSample


@MODELS.register_module()
class XeMapNetwork(BaseModel):
    """Contextual referring maps from an image and its queries, end to end.

    A batch is B images and the N >= B (image, query) pairs that stand in their data samples. Images and
    distinct texts are encoded once each; only fusion and head run N times. Sub-module names are those of
    MMDetection's ``GroundingDINO``.

    Args:
        backbone: image encoder, several levels.
        neck: brings the levels to one width (and may add levels); ``in_channels='auto'`` fits any backbone.
        language_model: text encoder, see :class:`~xemap.models.text_encoders.HuggingFaceTextEncoder`.
        encoder: fusion layers, see :class:`~xemap.models.fusion.FusionEncoder`.
        head: makes maps from fused tokens, see :class:`~xemap.models.heads.HMSAHead`.
        positional_encoding: of image tokens.
        num_levels: levels that the neck returns.
        frozen: names of parts that do not train, as ``'backbone'`` or ``'encoder.layers.0'``: their parameters take
            no gradient and never reach the optimizer, they stay in eval mode, and a whole encoder or neck runs
            without building a graph.
        max_pairs: most pairs fused at a time in prediction; memory follows it, the result does not.
        grounding_dino: Grounding DINO or MM-Grounding-DINO checkpoint of MMDetection that initialises
            backbone, neck, text projection and fusion.
        data_preprocessor: normalisation, see :class:`mmengine.model.ImgDataPreprocessor`.
        init_cfg: as in MMEngine.

    Raises:
        ConfigError: a name in ``frozen`` that is no part, a positional encoding of another width than
            the fusion layers, or ``max_pairs`` below 1.
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
        grounding_dino: str | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        self.neck = build_neck(neck, self.backbone)
        self.language_model = MODELS.build(language_model)
        self.encoder = MODELS.build(encoder)
        self.head = MODELS.build(head)
        self.positional_encoding = MODELS.build(dict(type='SinePositionalEncoding', **positional_encoding))
        width = self.encoder.embed_dims
        if self.positional_encoding.num_feats * 2 != width:
            raise ConfigError(
                f'positional_encoding.num_feats is {self.positional_encoding.num_feats}; '
                f'set it to half the encoder width ({width // 2})'
            )
        self.text_feat_map = nn.Linear(self.language_model.width, width)
        self.level_embed = nn.Parameter(torch.empty(num_levels, width))
        nn.init.normal_(self.level_embed)
        if max_pairs < 1:
            raise ConfigError(f'max_pairs is {max_pairs}; give at least 1 pair to be fused at a time')
        self.max_pairs = max_pairs
        self.grounding_dino = grounding_dino
        self.frozen = freeze(self, frozen)
        self.train(self.training)

    def init_weights(self) -> None:
        """Initialise as Grounding DINO does, then load what the config names."""
        super().init_weights()
        for parameter in self.encoder.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        for layer in self.encoder.layers:
            layer.self_attn.init_weights()
        nn.init.xavier_uniform_(self.text_feat_map.weight)
        nn.init.zeros_(self.text_feat_map.bias)
        if self.grounding_dino:
            from xemap.models.checkpoint import load_grounding_dino

            load_grounding_dino(self, self.grounding_dino)

    def train(self, mode: bool = True) -> XeMapNetwork:
        """Switch the mode of everything that is not frozen."""
        super().train(mode)
        keep_frozen_in_eval(self, self.frozen)
        return self

    def forward(self, inputs: Tensor, data_samples: list[XeMapDataSample], mode: str = 'tensor'):
        """Run on a batch.

        Args:
            inputs: (B, 3, H, W) normalised images of one size.
            data_samples: B samples with ``texts``, and ``gt_maps`` (Q, h, w) in mode ``'loss'``.
            mode: ``'tensor'`` -> (N, H, W) maps, pairs in the samples' order; ``'loss'`` -> dict of
                losses; ``'predict'`` -> the samples with ``pred_maps`` (Q, H, W) in [0, 1].

        Raises:
            ConfigError: images of several sizes in the batch, or an unknown mode.
        """
        self._check_one_size(inputs, data_samples)
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'tensor':
            return self.localize(inputs, [sample.texts for sample in data_samples], _size(inputs))
        raise ConfigError(f'mode "{mode}" is unknown; use "tensor", "loss" or "predict"')

    def loss(self, inputs: Tensor, data_samples: list[XeMapDataSample]) -> dict[str, Tensor]:
        """Map loss, averaged over the pairs of all ranks: ranks may hold different numbers of pairs.

        Raises:
            DataError: there is no pair.
        """
        if not any(sample.texts for sample in data_samples):
            raise DataError('a training batch without any query; leave images without queries out of the data set')
        targets = torch.cat([sample.gt_maps for sample in data_samples])
        maps = self.localize(inputs, [sample.texts for sample in data_samples], _size(targets))
        pairs = reduce_mean(targets.new_tensor(float(len(targets))))
        return {'loss_map': self.head.loss(maps, targets.to(maps.dtype)).sum() / pairs}

    def predict(self, inputs: Tensor, data_samples: list[XeMapDataSample]) -> list[XeMapDataSample]:
        """Maps at input resolution, written into the samples."""
        texts = [sample.texts for sample in data_samples]
        maps = self.localize(inputs, texts, _size(inputs), self.max_pairs)
        for sample, own in zip(data_samples, maps.split([len(t) for t in texts])):
            sample.pred_maps = own
        return data_samples

    def localize(
        self, inputs: Tensor, texts: list[list[str]], size: tuple[int, int], max_pairs: int | None = None
    ) -> Tensor:
        """Maps of all pairs.

        Args:
            inputs: (B, 3, H, W) normalised images.
            texts: the queries of each image.
            size: (h, w) of the maps.
            max_pairs: most pairs fused at a time; None = all.

        Returns:
            (N, h, w) float32 in [0, 1].
        """
        vision, vision_pos, shapes = self.encode_images(inputs)
        owner = torch.tensor([i for i, own in enumerate(texts) for _ in own], device=inputs.device)
        flat = [text for own in texts for text in own]
        if not flat:
            return vision.new_zeros(0, *size)
        distinct = {text: i for i, text in enumerate(dict.fromkeys(flat))}
        text, padding = self.encode_texts(list(distinct))
        which = torch.tensor([distinct[t] for t in flat], device=inputs.device)
        chunk = max_pairs or len(flat)
        maps = []
        for own, said in zip(owner.split(chunk), which.split(chunk)):
            fused = self.encoder(vision[own], vision_pos, shapes, text[said], padding[said])
            maps.append(self.head(fused[0], shapes, fused[1], padding[said], size))
        return torch.cat(maps)

    def encode_images(self, inputs: Tensor) -> tuple[Tensor, Tensor, LevelShapes]:
        """Image tokens.

        Returns:
            tokens (B, P, C) of all levels one after another, their position and level embedding
            (1, P, C), and the levels' (h, w).
        """
        with self._graph_of('backbone'):
            features = self.backbone(inputs)
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

    @staticmethod
    def _check_one_size(inputs: Tensor, data_samples: list[XeMapDataSample]) -> None:
        size = _size(inputs)
        for sample in data_samples:
            if tuple(sample.metainfo.get('img_shape', size)) != size:
                raise ConfigError(
                    f'images of different sizes in one batch ({tuple(sample.img_shape)} and {size}, height x width); '
                    'let the pipeline resize them to one size, or use a batch of one image'
                )


def _size(tensor: Tensor) -> tuple[int, int]:
    return tensor.shape[-2], tensor.shape[-1]
