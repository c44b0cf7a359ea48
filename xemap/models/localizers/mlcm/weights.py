"""Weights from elsewhere: the authors' checkpoints of MLCM, and DETR's in the dialects of its authors and of mmdet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from xemap.models.checkpoint import take_weights

LAYER_PARTS = (
    (r'\.self_attn\.', '.self_attn.attn.'),
    (r'\.multihead_attn\.', '.cross_attn.attn.'),
    (r'\.linear1\.', '.ffn.layers.0.0.'),
    (r'\.linear2\.', '.ffn.layers.1.'),
    (r'\.norm1\.', '.norms.0.'),
    (r'\.norm2\.', '.norms.1.'),
    (r'\.norm3\.', '.norms.2.'),
)
"""Parts of a transformer layer in torch's names -> in mmdet's."""

FROM_AUTHORS: tuple[tuple[str, Any], ...] = (
    (r'visumodel\.backbone\.0\.body\.', 'backbone.'),
    (r'visumodel\.input_proj\.', 'levels.input_proj.'),
    (r'visumodel\.conv6_([12])\.', lambda match: f'levels.added.0.{int(match[1]) - 1}.'),
    (r'visumodel\.conv7_([12])\.', lambda match: f'levels.added.1.{int(match[1]) - 1}.'),
    (r'visumodel\.conv8_([12])\.', lambda match: f'levels.added.2.{int(match[1]) - 1}.'),
    (r'visumodel\.l_proj\.', 'text_proj.'),
    (r'visumodel\.text_pos_embed\.', 'text_pos.'),
    (r'visumodel\.DE\.decoder\.norm\.', 'decoder.post_norm.'),
    (r'visumodel\.DE\.decoder\.layers\.', 'decoder.layers.'),
    (r'visumodel\.transformer\.encoder\.layers\.', 'encoder.layers.'),
    (r'vlmodel\.transformer\.encoder\.layers\.', 'fusion.layers.'),
    (r'vlmodel\.pos\.col_embed\.', 'fusion.positions.'),
    (r'vlmodel\.pr\.', 'fusion.token.'),
    (r'vlmodel\.v_proj\.', 'fusion.visual_proj.'),
    (r'vlmodel\.l_proj\.', 'fusion.word_proj.'),
    (r'Prediction_Head\.', 'head.layers.'),
    (r'(?:\w+\.)?(?=embeddings\.|encoder\.layer\.|pooler\.dense\.)', 'language_model.model.'),
)
"""Beginnings of names in the authors' checkpoints -> ours."""

FROM_DETR = (
    (r'(?:backbone\.0\.body\.|backbone\.)', ('backbone.',)),
    (r'(?:input_proj\.|neck\.convs\.0\.conv\.)', ('levels.input_proj.',)),
    (r'(?:transformer\.)?encoder\.layers\.', ('encoder.layers.', 'fusion.layers.')),
)
"""Beginnings of names in DETR's checkpoints, of its authors or of mmdet -> ours; an entry may go to several places."""

FROM_DETR_DECODER = (
    (r'(?:transformer\.)?decoder\.layers\.', ('decoder.layers.',)),
    (r'(?:transformer\.decoder\.norm\.|decoder\.post_norm\.)', ('decoder.post_norm.',)),
)


def load_authors_weights(model: nn.Module, state_dict: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """Fill an :class:`~xemap.models.localizers.mlcm.MLCM` with weights of the authors' network.

    The text encoder's may be missing, in the checkpoint or in the model. Prints what was taken, left and missing.

    Args:
        model: with the architecture of the paper's config.
        state_dict: tensors by the authors' names, with or without DataParallel's ``module.`` in front.

    Returns:
        names: ``taken`` and ``missing`` of the model, ``left`` of the checkpoint.

    Raises:
        CheckpointError: nothing fits, or a tensor has another shape.
    """

    def names(name: str) -> list[str]:
        return [_in_layers(re.sub(f'^{theirs}', ours, name)) for theirs, ours in FROM_AUTHORS if re.match(theirs, name)]

    return take_weights(model, state_dict, names, "the authors' weights", 'MLCM checkpoint of the authors')


def load_detr_weights(
    model: nn.Module, state_dict: Mapping[str, Tensor], decoder: bool = False, fusion: bool = True
) -> dict[str, list[str]]:
    """Initialize an :class:`~xemap.models.localizers.mlcm.MLCM` from DETR, as the paper does.

    Backbone, first projection and encoder are taken. Prints what was
    taken, left and missing.

    Args:
        model: with a ResNet-50 and DETR's widths.
        state_dict: weights of DETR-R50, by the names of its authors or of mmdet.
        decoder: take DETR's decoder for ours as far as it has layers, and its norm; the authors of MLCM don't.
        fusion: take the encoder's tensors for the fusion layers, too, as the authors of MLCM do and TransVG's don't.

    Returns:
        as :func:`load_authors_weights`.

    Raises:
        CheckpointError: as :func:`load_authors_weights`.
    """
    table = FROM_DETR + FROM_DETR_DECODER * decoder

    def names(name: str) -> list[str]:
        ours = [(theirs, place) for theirs, places in table if re.match(theirs, name) for place in places]
        ours = [(theirs, place) for theirs, place in ours if fusion or place != 'fusion.layers.']
        return [_in_layers(re.sub(f'^{theirs}', place, name)) for theirs, place in ours]

    return take_weights(model, state_dict, names, "DETR's weights", 'DETR checkpoint')


def _in_layers(name: str) -> str:
    if re.match(r'(encoder|decoder|fusion)\.layers\.', name) and '.attn.' not in name:
        for theirs, ours in LAYER_PARTS:
            name = re.sub(theirs, ours, name)
    return name
