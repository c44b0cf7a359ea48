"""Every config of the project loads, builds and says what its name promises."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import DefaultScope

from tests.models.localizers.localizer_tester import TEXTS, make_images, make_samples
from xemap.engine import load_config
from xemap.evaluation import main_score
from xemap.registry import DATASETS, METRICS, MODELS

ROOT = Path(__file__).parents[1] / 'configs'
CONFIGS = sorted(ROOT.glob('[!_]*/*.py'))
NETWORKS = [path for path in CONFIGS if path.parent.name == 'xemap']  # the others have tests beside their models'
PAPER = ROOT / 'xemap/xemap_swin-t_bert_512_25e.py'
OFFLINE = {'model.language_model.name': 'minilm', 'model.backbone.init_cfg': None}
NARROW = {
    'model.backbone.embed_dims': 24, 'model.backbone.depths': [1, 1, 1, 1], 'model.neck.in_channels': 'auto',
    'model.encoder.num_layers': 2,
}  # fmt: skip


def offline(path: Path) -> Config:
    """The config with the packaged text encoder and without weights to fetch."""
    config = load_config(path)
    if 'swin' in path.name:
        config.merge_from_dict(OFFLINE)
    return config


def bases_of(path: Path) -> list[str]:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == '_base_':
            bases = ast.literal_eval(node.value)
            return [bases] if isinstance(bases, str) else bases
    return []


def depth(path: Path) -> int:
    bases = bases_of(path)
    return 1 + max((depth((path.parent / base).resolve()) for base in bases), default=-1)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_inherits_at_most_two_levels(path):
    assert depth(path) <= 2


@pytest.mark.parametrize('path', NETWORKS, ids=lambda p: p.stem)
def test_model_builds_and_predicts(path):
    config = offline(path)
    if 'swin' in path.name and path != PAPER:  # its variants change other parts than the sizes
        config.merge_from_dict(NARROW)
    with DefaultScope.overwrite_default_scope('xemap'):
        model = MODELS.build(config.model).eval()
        METRICS.build(config.test_evaluator)
    with torch.no_grad():
        sample = model(make_images(1, (64, 64)), make_samples([TEXTS[:2]], (64, 64)), mode='predict')[0]
    assert sample.answers.maps().shape == (2, 64, 64)


def test_the_quickstart_may_train_one_image_in_each_process():
    """In training, too, an image's loss does not depend on the other images of the batch."""
    with DefaultScope.overwrite_default_scope('xemap'):
        model = MODELS.build(load_config('xemap_small_synthetic').model).train()
    images, samples = make_images(2, (64, 64)), make_samples([TEXTS[:2], TEXTS[1:3]], (64, 64))
    both, first, second = (model.loss(images[part], samples[part]) for part in (slice(2), slice(1), slice(1, 2)))
    for name in both:
        torch.testing.assert_close(both[name], (first[name] + second[name]) / 2, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('path', NETWORKS, ids=lambda p: p.stem)
def test_pipelines_have_no_unknown_key(path):
    config = load_config(path)
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        with DefaultScope.overwrite_default_scope('xemap'):
            DATASETS.build({**config[name].dataset, 'lazy_init': True})


TASKS = {
    'xemap': ('GenerateMaps', 'SeLoMetric', 'rmi'), 'crobim': ('GenerateMasks', 'MaskMetric', 'oiou'),
    'lavt': ('GenerateMasks', 'MaskMetric', 'oiou'), 'mlcm': ('GenerateBoxes', 'BoxMetric', 'pr@0.5'),
}  # fmt: skip


@pytest.mark.parametrize('path', [p for p in CONFIGS if p.parent.name in TASKS], ids=lambda p: p.stem)
def test_a_task_is_target_metric_and_main_score(path):
    config, (target, metric, main) = load_config(path), TASKS[path.parent.name]
    types = [step.type for step in config.train_dataloader.dataset.pipeline]
    assert types[-2:] == [target, 'PackXeMapInputs'] and 'save_best' not in path.read_text()
    evaluator = Evaluator([{**config.val_evaluator, '_scope_': 'xemap'}])
    assert config.val_evaluator.type == metric and main_score(evaluator)[0] == main
    assert config.default_hooks.checkpoint.save_best == 'auto'


def test_the_paper_recipe():
    config = load_config(PAPER)
    assert config.optim_wrapper.optimizer == dict(type='AdamW', lr=1e-3, weight_decay=1e-4)
    assert config.train_cfg.max_epochs == 25
    assert config.image_size == (512, 512)
    assert config.train_dataloader.batch_sampler.pairs_per_batch * 10 == config.auto_scale_lr.base_batch_size == 400
    assert config.model.head == dict(type='HMSAHead', pooling='mean', loss=dict(type='MapL1Loss', reduction='sum'))
    assert config.model.encoder.num_layers == 6
    assert config.model.language_model.name == 'bert-base-uncased'
    assert set(config.model.frozen) == {'backbone', 'language_model'}


def test_readings_of_an_epoch_and_of_a_batch():
    paper = load_config(PAPER).to_dict()['train_dataloader']
    every = load_config(PAPER.with_name(f'{PAPER.stem}_every-query.py')).to_dict()['train_dataloader']
    assert every['dataset'].pop('every_query') is True and every == paper
    images = load_config(PAPER.with_name(f'{PAPER.stem}_batch-images.py')).to_dict()['train_dataloader']
    assert (images.pop('batch_size'), images.pop('batch_sampler')) == (40, None)
    assert images == {key: paper[key] for key in paper if key not in ('batch_size', 'batch_sampler')}


def test_the_paper_model_has_four_levels_with_strides_8_to_64():
    with DefaultScope.overwrite_default_scope('xemap'):
        model = MODELS.build(offline(PAPER).model).eval()
    with torch.no_grad():
        tokens, position, shapes = model.encode_images(torch.zeros(1, 3, 512, 512))
    assert shapes == [(64, 64), (32, 32), (16, 16), (8, 8)]
    assert tokens.shape == position.shape == (1, 5440, 256)


@pytest.mark.parametrize('pooling', ['max', 'first'])
def test_an_ablation_changes_the_pooling_and_nothing_else(pooling):
    path = PAPER.with_name(f'{PAPER.stem}_pool-{pooling}.py')
    ablation, paper = load_config(path).to_dict(), load_config(PAPER).to_dict()
    assert ablation['model']['head'].pop('pooling') == pooling
    assert paper['model']['head'].pop('pooling') == 'mean'
    assert ablation == paper
    code = [line for line in path.read_text().splitlines() if line and not line.startswith('#')]
    assert len(code) <= 3


@pytest.mark.parametrize(
    ('name', 'part', 'switch'),
    [
        ('no-image-update', 'fusion_layer_cfg', 'update_image'),
        ('no-text-update', 'fusion_layer_cfg', 'update_text'),
        ('no-deformable', 'layer_cfg', 'attention'),
    ],
)
def test_an_ablation_of_the_fusion_turns_one_part_off(name, part, switch):
    ablation = load_config(PAPER.with_name(f'{PAPER.stem}_{name}.py')).to_dict()
    assert ablation['model']['encoder'][part].pop(switch) is False
    assert ablation == load_config(PAPER).to_dict()


def test_the_config_that_reads_words_changes_fusion_and_head_and_nothing_else():
    words, paper = (load_config(path).to_dict() for path in (PAPER.with_name(f'{PAPER.stem}_words.py'), PAPER))
    assert words['model']['encoder']['fusion_layer_cfg'].pop('with_positions') is True
    assert words['model']['encoder'].pop('relation_cfg') == {'level': 1}
    head = words['model'].pop('head')
    assert paper['model'].pop('head').keys() | {'logit_scale', 'contrast_weight'} == head.keys()
    assert words == paper
    with DefaultScope.overwrite_default_scope('xemap'):
        assert MODELS.build(head).contrast_weight == 1


def test_the_fine_tuning_config_freezes_nothing():
    with DefaultScope.overwrite_default_scope('xemap'):
        model = MODELS.build(offline(PAPER.with_name(f'{PAPER.stem}_finetune-all.py')).model)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_docs_name_no_config_that_is_not_there():
    root = ROOT.parent
    for page in [root / 'README.md', *root.glob('docs/*.md'), root / 'data/README.md']:
        for name in re.findall(r'(?:configs|tools|docs)/[\w./-]+\.(?:py|sh|md)', page.read_text()):
            assert (root / name).exists(), f'{page.name} names {name}'


def test_the_tools_that_others_call_lie_at_the_top():
    tools = ROOT.parent / 'tools'
    named = ('train', 'test', 'infer', 'compare', 'benchmark', 'prepare_xemap_set', 'browse_dataset')
    assert all((tools / f'{name}.py').is_file() for name in named)
    assert {path.name for path in tools.iterdir() if path.is_dir()} - {'__pycache__'} == {
        'analysis', 'benchmarks', 'data', 'deploy', 'gpu_report',
    }  # fmt: skip
