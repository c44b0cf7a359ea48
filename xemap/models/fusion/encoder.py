"""The fusion layer of XeMap-Network (paper section III.B)."""

from __future__ import annotations

from functools import partial

import torch
from mmdet.models.layers.transformer.detr_layers import DetrTransformerEncoderLayer
from mmdet.models.layers.transformer.grounding_dino_layers import GroundingDinoTransformerEncoder
from mmdet.models.layers.transformer.utils import get_text_sine_pos_embed
from mmengine.config import ConfigDict
from mmengine.model import ModuleList
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from xemap.errors import ConfigError
from xemap.models.fusion.bi_attention import FusionBlock
from xemap.models.fusion.deformable import DeformableEncoderLayer, LevelShapes
from xemap.models.fusion.relation import RelationBlock
from xemap.registry import MODELS, build_part


def reference_points(shapes: LevelShapes, device: torch.device | str) -> Tensor:
    """Pixel centers of all levels, (P, 2) x, y in [0, 1]."""
    points = []
    for height, width in shapes:
        y, x = torch.meshgrid(
            (torch.arange(height, device=device) + 0.5) / height,
            (torch.arange(width, device=device) + 0.5) / width,
            indexing='ij',
        )
        points.append(torch.stack([x, y], -1).view(-1, 2))
    return torch.cat(points)


class TextLayer(DetrTransformerEncoderLayer):
    """MMDetection's layer without the attention weights, which nothing reads: torch then fuses the attention."""

    def forward(self, query: Tensor, query_pos: Tensor, padding: Tensor) -> Tensor:
        """Self-attention over the tokens of a text, and an FFN, post-norm.

        Args:
            query: (N, S, C).
            query_pos: (N, S, C) added for scores, not for values.
            padding: (N, S) bool, True = padding.

        Returns:
            (N, S, C).
        """
        attention = self.self_attn
        with_pos, value = (query + query_pos).transpose(0, 1), query.transpose(0, 1)
        out = attention.attn(with_pos, with_pos, value, key_padding_mask=padding, need_weights=False)[0].transpose(0, 1)
        query = self.norms[0](query + attention.dropout_layer(attention.proj_drop(out)))
        return self.norms[1](self.ffn(query))


