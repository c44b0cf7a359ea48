from __future__ import annotations

import copy
import math
import warnings

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from torch import nn

from tests.models.localizers.localizer_tester import TEXTS, NetworkTester, make_images, make_samples
from tests.models.tiny import tiny_network
from xemap.errors import ConfigError, DataError
from xemap.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS

FUSION_SIDE = ('neck.', 'text_feat_map.', 'level_embed', 'encoder.')


def build(**overrides) -> nn.Module:
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('xemap'):
        model = MODELS.build(tiny_network(**overrides))
        model.init_weights()
    return model


def optimizer_of(model: nn.Module):
    config = dict(
        type='TrainableParamsConstructor',
        optim_wrapper_cfg=dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-2)),
    )
    with DefaultScope.overwrite_default_scope('xemap'):
        return OPTIM_WRAPPER_CONSTRUCTORS.build(config)(model)


class TestXeMapNetwork(NetworkTester):
    config = tiny_network()


class TestXeMapNetworkAtOneSize(NetworkTester):
    config = tiny_network()
    pipeline = [dict(type='LoadImage'), dict(type='ResizeImage', size=(64, 48)), dict(type='PackXeMapInputs')]


RELATIONS = copy.deepcopy(tiny_network().encoder)
RELATIONS.update(num_layers=2, relation_cfg=dict())


class TestXeMapNetworkWithRelations(NetworkTester):
    config = tiny_network(encoder=RELATIONS)


def test_heads_of_relation_blocks_learn_what_phrases_name():
    model = build(encoder=RELATIONS, phrase_weight=1.0).train()
    samples, images = make_samples([TEXTS[:2], TEXTS[:1]], (64, 64)), make_images(2, (64, 64))
    with pytest.raises(ConfigError, match=r'learns gt_phrases .* put dict\(type="GeneratePhrases"\) before'):
        model.loss(images, samples)
    for sample in samples:
        sample.gt_phrases = torch.zeros(len(sample.texts), 2, 8, 8)
        sample.gt_phrases[:, 0, :2, :2] = sample.gt_phrases[:, 1, 6:, 6:] = 1
    optimizer = torch.optim.Adam(model.encoder.relation_layers.parameters(), lr=0.02)
    values = []
    for _ in range(60):
        losses = model.loss(images, samples)
        assert losses.keys() == {'loss_map', 'loss_phrases'}
        values.append(losses['loss_phrases'].item())
        optimizer.zero_grad()
        losses['loss_phrases'].backward()
        optimizer.step()
    assert values[-1] < 0.2 < 1.5 < values[0]


def test_queries_that_record_no_phrases_are_warned_of_once():
    model, images = build(encoder=RELATIONS, phrase_weight=1.0).train(), make_images(1, (64, 64))
    samples = make_samples([TEXTS[:2]], (64, 64))
    samples[0].gt_phrases = torch.zeros(2, 2, 8, 8)
    with pytest.warns(UserWarning, match='no query of this batch records its distractors or anchors'):
        assert model.loss(images, samples)['loss_phrases'] == 0
    samples[0].gt_phrases[0, 0, 0, 0] = 1
    model.loss(images, samples)
    samples[0].gt_phrases[:] = 0
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        model.loss(images, samples)


class TestXeMapNetworkMaxPooling(NetworkTester):
    config = tiny_network(head=dict(type='HMSAHead', pooling='max'))


def test_frozen_parts_do_not_move_and_the_rest_does():
    model = build()
    optimizer = optimizer_of(model)
    before = copy.deepcopy(model.state_dict())
    model.train()
    for step in range(3):
        loss = model(make_images(2, (64, 64), step), make_samples([TEXTS[:2], TEXTS[2:]], (64, 64)), mode='loss')
        optimizer.update_params(loss['loss_map'])
    after = model.state_dict()
    for name, value in before.items():
        if name.startswith(FUSION_SIDE):
            continue
        assert torch.equal(value, after[name]), f'{name} is frozen and changed (weights and running statistics)'
    still = [n for n, p in model.named_parameters() if p.requires_grad and torch.equal(p, before[n])]
    assert still == []


