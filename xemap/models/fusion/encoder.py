"""The fusion layer of XeMap-Network (paper section III.B)."""

from __future__ import annotations

import torch
from mmdet.models.layers.transformer.detr_layers import DetrTransformerEncoderLayer
from mmdet.models.layers.transformer.grounding_dino_layers import GroundingDinoTransformerEncoder
from mmdet.models.layers.transformer.utils import get_text_sine_pos_embed
from mmengine.config import ConfigDict
from mmengine.model import ModuleList
from torch import Tensor

from xemap.models.fusion.bi_attention import FusionBlock
from xemap.models.fusion.deformable import DeformableEncoderLayer, LevelShapes
from xemap.registry import MODELS


def reference_points(shapes: LevelShapes, device: torch.device | str) -> Tensor:
    """Pixel centres of all levels, (P, 2) x, y in [0, 1]."""
    points = []
    for height, width in shapes:
        y, x = torch.meshgrid(
            (torch.arange(height, device=device) + 0.5) / height,
            (torch.arange(width, device=device) + 0.5) / width,
            indexing='ij',
        )
        points.append(torch.stack([x, y], -1).view(-1, 2))
    return torch.cat(points)


@MODELS.register_module()
class FusionEncoder(GroundingDinoTransformerEncoder):
    """Layers of bidirectional cross-attention, text self-attention and deformable image self-attention.

    State-dict names are those of MMDetection's Grounding DINO encoder, so its checkpoints fit. What
    differs: padding of texts is a bool mask that is honoured everywhere, the image side has no padding
    (a batch has one image size), and the cross-attention projects the short side.

    Args:
        num_layers: number of layers (6 in the paper's set-up).
        layer_cfg: deformable layer, as ``DeformableDetrTransformerEncoderLayer``.
        text_layer_cfg: text layer, as ``DetrTransformerEncoderLayer``.
        fusion_layer_cfg: arguments of :class:`FusionBlock`.
    """

    def __init__(self, num_layers: int, layer_cfg: dict, text_layer_cfg: dict, fusion_layer_cfg: dict) -> None:
        super().__init__(
            num_layers=num_layers,
            layer_cfg=ConfigDict(layer_cfg),
            text_layer_cfg=ConfigDict(text_layer_cfg),
            fusion_layer_cfg=ConfigDict(fusion_layer_cfg),
        )

    def _init_layers(self) -> None:
        count = range(self.num_layers)
        self.layers = ModuleList([DeformableEncoderLayer(**self.layer_cfg) for _ in count])
        self.text_layers = ModuleList([DetrTransformerEncoderLayer(**self.text_layer_cfg) for _ in count])
        self.fusion_layers = ModuleList([FusionBlock(**self.fusion_layer_cfg) for _ in count])
        self.embed_dims = self.layers[0].embed_dims

    def forward(
        self, vision: Tensor, vision_pos: Tensor, shapes: LevelShapes, text: Tensor, text_padding: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Fuse image and text tokens of N pairs.

        Args:
            vision: (N, P, C) image tokens, the levels one after another.
            vision_pos: (1, P, C) positional and level embedding.
            shapes: (h, w) of every level; P is the sum of their areas.
            text: (N, S, C) text tokens.
            text_padding: (N, S) bool, True = padding.

        Returns:
            fused image tokens (N, P, C) and text tokens (N, S, C).
        """
        points = reference_points(shapes, vision.device)
        positions = torch.arange(text.shape[1], device=text.device, dtype=torch.float32)
        text_pos = get_text_sine_pos_embed(positions[None, :, None], num_pos_feats=self.embed_dims, exchange_xy=False)
        text_pos = text_pos.to(text.dtype)
        for fuse, attend_text, attend_image in zip(self.fusion_layers, self.text_layers, self.layers):
            vision, text = fuse(vision, text, text_padding)
            text = attend_text(
                query=text, query_pos=text_pos.expand_as(text), attn_mask=None, key_padding_mask=text_padding
            )
            vision = attend_image(vision, vision_pos, points, shapes)
        return vision, text
