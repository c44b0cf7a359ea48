"""The box head: from the state of the token to a box, its loss and its score."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, bbox_overlaps, bbox_xyxy_to_cxcywh
from mmengine.model import BaseModule
from torch import Tensor, nn

from xemap.errors import ConfigError
from xemap.models.heads.base import batch_targets, mean_over_pairs
from xemap.registry import MODELS
from xemap.structures import BoxAnswers, XeMapDataSample

ACTIVATIONS = ('scaled', 'sigmoid')
BOX_FORMATS = ('cxcywh', 'xyxy')


@MODELS.register_module()
class BoxHead(BaseModule):
    """A multi-layer perceptron whose four outputs are (cx, cy, w, h) as parts of the network's input.

    Eq. 15: ``L = L_reg + lambda * L_GIoU``. The regression loss compares four normalized numbers, summed over them and
    averaged over pairs; the GIoU loss compares boxes in pixels.

    Args:
        width: width of the state.
        num_layers: linear layers, ReLU between them.
        activation: ``'scaled'``, 2 * sigmoid - 0.5 in (-0.5, 1.5), so that a box touches the border without
            saturating; ``'sigmoid'`` in (0, 1).
        box_format: form of the four numbers that the regression loss compares: ``'cxcywh'``, or ``'xyxy'`` as printed.
        legacy: as the authors' code: input coordinates run from 0 to size - 1, the truth is truncated to integers, and
            corners are clamped to the input before the GIoU, which leaves those outside without its gradient.
        with_score: learn the score of a box from the state, too: the IoU that it has with the truth, 0 for a query
            without a referent, by binary cross-entropy (ours). Otherwise every box scores 1.
        loss_reg, loss_iou: losses of mmdet's registry with a value for each pair (``reduction='none'``).

    Raises:
        ConfigError: an unknown activation or box format, or fewer than 1 layer.
    """

    def __init__(
        self,
        width: int = 256,
        num_layers: int = 2,
        activation: str = 'scaled',
        box_format: str = 'cxcywh',
        legacy: bool = False,
        with_score: bool = False,
        loss_reg: dict | None = None,
        loss_iou: dict | None = None,
    ) -> None:
        super().__init__()
        for name, value, known in (('activation', activation, ACTIVATIONS), ('box_format', box_format, BOX_FORMATS)):
            if value not in known:
                raise ConfigError(f'BoxHead: {name} "{value}" is unknown; use one of {", ".join(known)}')
        if num_layers < 1:
            raise ConfigError(f'BoxHead: num_layers={num_layers}; give at least 1')
        self.activation, self.box_format, self.legacy = activation, box_format, legacy
        steps: list[nn.Module] = []
        for _ in range(num_layers - 1):
            steps += [nn.Linear(width, width), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*steps, nn.Linear(width, 4))
        self.score = nn.Linear(width, 1) if with_score else None
        self.loss_reg = MODELS.build(loss_reg or dict(type='mmdet.SmoothL1Loss', beta=1.0, reduction='none'))
        self.loss_iou = MODELS.build(loss_iou or dict(type='mmdet.GIoULoss', eps=1e-7, reduction='none'))

    def forward(self, state: Tensor) -> Tensor:
        """(N, width) states -> (N, 4) cx, cy, w, h, parts of the input, at least float32; w and h may be negative."""
        z = self.layers(state)
        z = z.to(torch.promote_types(z.dtype, torch.float32))
        return 2 * z.sigmoid() - 0.5 if self.activation == 'scaled' else z.sigmoid()

    def corners(self, boxes: Tensor, size: tuple[int, int]) -> Tensor:
        """Pixels of boxes.

        Args:
            boxes: (N, 4) from :meth:`forward`.
            size: (height, width) of the network's input.

        Returns:
            (N, 4) x0, y0, x1, y1 in pixels of the input; negative sides are 0.
        """
        sides = boxes if self.legacy else torch.cat([boxes[:, :2], boxes[:, 2:].clamp(min=0)], 1)
        return bbox_cxcywh_to_xyxy(sides) * self._scale(size, boxes)

    def loss(self, features: Any, samples: Sequence[XeMapDataSample]) -> dict[str, Tensor]:
        """Losses of a batch, averaged over the pairs of all ranks: ranks may hold different numbers of pairs.

        Args:
            features: with ``box`` (N, 4) of :meth:`forward`, the pairs in the samples' order, ``fusion`` (N, width),
                the states, and ``size`` (height, width) of the input.
            samples: with ``gt_boxes`` (Q, 4) x0, y0, x1, y1 in pixels of the input; a box without area, of a query
                without a referent, has no part in the losses of boxes.
        """
        targets = batch_targets(samples, 'gt_boxes').to(features.box)
        present = (targets[:, 2:] > targets[:, :2]).all(1)
        losses = {name: values[present] for name, values in self.losses(features.box, targets, features.size).items()}
        if self.score is not None:
            iou = torch.zeros_like(targets[:, 0])
            corners = self.corners(features.box.detach(), features.size)
            iou[present] = bbox_overlaps(corners[present], targets[present], is_aligned=True).clamp(0, 1)
            logits = self.score_logits(features.fusion).to(iou.dtype)
            losses['loss_score'] = F.binary_cross_entropy_with_logits(logits, iou, reduction='none')
        return {name: mean_over_pairs(values) for name, values in losses.items()}

    def predict(self, groups: Iterable[Any], samples: Sequence[XeMapDataSample]) -> list[BoxAnswers]:
        """Answers in pixels of the input, one for each sample.

        Args:
            groups: features as for :meth:`loss`; all pairs in groups, in the samples' order.
            samples: with ``texts``.
        """
        boxes, scores = [], []
        for features in groups:
            size = features.size
            boxes.append(self.corners(features.box, size))
            scores.append(self.score_logits(features.fusion).sigmoid())
        numbers = [len(sample.texts) for sample in samples]
        parts = zip(torch.cat(boxes).split(numbers), torch.cat(scores).split(numbers))
        return [BoxAnswers(part, size, scores=score) for part, score in parts]

    def losses(self, boxes: Tensor, targets: Tensor, size: tuple[int, int]) -> dict[str, Tensor]:
        """Losses of each pair.

        Args:
            boxes: (N, 4) from :meth:`forward`.
            targets: (N, 4) x0, y0, x1, y1 in pixels of the input.
            size: (height, width) of the input.

        Returns:
            ``loss_reg`` and ``loss_iou``, (N,) float32 each.
        """
        scale = self._scale(size, boxes)
        targets, corners = targets.float(), self.corners(boxes, size)
        if self.legacy:
            zero = torch.zeros_like(scale)
            targets = targets.trunc().clamp(zero, scale)
            corners = corners.clamp(zero, scale)
        normalized = targets / scale
        if self.box_format == 'cxcywh':
            regression = self.loss_reg(boxes, bbox_xyxy_to_cxcywh(normalized))
        else:
            regression = self.loss_reg(bbox_cxcywh_to_xyxy(boxes), normalized)
        return {'loss_reg': regression.sum(1), 'loss_iou': self.loss_iou(corners, targets)}

    def score_logits(self, state: Tensor) -> Tensor:
        """(N, width) states -> (N,) logits of the score; infinite where none is learned."""
        return torch.full_like(state[:, 0], float('inf')) if self.score is None else self.score(state)[:, 0]

    def _scale(self, size: tuple[int, int], like: Tensor) -> Tensor:
        height, width = (side - 1 for side in size) if self.legacy else size
        return like.new_tensor([width, height, width, height])
