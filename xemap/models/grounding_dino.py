"""Names of Grounding DINO's weights: those of IDEA and of transformers brought to MMDetection's.

Each dialect is translated to the next: transformers -> IDEA -> MMDetection. The decoder and the box heads, which
no localizer here has, keep their names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import torch
from mmdet.models.backbones.swin import swin_converter
from torch import Tensor

Rules = tuple[tuple[str, str], ...]

_SWIN = r'^backbone\.conv_encoder\.model\.(?:swin\.)?'
_HF_TO_IDEA: Rules = (
    (_SWIN + r'embeddings\.patch_embeddings\.projection\.', 'backbone.0.patch_embed.proj.'),
    (_SWIN + r'embeddings\.norm\.', 'backbone.0.patch_embed.norm.'),
    (_SWIN + r'encoder\.layers\.', 'backbone.0.layers.'),
    (_SWIN + r'hidden_states_norms\.stage2\.', 'backbone.0.norm1.'),
    (_SWIN + r'hidden_states_norms\.stage3\.', 'backbone.0.norm2.'),
    (_SWIN + r'hidden_states_norms\.stage4\.', 'backbone.0.norm3.'),
    (r'^text_backbone\.', 'bert.'),
    (r'^input_proj_vision\.', 'input_proj.'),
    (r'^text_projection\.', 'feat_map.'),
    (r'^level_embed$', 'transformer.level_embed'),
    (r'^encoder\.layers\.(\d+)\.deformable_layer\.', r'transformer.encoder.layers.\1.'),
    (r'^encoder\.layers\.(\d+)\.text_enhancer_layer\.', r'transformer.encoder.text_layers.\1.'),
    (r'^encoder\.layers\.(\d+)\.fusion_layer\.', r'transformer.encoder.fusion_layers.\1.'),
)
"""Prefixes; whatever none of these fits is left alone."""

_HF_SWIN_TO_IDEA: Rules = (
    (r'\.layernorm_before\.', '.norm1.'),
    (r'\.layernorm_after\.', '.norm2.'),
    (r'\.attention\.(?:self\.)?(?:relative_position_bias\.)?relative_position', '.attn.relative_position'),
    (r'\.attention\.(?:output\.dense|o_proj)\.', '.attn.proj.'),
    (r'\.attention\.(?:self\.)?(query|key|value|q_proj|k_proj|v_proj)\.', r'.attn.\1.'),
    (r'\.intermediate\.dense\.', '.mlp.fc1.'),
    (r'(?<!attention)\.output\.dense\.', '.mlp.fc2.'),
)
"""Within a block of the image encoder; transformers 5 and 4 spell some differently."""

_HF_ENCODER_TO_IDEA: Rules = (
    (r'\.fc(\d)\.', r'.linear\1.'),
    (r'\.(?:self_attn_layer_norm|layer_norm_before)\.', '.norm1.'),
    (r'\.(?:final_layer_norm|layer_norm_after)\.', '.norm2.'),
    (r'\.vision_param$', '.gamma_v'),
    (r'\.text_param$', '.gamma_l'),
    (r'\.layer_norm_vision\.', '.layer_norm_v.'),
    (r'\.layer_norm_text\.', '.layer_norm_l.'),
    (r'([._])vision_proj\.', r'\1v_proj.'),
    (r'([._])text_proj\.', r'\1l_proj.'),
)
"""Within a layer of the fusion."""

_IDEA_TO_MMDET: Rules = (
    (r'^bert\.', 'language_model.language_backbone.body.model.'),
    (r'^feat_map\.', 'text_feat_map.'),
    (r'^input_proj\.3\.', 'neck.extra_convs.0.'),
    (r'^input_proj\.', 'neck.convs.'),
    (r'^(neck\.(?:extra_)?convs\.\d+)\.0\.', r'\1.conv.'),
    (r'^(neck\.(?:extra_)?convs\.\d+)\.1\.', r'\1.gn.'),
    (r'^transformer\.(encoder\.|level_embed$)', r'\1'),
    (r'^(encoder\..*)\.norm1\.', r'\1.norms.0.'),
    (r'^(encoder\..*)\.norm2\.', r'\1.norms.1.'),
    (r'^(encoder\..*)\.linear1\.', r'\1.ffn.layers.0.0.'),
    (r'^(encoder\..*)\.linear2\.', r'\1.ffn.layers.1.'),
    (r'^(encoder\.text_layers\.\d+\.self_attn)\.', r'\1.attn.'),
)

_THIRDS = {'query': 0, 'q_proj': 0, 'key': 1, 'k_proj': 1, 'value': 2, 'v_proj': 2}


def to_mmdet(weights: dict[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """Weights by MMDetection's names.

    Args:
        weights: weights of a Grounding DINO by the names of MMDetection, of IDEA's repository, or of transformers
            (``GroundingDinoModel`` or ``GroundingDinoForObjectDetection``, version 4 or 5).

    Returns:
        the weights, and whose names they had: ``'MMDetection'``, ``'IDEA'`` or ``'transformers'``. Queries, keys
        and values are one matrix, and the patch merging of Swin has MMDetection's order of channels.
    """
    dialect = 'MMDetection'
    if any(name.startswith(('model.backbone.conv_encoder.', 'backbone.conv_encoder.')) for name in weights):
        weights, dialect = _hf_to_idea(weights), 'transformers'
    if any(name.startswith(('backbone.0.', 'transformer.encoder.')) for name in weights):
        weights = _idea_to_mmdet(weights)
        dialect = 'IDEA' if dialect == 'MMDetection' else dialect
    return weights, dialect


def _rename(name: str, rules: Rules) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _hf_to_idea(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    renamed = {}
    for name, value in weights.items():
        name = _rename(name.removeprefix('model.'), _HF_TO_IDEA)
        if name.startswith('backbone.0.'):
            name = _rename(name, _HF_SWIN_TO_IDEA)
        elif name.startswith('transformer.encoder.'):
            name = _rename(name, _HF_ENCODER_TO_IDEA)
        renamed[name] = value
    renamed = _join_thirds(renamed, r'^(backbone\.0\..*\.attn)\.(\w+)\.(weight|bias)$', r'\1.qkv.\3')
    return _join_thirds(renamed, r'^(transformer\.encoder\.text_layers\.\d+\.self_attn)\.(\w+)\.(weight|bias)$',
                        r'\1.in_proj_\3')  # fmt: skip


def _join_thirds(weights: dict[str, Tensor], pattern: str, joined: str) -> dict[str, Tensor]:
    """Queries', keys' and values' matrices of an attention as one, in this order."""
    result: dict[str, Tensor] = {}
    parts: dict[str, dict[int, Tensor]] = {}
    for name, value in weights.items():
        match = re.match(pattern, name)
        if match and match[2] in _THIRDS:
            parts.setdefault(match.expand(joined), {})[_THIRDS[match[2]]] = value
        else:
            result[name] = value
    whole = {name: [thirds[i] for i in range(3)] for name, thirds in parts.items() if len(thirds) == 3}
    return result | {name: torch.cat(thirds) for name, thirds in whole.items()}


def _idea_to_mmdet(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    prefix = 'backbone.0.'
    backbone = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    rest: Iterable[tuple[str, Tensor]] = ((n, v) for n, v in weights.items() if not n.startswith(prefix))
    return {**swin_converter(backbone), **{_rename(name, _IDEA_TO_MMDET): value for name, value in rest}}
