"""CroBIM's and LAVT's configs: each builds, and an ablation differs from its base only in what its name says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.model import convert_sync_batchnorm, revert_sync_batchnorm
from mmengine.registry import DefaultScope

from tests.models.localizers.config_changes import changes
from tests.models.localizers.localizer_tester import TEXTS, make_images, make_samples
from xemap.engine import load_config
from xemap.errors import ConfigError
from xemap.models.localizers.lavt.head import FusedLevels
from xemap.registry import DATASETS, METRICS, MODELS, OPTIM_WRAPPER_CONSTRUCTORS

ROOT = Path(__file__).parents[4] / 'configs'
BASE = ROOT / 'crobim/crobim_convnext-b_bert_480_40e_risbench.py'
ABLATIONS = sorted(BASE.parent.glob(f'{BASE.stem}_*.py'))
RECIPES = sorted({*ROOT.glob('crobim/*_40e_*.py'), *ROOT.glob('lavt/*_40e_*.py')} - set(ABLATIONS))
NARROW = {
    'model.backbone': dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, style='pytorch', _delete_=True),
    'model.in_channels': (8, 16, 32, 64),
    'model.language_model.name': 'minilm',
}


def build(config):
    with DefaultScope.overwrite_default_scope('xemap'):
        return MODELS.build(config.model)


CHANGED: dict[str, dict] = {
    'adc-k0': {'model.compensation.top_ratio': 0.0},
    'adc-k12': {'model.compensation.top_ratio': 0.125},
    'adc-k50': {'model.compensation.top_ratio': 0.5},
    'adc-k100': {'model.compensation.top_ratio': 1.0},
    'adc-off': {'model.compensation': None},
    'adc-replace': {'model.compensation.write_back': 'replace'},
    'adc-s234': {'model.compensation.stages': (1, 2, 3)},
    'adc-s34': {'model.compensation.stages': (2, 3)},
    'adc-s4': {'model.compensation.stages': (3,)},
    'capm-avg': {'model.prompts.pool': 'avg'},
    'capm-channel': {'model.prompts.context': 'channels'},
    'capm-max': {'model.prompts.pool': 'max'},
    'capm-off': {'model.prompts': None},
    'capm-s123': {'model.prompts.scales': (0, 1, 2)},
    'capm-s124': {'model.prompts.scales': (0, 1, 3)},
    'capm-s234': {'model.prompts.scales': (1, 2, 3)},
    'lgfa-channels': {'model.attend': 'channels'},
    'mid-n1': {'model.decoder.num_layers': 1},
    'mid-n2': {'model.decoder.num_layers': 2},
    'mid-n6': {'model.decoder.num_layers': 6},
    'mid-pwam': {'model.decoder.mode': 'unidirectional'},
    'mid-stacked': {'model.decoder.order': 'stacked'},
    'mid-wpa': {'model.decoder.mode': 'parallel'},
}  # fmt: skip
"""What each ablation changes, and nothing else."""


def test_every_ablation_changes_what_its_name_says_and_nothing_else():
    assert {path.stem.removeprefix(f'{BASE.stem}_'): changes(path, BASE) for path in ABLATIONS} == CHANGED
    for path in ABLATIONS:
        assert len([line for line in path.read_text().splitlines() if line and not line.startswith('#')]) <= 3


@pytest.mark.parametrize('path', ABLATIONS, ids=lambda p: p.stem.removeprefix(BASE.stem + '_'))
def test_an_ablation_trains(path):
    config = load_config(path)
    config.merge_from_dict({**NARROW, 'model.decoder.embed_dims': 32, 'model.decoder.ffn_dims': 32})
    model = build(config).train()
    (loss,) = model(make_images(1, (64, 64)), make_samples([TEXTS[:2]], (64, 64)), mode='loss').values()
    loss.backward()
    assert torch.isfinite(loss)
    assert [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize('path', RECIPES, ids=lambda p: p.stem)
def test_a_recipe_reads_its_data_set(path):
    config = load_config(path)
    part = path.stem.partition("40e_")[2].replace("-", "_")
    assert config.train_dataloader.dataset.ann_file == f"{part}/train.arrow"
    assert config.train_dataloader.dataset.data_root == config.test_dataloader.dataset.data_root
    with DefaultScope.overwrite_default_scope('xemap'):
        own, published = map(METRICS.build, config.test_evaluator)
        assert own.size is None and published.size == config.image_size
        for name in ('train', 'val', 'test'):
            DATASETS.build({**config[f'{name}_dataloader'].dataset, 'lazy_init': True})


def without_decay(config) -> set[str]:
    """Names of the parameters that the config's optimizer does not decay."""
    model, wrapper = build(config), config.optim_wrapper
    constructor = dict(
        type='TrainableParamsConstructor',
        optim_wrapper_cfg=dict(type='OptimWrapper', optimizer=dict(wrapper.optimizer)),
        paramwise_cfg=wrapper.paramwise_cfg,
    )
    with DefaultScope.overwrite_default_scope('xemap'):
        groups = OPTIM_WRAPPER_CONSTRUCTORS.build(constructor)(model).optimizer.param_groups
    kept = {id(p) for group in groups if group['weight_decay'] == 0 for p in group['params']}
    return {name for name, p in model.named_parameters() if id(p) in kept}