@MODELS.register_module()
class FusionEncoder(GroundingDinoTransformerEncoder):
    """Layers of bidirectional cross-attention, text self-attention and deformable image self-attention.

    State-dict names are those of MMDetection's Grounding DINO encoder, so its checkpoints fit. What
    differs: padding of texts is a bool mask that is honored everywhere, the image side has no padding
    (a batch has one image size), and the cross-attention projects the short side.

    Args:
        num_layers: number of layers (6 in the paper's set-up).
        layer_cfg: arguments of :class:`~xemap.models.fusion.deformable.DeformableEncoderLayer`.
        text_layer_cfg: text layer, as MMDetection's ``DetrTransformerEncoderLayer``.
        fusion_layer_cfg: arguments of :class:`FusionBlock`.
        relation_cfg: arguments of :class:`~xemap.models.fusion.relation.RelationBlock` but its width; one such block
            stands before every layer but the first. None, as Grounding DINO and the paper have it: no such blocks.
        checkpointing: in training, keep only what goes from layer to layer and compute the rest again in the
            backward pass: less memory, a third more time, the same gradients.
        compile: a back end of ``torch.compile``, as ``'inductor'`` (which needs a C++ compiler on a CPU), for
            the layers; sampling stays as it is. None = off.

    Raises:
        ConfigError: an unknown ``compile``, or relations in an encoder of one layer.
    """

    def __init__(
        self,
        num_layers: int,
        layer_cfg: dict,
        text_layer_cfg: dict,
        fusion_layer_cfg: dict,
        relation_cfg: dict | None = None,
        checkpointing: bool = False,
        compile: str | None = None,
    ) -> None:
        if compile is not None and compile not in torch.compiler.list_backends(exclude_tags=()):
            known = ', '.join(torch.compiler.list_backends())
            raise ConfigError(f'FusionEncoder: compile "{compile}" is no back end of torch.compile; use one of {known}')
        super().__init__(
            num_layers=num_layers,
            layer_cfg=_with_plain_relu(layer_cfg),
            text_layer_cfg=_with_plain_relu(text_layer_cfg),
            fusion_layer_cfg=ConfigDict(fusion_layer_cfg),
        )
        self.relation_layers = ModuleList()
        if relation_cfg is not None:
            if num_layers < 2:
                raise ConfigError(f'FusionEncoder: relation_cfg and num_layers={num_layers}; relations need 2 layers')
            self.relation_layers.extend(
                build_part(RelationBlock, 'relation_cfg', relation_cfg, self.embed_dims) for _ in range(num_layers - 1)
            )
        self.checkpointing = checkpointing
        if compile is not None:
            for layer in (*self.fusion_layers, *self.text_layers, *self.layers, *self.relation_layers):
                layer.compile(backend=compile, dynamic=True)

    def _init_layers(self) -> None:
        count = range(self.num_layers)
        self.layers = ModuleList([build_part(DeformableEncoderLayer, 'layer_cfg', self.layer_cfg) for _ in count])
        self.text_layers = ModuleList([build_part(TextLayer, 'text_layer_cfg', self.text_layer_cfg) for _ in count])
        self.fusion_layers = ModuleList(
            [build_part(FusionBlock, 'fusion_layer_cfg', self.fusion_layer_cfg) for _ in count]
        )
        self.embed_dims = self.layers[0].embed_dims

    def forward(
        self, vision: Tensor, vision_pos: Tensor, shapes: LevelShapes, text: Tensor, text_padding: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Fuse image and text tokens of N pairs; arguments as :meth:`fuse_with_attention`.

        Returns:
            fused image tokens (N, P, C) and text tokens (N, S, C).
        """
        return self.fuse_with_attention(vision, vision_pos, shapes, text, text_padding)[:2]

    def fuse_with_attention(
        self, vision: Tensor, vision_pos: Tensor, shapes: LevelShapes, text: Tensor, text_padding: Tensor
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Fuse image and text tokens of N pairs, and show where relations were looked for.

        Args:
            vision: (N, P, C) image tokens, the levels one after another.
            vision_pos: (1, P, C) positional and level embedding.
            shapes: (h, w) of every level; P is the sum of their areas.
            text: (N, S, C) text tokens.
            text_padding: (N, S) bool, True = padding.

        Returns:
            fused image tokens (N, P, C), text tokens (N, S, C), and of each relation block its attention (N, H, h * w),
            see :meth:`RelationBlock.attend <xemap.models.fusion.relation.RelationBlock.attend>`.
        """
        points = reference_points(shapes, vision.device)
        positions = torch.arange(text.shape[1], device=text.device, dtype=torch.float32)
        text_pos = get_text_sine_pos_embed(positions[None, :, None], num_pos_feats=self.embed_dims, exchange_xy=False)
        text_pos = text_pos.to(text.dtype).expand_as(text)
        relations, basis = [None] * self.num_layers, None
        if len(self.relation_layers):
            relations, basis = [None, *self.relation_layers], self.relation_layers[0].basis(shapes, vision.device)
        attention = []
        for layers in zip(relations, self.fusion_layers, self.text_layers, self.layers):
            run = partial(
                _layer, *layers, vision_pos=vision_pos, points=points, shapes=shapes, text_pos=text_pos, basis=basis
            )
            if self.checkpointing and self.training and torch.is_grad_enabled():
                vision, text, attended = checkpoint(run, vision, text, text_padding, use_reentrant=False)
            else:
                vision, text, attended = run(vision, text, text_padding)
            attention += [] if attended is None else [attended]
        return vision, text, attention


def _with_plain_relu(layer_cfg: dict) -> ConfigDict:
    """The config of a layer whose FFN does not work in place, mmcv's default: on a view that costs two copies."""
    return ConfigDict(layer_cfg, ffn_cfg={'act_cfg': dict(type='ReLU', inplace=False), **layer_cfg['ffn_cfg']})


def _layer(
    relate: RelationBlock | None,
    fuse: FusionBlock,
    attend_text: TextLayer,
    attend_image: DeformableEncoderLayer,
    vision: Tensor,
    text: Tensor,
    text_padding: Tensor,
    *,
    vision_pos: Tensor,
    points: Tensor,
    shapes: LevelShapes,
    text_pos: Tensor,
    basis: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    attended = None
    if relate is not None:
        vision, attended = relate(vision, vision_pos, shapes, text, text_padding, basis)
    vision, text = fuse(vision, text, text_padding, vision_pos)
    return attend_image(vision, vision_pos, points, shapes), attend_text(text, text_pos, text_padding), attended