def test_only_the_fusion_side_is_trainable_and_in_the_optimizer():
    model = build()
    trainable = {n for n, p in model.named_parameters() if p.requires_grad}
    assert trainable == {n for n, _ in model.named_parameters() if n.startswith(FUSION_SIDE)}
    in_optimizer = {id(p) for group in optimizer_of(model).param_groups for p in group['params']}
    assert in_optimizer == {id(p) for n, p in model.named_parameters() if n in trainable}


def test_frozen_parts_stay_in_eval_mode_and_build_no_graph():
    model = build().train()
    assert model.training and model.encoder.training
    frozen = [m for name in ('backbone', 'language_model') for m in getattr(model, name).modules()]
    assert not any(m.training for m in frozen)
    features = []
    hook = model.backbone.register_forward_hook(lambda module, args, output: features.extend(output))
    model(make_images(1, (64, 64)), make_samples([TEXTS[:1]], (64, 64)), mode='loss')
    hook.remove()
    assert features and not any(f.requires_grad for f in features)


def test_unfrozen_encoders_train():
    model = build(frozen=()).train()
    assert all(p.requires_grad for p in model.parameters())
    loss = model(make_images(2, (64, 64)), make_samples([TEXTS[:2], TEXTS[2:]], (64, 64)), mode='loss')
    loss['loss_map'].backward()
    assert model.backbone.conv1.weight.grad.abs().sum() > 0
    assert model.language_model.model.embeddings.word_embeddings.weight.grad.abs().sum() > 0


def test_an_image_and_a_repeated_text_are_encoded_once(monkeypatch):
    model = build().eval()
    images_seen, texts_seen = [], []
    backbone, language_model = model.backbone.forward, model.language_model.forward
    monkeypatch.setattr(model.backbone, 'forward', lambda x: images_seen.append(len(x)) or backbone(x))
    monkeypatch.setattr(model.language_model, 'forward', lambda t: texts_seen.extend(t) or language_model(t))
    with torch.no_grad():
        model(make_images(2, (64, 64)), make_samples([TEXTS, TEXTS], (64, 64)))
    assert images_seen == [2]
    assert texts_seen == TEXTS


def test_prediction_in_chunks_is_the_same():
    model = build().eval()
    images, queries = make_images(2, (64, 64)), [TEXTS, TEXTS[:3]]
    with torch.no_grad():
        whole = model(images, make_samples(queries, (64, 64)))
        model.max_pairs = 2
        parts = model(images, make_samples(queries, (64, 64)), mode='predict')
    maps = np.concatenate([sample.answers.maps() for sample in parts])
    torch.testing.assert_close(torch.from_numpy(maps), whole, atol=1e-6, rtol=0)


def test_images_of_two_sizes_are_refused():
    samples = make_samples([TEXTS[:1]], (64, 64)) + make_samples([TEXTS[:1]], (32, 64))
    with pytest.raises(ConfigError, match=r'\(32, 64\) and \(64, 64\)'):
        build()(make_images(2, (64, 64)), samples)


@pytest.mark.parametrize(
    ('overrides', 'message'),
    [
        (dict(frozen=('backbon',)), '"backbon" is no part'),
        (dict(head=dict(type='HMSAHead', pooling='avg')), 'pooling "avg"'),
        (dict(head=dict(type='HMSAHead', poolin='max')), 'did you mean "pooling"'),
        (dict(positional_encoding=dict(num_feats=8)), 'num_feats is 8'),
        (dict(positional_encoding=dict(num_feat=8)), 'unknown key "num_feat" .*did you mean "num_feats"'),
        (dict(max_pairs=0), 'max_pairs is 0'),
        (dict(phrase_weight=1.0), 'the encoder has none; set encoder.relation_cfg'),
        (dict(encoder=RELATIONS, phrase_weight=-1.0), 'phrase_weight=-1.0'),
        (dict(encoder=RELATIONS, phrase_weight=1.0, frozen=('encoder',)), 'phrase_weight=1.0 trains relation blocks'),
        (dict(num_levels=3), 'self_attn_cfg.num_levels is 2 and num_levels is 3'),
    ],
)
def test_bad_configs_name_the_key(overrides, message):
    with pytest.raises(ConfigError, match=message):
        build(**overrides)


