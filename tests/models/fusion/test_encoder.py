"""The fusion encoder against MMDetection's, one pair at a time (where MMDetection's masks are right)."""

from __future__ import annotations

import shutil

import pytest
import torch
from mmdet.models.layers.transformer.grounding_dino_layers import GroundingDinoTransformerEncoder
from mmengine.config import ConfigDict

from tests.models.tiny import tiny_network
from xemap.errors import ConfigError
from xemap.models.fusion import FusionEncoder
from xemap.registry import MODELS

SHAPES = [(6, 5), (3, 3)]
TOKENS = sum(h * w for h, w in SHAPES)


def encoders() -> tuple[FusionEncoder, GroundingDinoTransformerEncoder]:
    torch.manual_seed(0)
    config = tiny_network().encoder
    config.pop('type')
    ours = FusionEncoder(**config)
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    layers = {k: ConfigDict(v) if isinstance(v, dict) else v for k, v in config.items()}
    theirs = GroundingDinoTransformerEncoder(**layers)
    theirs.load_state_dict(ours.state_dict())  # also shows that the names are the same
    return ours.eval(), theirs.eval()


def test_equals_mmdetection_for_a_single_pair():
    ours, theirs = encoders()
    vision, position, text = torch.randn(1, TOKENS, 32), torch.randn(1, TOKENS, 32), torch.randn(1, 7, 32)
    from mmdet.models.layers.transformer.utils import get_text_sine_pos_embed

    # MMDetection hard-wires a 256-wide text embedding unless it is given one.
    text_pos = get_text_sine_pos_embed(torch.arange(7.0)[None, :, None], num_pos_feats=32, exchange_xy=False)
    with torch.no_grad():
        mine = ours(vision, position, SHAPES, text, torch.zeros(1, 7, dtype=torch.bool))
        original = theirs(
            query=vision,
            query_pos=position,
            key_padding_mask=None,
            spatial_shapes=torch.tensor(SHAPES),
            level_start_index=None,
            valid_ratios=torch.ones(1, 2, 2),
            memory_text=text,
            text_attention_mask=None,
            pos_text=text_pos,
            text_self_attention_masks=torch.ones(1, 7, 7, dtype=torch.bool),
        )
    for a, b in zip(mine, original):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_padding_changes_nothing():
    ours, _ = encoders()
    vision, position, text = torch.randn(1, TOKENS, 32), torch.randn(1, TOKENS, 32), torch.randn(1, 4, 32)
    padded = torch.cat([text, torch.randn(1, 5, 32)], 1)
    padding = torch.arange(9)[None] >= 4
    with torch.no_grad():
        short = ours(vision, position, SHAPES, text, padding[:, :4])
        long = ours(vision, position, SHAPES, padded, padding)
    torch.testing.assert_close(short[0], long[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(short[1], long[1][:, :4], atol=1e-5, rtol=1e-5)


def one_layer(**options) -> FusionEncoder:
    torch.manual_seed(0)
    config = tiny_network().encoder
    config.pop('type')
    config.fusion_layer_cfg.dropout = 0.2
    encoder = FusionEncoder(**{**config, 'num_layers': 1, **options})
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return encoder


def run(encoder: FusionEncoder, pairs: int, tokens: int) -> list[torch.Tensor]:
    """Fused tokens, and the gradients of everything."""
    torch.manual_seed(1)
    vision, text = torch.randn(pairs, TOKENS, 32, requires_grad=True), torch.randn(pairs, tokens, 32)
    padding = torch.arange(tokens)[None] >= torch.arange(1, pairs + 1)[:, None]
    fused, read = encoder(vision, torch.randn(1, TOKENS, 32), SHAPES, text.requires_grad_(), padding)
    read = read * ~padding[..., None]
    inputs = [vision, text, *encoder.parameters()]
    return [fused, read, *torch.autograd.grad(fused.sin().sum() + read.sin().sum(), inputs)]


def test_recomputing_activations_changes_no_gradient_and_saves_memory():
    """Dropout included, which must be drawn again as it was."""
    results, saved = [], []
    for checkpointing in (False, True):
        kept: dict[int, int] = {}

        def keep(tensor, kept=kept):
            kept[tensor.data_ptr()] = tensor.nbytes
            return tensor

        encoder = one_layer(checkpointing=checkpointing).train()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            results.append(run(encoder, 2, 5))
        parameters = {parameter.data_ptr() for parameter in encoder.parameters()}
        saved.append(sum(size for pointer, size in kept.items() if pointer not in parameters))
    for plain, again in zip(*results):
        torch.testing.assert_close(plain, again, atol=0, rtol=0)
    assert saved[1] < saved[0] / 3


def test_without_deformable_attention_image_tokens_do_not_see_each_other():
    config = tiny_network().encoder
    config.fusion_layer_cfg.update_text = False  # the other way from token to token
    config.layer_cfg.attention = False
    encoder = one_layer(layer_cfg=config.layer_cfg, fusion_layer_cfg=config.fusion_layer_cfg).eval()
    vision, text = torch.randn(1, TOKENS, 32), torch.randn(1, 4, 32)
    other = vision.clone()
    other[0, 3] += 1
    fixed = torch.randn(1, TOKENS, 32), SHAPES, text, torch.zeros(1, 4, dtype=torch.bool)
    with torch.no_grad():
        changed = (encoder(vision, *fixed)[0] - encoder(other, *fixed)[0]).abs().amax(-1)[0] > 0
        assert changed.nonzero().flatten().tolist() == [3]
        encoder.layers[0].attention = True
        changed = (encoder(vision, *fixed)[0] - encoder(other, *fixed)[0]).abs().amax(-1)[0] > 0
        assert changed.sum() > 1
    frozen = {name for name, p in encoder.named_parameters() if not p.requires_grad and name.startswith('layers')}
    assert frozen == {f'layers.0.self_attn.{name}' for name, _ in encoder.layers[0].self_attn.named_parameters()}


@pytest.mark.parametrize('checkpointing', [False, True])
def test_padding_changes_nothing_with_relations(checkpointing):
    encoder = one_layer(num_layers=2, relation_cfg=dict(num_heads=2), checkpointing=checkpointing).eval()
    vision, position, text = torch.randn(1, TOKENS, 32), torch.randn(1, TOKENS, 32), torch.randn(1, 4, 32)
    padded = torch.cat([text, torch.randn(1, 5, 32)], 1)
    padding = torch.arange(9)[None] >= 4
    short = encoder(vision, position, SHAPES, text, padding[:, :4])
    long = encoder(vision, position, SHAPES, padded, padding)
    torch.testing.assert_close(short[0], long[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(short[1], long[1][:, :4], atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(
    not torch.cuda.is_available() and shutil.which('g++') is None, reason='inductor needs a C++ compiler on a CPU'
)
def test_compiled_layers_give_the_same_result():
    torch.compiler.reset()
    plain, compiled = one_layer().eval(), one_layer(compile='inductor').eval()
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    for pairs, tokens in ((2, 4), (3, 6)):
        for expected, got in zip(run(plain, pairs, tokens), run(compiled, pairs, tokens)):
            torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)


def test_an_unknown_compiler_is_refused():
    with pytest.raises(ConfigError, match='compile "fast" is no back end of torch.compile; use one of .*inductor'):
        one_layer(compile='fast')


@pytest.mark.parametrize(
    'place, key, meant',
    [
        ('layer_cfg', 'atention', 'attention'),
        ('layer_cfg.self_attn_cfg', 'num_pionts', 'num_points'),
        ('layer_cfg.ffn_cfg', 'fnn_drop', 'ffn_drop'),
        ('text_layer_cfg', 'nrom_cfg', 'norm_cfg'),
        ('fusion_layer_cfg', 'update_txt', 'update_text'),
        ('relation_cfg', 'num_head', 'num_heads'),
    ],
)
def test_misspelled_options_of_the_layers_are_refused(place, key, meant):
    config = tiny_network().encoder
    config.relation_cfg = {}
    part = config
    for name in place.split('.'):
        part = part[name]
    part[key] = 1
    with pytest.raises(ConfigError, match=rf'^{place} \(\w+\): unknown key "{key}" .*did you mean "{meant}"'):
        MODELS.build(config)


def test_relation_blocks_stand_before_every_layer_but_the_first():
    """Zero blocks change nothing, so the weights of an encoder without them fit; others reach every token."""
    plain, related = one_layer(num_layers=3).eval(), one_layer(num_layers=3, relation_cfg=dict(num_heads=2)).eval()
    assert related.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert {key.split('.')[1] for key in related.state_dict() if key.startswith('relation_layers')} == {'0', '1'}
    expected, _ = run(plain, 2, 5)[:2]
    for block in related.relation_layers:
        torch.nn.init.zeros_(block.out.weight)
        torch.nn.init.zeros_(block.out.bias)
    torch.testing.assert_close(run(related, 2, 5)[0], expected, atol=0, rtol=0)
    for changed in related.relation_layers:
        torch.nn.init.normal_(changed.out.weight)
        moved = (run(related, 2, 5)[0] - expected).abs().amax(-1)
        assert (moved > 1e-6).all()
        torch.nn.init.zeros_(changed.out.weight)


def test_relations_need_two_layers():
    with pytest.raises(ConfigError, match='relation_cfg and num_layers=1; relations need 2 layers'):
        one_layer(relation_cfg=dict())
