"""Grounding DINO's weights by the names of transformers and of IDEA give what the original network gives."""

from __future__ import annotations

import re

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from safetensors.torch import load_file
from transformers import GroundingDinoConfig, GroundingDinoModel, SwinConfig

from xemap.models import checkpoint
from xemap.models.checkpoint import load_grounding_dino
from xemap.models.grounding_dino import to_mmdet
from xemap.registry import MODELS

WIDTH, LAYERS, HEADS, POINTS, FFN = 32, 2, 4, 2, 64
SWIN = dict(depths=[1, 1, 2, 1], num_heads=[1, 2, 2, 2], window_size=4)
BERT = dict(model_type='bert', hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
            vocab_size=60, max_position_embeddings=32)  # fmt: skip


@pytest.fixture(scope='module')
def original() -> GroundingDinoModel:
    """A narrow model of transformers, every weight random."""
    config = GroundingDinoConfig(
        backbone_config=SwinConfig(embed_dim=12, out_indices=[2, 3, 4], **SWIN), text_config=BERT, d_model=WIDTH,
        encoder_layers=LAYERS, decoder_layers=1, encoder_attention_heads=HEADS, decoder_attention_heads=HEADS,
        encoder_ffn_dim=FFN, decoder_ffn_dim=FFN, encoder_n_points=POINTS, num_queries=3,
    )  # fmt: skip
    torch.manual_seed(0)
    model = GroundingDinoModel(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


@pytest.fixture
def network() -> torch.nn.Module:
    """XeMapNetwork of the same sizes, but for the text encoder, which is the packaged one."""
    ffn = dict(embed_dims=WIDTH, ffn_drop=0.0)
    config = ConfigDict(
        type='XeMapNetwork',
        backbone=dict(type='SwinTransformer', embed_dims=12, out_indices=(1, 2, 3), drop_path_rate=0.0, **SWIN),
        neck=dict(type='ChannelMapper', in_channels=[24, 48, 96], kernel_size=1, out_channels=WIDTH, act_cfg=None,
                  bias=True, norm_cfg=dict(type='GN', num_groups=32), num_outs=4),
        language_model=dict(type='HuggingFaceTextEncoder', name='minilm'),
        encoder=dict(
            type='FusionEncoder', num_layers=LAYERS,
            layer_cfg=dict(self_attn_cfg=dict(embed_dims=WIDTH, num_heads=HEADS, num_points=POINTS, dropout=0.0),
                           ffn_cfg=dict(ffn, feedforward_channels=FFN)),
            text_layer_cfg=dict(self_attn_cfg=dict(embed_dims=WIDTH, num_heads=HEADS // 2, dropout=0.0),
                                ffn_cfg=dict(ffn, feedforward_channels=FFN // 2)),
            fusion_layer_cfg=dict(v_dim=WIDTH, l_dim=WIDTH, embed_dim=FFN // 2, num_heads=HEADS // 2),
        ),
        head=dict(type='HMSAHead'),
        positional_encoding=dict(num_feats=WIDTH // 2, normalize=True, temperature=20),
    )  # fmt: skip
    with DefaultScope.overwrite_default_scope('xemap'):
        return MODELS.build(config).eval()


HF_TO_IDEA = [
    ('backbone.conv_encoder.model.embeddings.patch_embeddings.projection', 'backbone.0.patch_embed.proj'),
    ('backbone.conv_encoder.model.embeddings.norm', 'backbone.0.patch_embed.norm'),
    ('backbone.conv_encoder.model.encoder', 'backbone.0'),
    ('backbone.conv_encoder.model.hidden_states_norms.stage2', 'backbone.0.norm1'),
    ('backbone.conv_encoder.model.hidden_states_norms.stage3', 'backbone.0.norm2'),
    ('backbone.conv_encoder.model.hidden_states_norms.stage4', 'backbone.0.norm3'),
    ('layernorm_before', 'norm1'), ('layernorm_after', 'norm2'), ('attention.self.relative', 'attn.relative'),
    ('attention.output.dense', 'attn.proj'), ('intermediate.dense', 'mlp.fc1'), ('output.dense', 'mlp.fc2'),
    ('input_proj_vision', 'input_proj'), ('text_projection', 'feat_map'), ('level_embed', 'transformer.level_embed'),
    ('fusion_layer.vision_param', 'gamma_v'), ('fusion_layer.text_param', 'gamma_l'),
    ('fusion_layer.layer_norm_vision', 'layer_norm_v'), ('fusion_layer.layer_norm_text', 'layer_norm_l'),
    ('fusion_layer.attn.vision_proj', 'attn.v_proj'), ('fusion_layer.attn.text_proj', 'attn.l_proj'),
    ('fusion_layer.attn.values_vision_proj', 'attn.values_v_proj'),
    ('fusion_layer.attn.values_text_proj', 'attn.values_l_proj'),
    ('fusion_layer.attn.out_vision_proj', 'attn.out_v_proj'), ('fusion_layer.attn.out_text_proj', 'attn.out_l_proj'),
    ('deformable_layer.self_attn_layer_norm', 'norm1'), ('deformable_layer.final_layer_norm', 'norm2'),
    ('deformable_layer.fc', 'linear'), ('deformable_layer.self_attn', 'self_attn'),
    ('text_enhancer_layer.layer_norm_before', 'norm1'), ('text_enhancer_layer.layer_norm_after', 'norm2'),
    ('text_enhancer_layer.fc', 'linear'), ('text_enhancer_layer.self_attn', 'self_attn'),
]  # fmt: skip
"""As the conversion that published transformers' weights lists them."""


def as_idea(saved: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights by the names of IDEA's repository, of the parts that a localizer has."""
    made: dict[str, torch.Tensor] = {}
    for name in saved:
        kind = re.search(r'(fusion|text_enhancer|deformable)_layer', name)
        new = name
        if name.startswith('text_backbone.'):
            made[name.replace('text_backbone', 'module.bert')] = saved[name]
            continue
        for old, replacement in HF_TO_IDEA:
            new = new.replace(old, replacement)
        if kind:
            folder = {'fusion': 'fusion_layers', 'text_enhancer': 'text_layers', 'deformable': 'layers'}[kind[1]]
            new = 'transformer.' + new.replace('encoder.layers', f'encoder.{folder}')
        value = saved[name]
        if '.query.' in name:
            value = torch.cat([saved[name.replace('.query.', f'.{part}.')] for part in ('query', 'key', 'value')])
            new = new.replace('attention.self.query', 'attn.qkv').replace('self_attn.query.', 'self_attn.in_proj_')
        elif '.key.' in name or '.value.' in name or '.layernorm.' in name:
            continue
        made[f'module.{new}'] = value
    return made


@pytest.fixture(scope='module')
def files(original, tmp_path_factory):
    """One checkpoint a dialect."""
    path = tmp_path_factory.mktemp('weights')
    original.save_pretrained(path / 'hf')
    saved = load_file(path / 'hf/model.safetensors')
    torch.save({f'model.{k}': v for k, v in saved.items()}, path / 'detector.pth')  # of GroundingDinoForObjectDetection
    torch.save(original.state_dict(), path / 'memory.pth')  # transformers 5 spells some in its own way in memory
    torch.save({'model': as_idea(saved)}, path / 'idea.pth')
    return {'saved': path / 'hf/model.safetensors', 'detector': path / 'detector.pth', 'memory': path / 'memory.pth',
            'IDEA': path / 'idea.pth'}  # fmt: skip


@pytest.mark.parametrize('file', ['saved', 'detector', 'memory', 'IDEA'])
def test_image_side_and_fusion_compute_what_the_original_computes(original, network, files, file, log, monkeypatch):
    # The packaged text encoder has other sizes than the made-up one, so its names must not meet.
    monkeypatch.delitem(checkpoint.FROM_GROUNDING_DINO, 'language_model.language_backbone.body.model.')
    monkeypatch.setattr(network, 'text_feat_map', torch.nn.Linear(16, WIDTH))
    load_grounding_dino(network, files[file])
    report = log[-1]
    dialect = 'IDEA' if file == 'IDEA' else 'transformers'
    assert f'with the names of {dialect}: took ' in report
    missing = report.partition('missing there ')[2]
    assert re.fullmatch(r'\d+ \(backbone 5, language_model \d+\)', missing), missing  # 5: indices, no weights

    torch.manual_seed(1)
    image, text = torch.randn(1, 3, 128, 128), torch.randn(1, 5, WIDTH)
    with torch.no_grad():
        maps = [m for m, _ in original.backbone(image, torch.ones(1, 128, 128, dtype=torch.long))[0]]
        for ours, theirs in zip(network.backbone(image), maps, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
        tokens, position, shapes = network.encode_images(image)
        projected = [proj(m) for proj, m in zip(original.input_proj_vision, [*maps, maps[-1]])]
        torch.testing.assert_close(tokens, torch.cat([m.flatten(2).mT for m in projected], 1), atol=1e-4, rtol=1e-4)
        assert torch.equal(network.level_embed, original.level_embed)
        assert torch.equal(network.text_feat_map.weight, original.text_projection.weight)
        fused = network.encoder(tokens, position, shapes, text, torch.zeros(1, 5, dtype=torch.bool))
        theirs = original.encoder(
            vision_features=tokens, vision_attention_mask=torch.zeros(1, tokens.shape[1], dtype=torch.bool),
            vision_position_embedding=position, spatial_shapes=torch.tensor(shapes), spatial_shapes_list=shapes,
            level_start_index=torch.tensor([0, 256, 320, 336]), valid_ratios=torch.ones(1, 4, 2), text_features=text,
            text_attention_mask=torch.zeros(1, 5, dtype=torch.bool),
            text_self_attention_masks=torch.zeros(1, 5, 5, dtype=torch.bool), text_position_ids=torch.arange(5)[None],
        )  # fmt: skip
    torch.testing.assert_close(fused[0], theirs.last_hidden_state_vision, atol=2e-4, rtol=1e-3)
    torch.testing.assert_close(fused[1], theirs.last_hidden_state_text, atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize('file', ['saved', 'IDEA'])
def test_the_text_encoder_s_names(original, files, file):
    weights, _ = to_mmdet(checkpoint.read_state_dict(files[file]))
    prefix = 'language_model.language_backbone.body.model.'
    expected = {prefix + name: value for name, value in original.text_backbone.state_dict().items()}
    assert {name for name in weights if name.startswith(prefix)} == expected.keys()
    assert all(torch.equal(weights[name], value) for name, value in expected.items())


def test_mmdetections_own_names_stay():
    weights = {'encoder.layers.0.norms.0.weight': torch.ones(2), 'backbone.norm1.weight': torch.ones(2)}
    assert to_mmdet(weights) == (weights, 'MMDetection')