def test_a_part_that_is_left_out_needs_no_rule_of_the_optimizer():
    config = load_config(BASE)
    config.merge_from_dict({**NARROW, 'model.prompts': None})
    assert 'decoder.level_embed' in without_decay(config)
    config.optim_wrapper.paramwise_cfg.custom_keys['promts.prompts'] = dict(decay_mult=0.0)
    with pytest.raises(ConfigError, match='"promts.prompts" is in no name of a parameter'):
        without_decay(config)


def test_lavt_normalizes_over_all_ranks():
    """Batches of a rank are small. The head survives the conversion and, in one process, the way back."""
    config = load_config(ROOT / 'lavt/lavt_swin-b_bert_480_40e_rrsis-d.py')
    config.merge_from_dict({**NARROW, 'model.head.width': 8})
    head = build(config).head.eval()
    levels = [torch.randn(1, 8 << i, 16 >> i, 16 >> i) for i in range(4)]
    fused = FusedLevels(levels, (64, 64), [1])
    with torch.no_grad():
        before = head(fused)
        synced = convert_sync_batchnorm(head, config.sync_bn)
        assert sum(isinstance(m, torch.nn.SyncBatchNorm) for m in synced.modules()) == 6
        assert torch.equal(revert_sync_batchnorm(synced).eval()(fused), before)


@pytest.mark.parametrize('path', [p for p in RECIPES if 'crobim' in p.name], ids=lambda p: p.stem)
def test_what_does_not_decay(path):
    config = load_config(path)
    config.merge_from_dict(NARROW)
    config.merge_from_dict({'optim_wrapper.paramwise_cfg.custom_keys.relative_position_bias_table': None})
    config.optim_wrapper.paramwise_cfg.custom_keys.pop('relative_position_bias_table')
    names = without_decay(config)
    assert {'prompts.prompts', 'decoder.level_embed', 'decoder.vision_layers.0.norms.0.weight'} <= names
    assert 'decoder.text_proj.0.weight' not in names


@pytest.mark.parametrize('name', ['crobim_swin-b_bert_480_40e_rrsis-d', BASE.stem])
def test_image_encoders_have_the_size_and_channels_of_the_paper(name):
    config = load_config(BASE.with_stem(name)).model
    with DefaultScope.overwrite_default_scope('xemap'):
        encoder = MODELS.build({**config.backbone, 'init_cfg': None})
    assert 85e6 < sum(p.numel() for p in encoder.parameters()) < 90e6
    encoder.eval()
    with torch.no_grad():
        levels = encoder(make_images(1, (96, 96)))
    assert [tuple(level.shape[1:]) for level in levels] == [
        (channels, 24 >> i, 24 >> i) for i, channels in enumerate(config.in_channels)
    ]
    for level in levels:  # each has a layer norm behind it
        torch.testing.assert_close(level.mean(1), torch.zeros_like(level[:, 0]), atol=1e-4, rtol=0)
