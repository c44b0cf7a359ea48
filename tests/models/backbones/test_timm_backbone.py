from __future__ import annotations

import pytest
import timm
import torch
from safetensors.torch import save_file

from tests.models.localizers.localizer_tester import TEXTS, make_images, make_samples
from tests.models.tiny import tiny_network
from xemap.errors import CheckpointError, ConfigError
from xemap.models.backbones import TimmBackbone, build_neck
from xemap.models.backbones.neck import level_channels
from xemap.registry import MODELS

SMALL = 'resnet10t'
CONVNEXT = 'test_convnext'
NECK = dict(type='mmdet.ChannelMapper', in_channels='auto', kernel_size=1, out_channels=32, num_outs=2,
            norm_cfg=dict(type='GN', num_groups=4), act_cfg=None)  # fmt: skip


@pytest.mark.parametrize(
    ('name', 'options'),
    [
        (SMALL, {}),
        (CONVNEXT, dict(drop_path_rate=0.1)),
        ('swin_tiny_patch4_window7_224', dict(img_size=64, depths=(1, 1, 1, 1), embed_dim=24, num_heads=(1, 1, 2, 2))),
        ('test_vit', dict(img_size=64)),
    ],
)
def test_levels_have_channels_first_and_the_strides_that_are_said(name, options):
    """Swin of timm puts channels last, a plain ViT has one stride."""
    backbone = TimmBackbone(name, out_indices=(0, 1), options=options).eval()
    with torch.no_grad():
        levels = backbone(torch.randn(2, 3, 64, 64))
    assert [level.shape[1] for level in levels] == backbone.out_channels == level_channels(backbone)
    assert [64 // level.shape[-1] for level in levels] == backbone.strides


@pytest.mark.parametrize(
    ('name', 'options'),
    [
        (CONVNEXT, {}),
        ('swin_tiny_patch4_window7_224', dict(img_size=64, depths=(1, 1, 1, 1), embed_dim=24, num_heads=(1, 1, 2, 2))),
    ],
)
@torch.no_grad()
def test_norms_behind_the_levels(name, options):
    torch.manual_seed(0)
    backbone, image = TimmBackbone(name, (0, 1), norm=True, options=options).eval(), torch.randn(2, 3, 64, 64)
    plain = TimmBackbone(name, (0, 1), options=options).eval()
    plain.load_state_dict({key: value for key, value in backbone.state_dict().items() if key.startswith('model.')})
    for level, expected in zip(backbone(image), plain(image), strict=True):
        mean, variance = expected.mean(1, keepdim=True), expected.var(1, keepdim=True, unbiased=False)
        torch.testing.assert_close(level, (expected - mean) / (variance + 1e-6).sqrt(), atol=1e-4, rtol=1e-4)


def test_weights_of_a_file_with_or_without_classifier(tmp_path):
    torch.manual_seed(0)
    whole = timm.create_model(CONVNEXT)
    expected = timm.create_model(CONVNEXT, features_only=True, out_indices=(1, 2))
    names = {name.replace('.', '_'): value for name, value in whole.state_dict().items()}
    expected.load_state_dict({name: names[name.replace('.', '_')] for name in expected.state_dict()})
    save_file(whole.state_dict(), tmp_path / 'whole.safetensors')
    torch.save(
        {'model': {k: v for k, v in whole.state_dict().items() if not k.startswith('head.')}}, tmp_path / 'a.pth'
    )
    for file in ('whole.safetensors', 'a.pth'):
        backbone = TimmBackbone(CONVNEXT, (1, 2), checkpoint=str(tmp_path / file)).eval()
        backbone.init_weights()
        image = torch.randn(1, 3, 64, 64)
        for ours, theirs in zip(backbone(image), expected.eval()(image), strict=True):
            assert torch.equal(ours, theirs)


def test_a_file_that_does_not_fit_is_refused(tmp_path):
    state = timm.create_model(CONVNEXT).state_dict()
    del state['stages.1.blocks.0.norm.weight']  # 1, like a fresh one: only the file can tell
    torch.save(state, tmp_path / 'part.pth')
    with pytest.raises(CheckpointError, match=r'lacks 1 of the \d+ weights of test_convnext \(stages_1.*norm.weight'):
        TimmBackbone(CONVNEXT, checkpoint=str(tmp_path / 'part.pth')).init_weights()
    torch.save({'features': torch.zeros(3)}, tmp_path / 'other.pth')
    with pytest.raises(CheckpointError, match='other.pth'):
        TimmBackbone(CONVNEXT, checkpoint=str(tmp_path / 'other.pth')).init_weights()
    backbone = TimmBackbone(CONVNEXT, checkpoint=str(tmp_path / 'none.pth'))  # not needed with a checkpoint of ours
    with pytest.raises(CheckpointError, match='none.pth does not exist'):
        backbone.init_weights()


def test_weights_that_cannot_be_fetched_ask_for_a_file(monkeypatch):
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_OFFLINE', True)  # the variable is read at import
    with pytest.raises(CheckpointError, match=f'"{SMALL}.c3_in1k" cannot be fetched .*; where there is no network'):
        TimmBackbone(f'{SMALL}.c3_in1k', pretrained=True).init_weights()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(name='convnext_enormous'), 'has no model "convnext_enormous"; use one of .*convnext_'),
        (dict(name=SMALL, out_indices=(9,)), r"'out_indices': \(9,\).*choose other levels"),
        (dict(name=SMALL, options=dict(depths=3)), '"resnet10t" with .*depths.* cannot be built'),
        (dict(name=SMALL, pretrained=True, checkpoint='a.pth'), 'give one of them'),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ConfigError, match=message):
        TimmBackbone(**options)


def test_a_neck_takes_the_channels_of_any_backbone_and_leaves_it_as_it_was():
    resnet = MODELS.build(tiny_network().backbone)
    resnet.train()
    before = {name: value.clone() for name, value in resnet.state_dict().items()}
    neck = build_neck(NECK, resnet)
    assert [conv.conv.in_channels for conv in neck.convs] == [16, 32]
    assert resnet.training and all(torch.equal(value, before[name]) for name, value in resnet.state_dict().items())


def test_a_network_on_a_timm_backbone():
    network = tiny_network()
    network.backbone = dict(type='TimmBackbone', name=CONVNEXT, out_indices=(1, 2))
    network.neck.in_channels = 'auto'
    model = MODELS.build(network).eval()
    with torch.no_grad():
        maps = model(make_images(1, (64, 64)), make_samples([TEXTS[:2]], (64, 64)))
    assert maps.shape == (2, 64, 64) and maps.std() > 0