@pytest.mark.parametrize(
    ('neck', 'message'),
    [
        (dict(in_channels=[16, 64]), r"in_channels is \[16, 64\]; the backbone .* \[16, 32\] channels, set .* 'auto'"),
        (dict(in_channels=[16]), r'in_channels is \[16\]; the backbone returns levels of \[16, 32\]'),
        (dict(num_outs=3), 'num_levels is 2; the neck returns 3'),
    ],
)
def test_a_neck_that_does_not_fit_is_refused_with_the_first_image(neck, message):
    model = build(neck={**tiny_network().neck, **neck})
    with pytest.raises(ConfigError, match=message):
        model(make_images(1, (64, 64)), make_samples([TEXTS[:1]], (64, 64)))


def test_a_training_batch_without_queries_is_refused():
    with pytest.raises(DataError, match='without any query'):
        build().train()(make_images(1, (64, 64)), make_samples([[]], (64, 64)), mode='loss')


def test_mixed_precision_keeps_maps_and_positions_exact():
    model = build().train()
    samples = make_samples([TEXTS[:2], TEXTS[2:]], (64, 64))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        maps = model(make_images(2, (64, 64)), samples)
        loss = model(make_images(2, (64, 64)), samples, mode='loss')['loss_map']
    assert maps.dtype == torch.float32
    assert len(maps.unique()) > 1000  # in bfloat16 there were about a hundred values
    loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)


@pytest.mark.slow
@pytest.mark.parametrize('device, steps', [('cpu', 500), pytest.param('cuda', 500, marks=pytest.mark.gpu)])
def test_training_in_bfloat16_learns_without_nan(device, steps):
    if device == 'cuda' and not torch.cuda.is_available():
        pytest.skip('no GPU')
    model = build().to(device).train()
    model.head.map_loss = MODELS.build(dict(type='BalancedMapL1Loss'))
    samples = [s.to(device) for s in make_samples([TEXTS[:2], TEXTS[2:4]], (32, 32))]
    for i, sample in enumerate(samples):  # the upper or the lower half, as image and text say
        sample.gt_maps[:] = 0
        sample.gt_maps[i, :16] = sample.gt_maps[1 - i, 16:] = 1
    images = make_images(2, (32, 32)).to(device)
    read = model.language_model(TEXTS[:4])  # once for all steps: it is frozen
    model.language_model.forward = lambda texts: read
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    losses, tenth = [], steps // 10
    for _ in range(steps):
        with torch.autocast(device, dtype=torch.bfloat16):
            loss = model(images, samples, mode='loss')['loss_map']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        assert math.isfinite(losses[-1])
        learned = len(losses) >= 2 * tenth and sum(losses[-tenth:]) < 0.7 * sum(losses[:tenth])
        if learned and device == 'cpu':  # where a step takes long
            break
    assert learned


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')
def test_gpu_gives_the_maps_and_gradients_of_the_cpu():
    results = []
    for device in ('cpu', 'cuda'):
        model = build().to(device).train()
        samples = [s.to(device) for s in make_samples([TEXTS[:2], TEXTS[2:]], (64, 64))]
        images = make_images(2, (64, 64)).to(device)
        maps = model(images, samples)
        model(images, samples, mode='loss')['loss_map'].backward()
        gradients = torch.cat([p.grad.flatten().cpu() for p in model.parameters() if p.requires_grad])
        results.append((maps.detach().cpu(), gradients))
    torch.testing.assert_close(results[0], results[1], atol=1e-4, rtol=1e-3)
