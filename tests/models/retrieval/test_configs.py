"""The configs of configs/retrieval say what was published."""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from mmengine.registry import DefaultScope

from tests.models.retrieval.conftest import images
from xemap.engine import load_config
from xemap.errors import CheckpointError
from xemap.models.retrieval import AMFMN, CAMP, LWMCR, SCAN, VSEPP
from xemap.registry import DATASETS, METRICS, MODELS

ROOT = Path(__file__).parents[3] / 'configs/retrieval'
WORDS = {'amfmn': AMFMN, 'camp': CAMP, 'lw_mcr': LWMCR, 'scan': SCAN, 'vsepp': VSEPP}


@pytest.mark.parametrize('path', sorted(ROOT.glob('*.py')), ids=lambda p: p.stem)
def test_data_and_metric_build(path):
    config = load_config(path)
    with DefaultScope.overwrite_default_scope('xemap'):
        METRICS.build(config.val_evaluator)
        METRICS.build(config.test_evaluator)
        for name in ('train', 'val', 'test'):
            dataset = DATASETS.build({**config[f'{name}_dataloader'].dataset, 'lazy_init': True})
            assert dataset.test_mode is (name != 'train')
    assert config.default_hooks.checkpoint.save_best == 'auto' and config.default_hooks.draw.num_queries == 0


@pytest.mark.parametrize('name', sorted(WORDS))
def test_the_models_of_the_selo_paper(name):
    config = load_config(ROOT / f'{name}_rsitmd.py')
    vocabulary = config.model.vocabulary
    assert vocabulary.min_count == 5 and vocabulary.drop_stop_words is True
    triplet = dict(type='HardTripletLoss', margin=0.2)
    assert config.model.loss == (dict(type='HardestBCELoss') if name == 'camp' else triplet)
    network = 'squeezenet1_1' if name == 'lw_mcr' else 'resnet18'
    assert config.model.backbone_weights == f'torchvision://{network}'
    assert config.optim_wrapper.optimizer == dict(type='Adam', lr=2e-4)
    assert config.param_scheduler == [dict(type='StepLR', step_size=20, gamma=0.7, by_epoch=True)]
    assert config.train_cfg.max_epochs == 50 and config.train_dataloader.batch_sampler.pairs_per_batch == 100
    with DefaultScope.overwrite_default_scope('xemap'):
        model = MODELS.build(config.model).eval()
    assert type(model) is WORDS[name] and model.image_size == 256 == config.image_size[0]
    with torch.no_grad():
        assert model.encode_images(images(1, 256)).shape[0] == 1


@pytest.mark.parametrize(
    ('name', 'captions'),
    [
        ('rsicd', 'data/rsicd/dataset_rsicd.json'),
        ('ucm', 'data/ucm/dataset.json'),
        ('sydney', 'data/sydney/dataset.json'),
    ],
)
def test_other_caption_sets_change_the_data_and_the_words_alone(name, captions):
    config, rsitmd = load_config(ROOT / f'amfmn_{name}.py'), load_config(ROOT / 'amfmn_rsitmd.py')
    assert config.model.vocabulary.ann_file == captions
    for part, split in (('train', 'train'), ('val', 'val'), ('test', 'test')):
        data = config[f'{part}_dataloader'].dataset
        assert data.data_root + data.ann_file == captions and data.split == split
        expected = rsitmd[f'{part}_dataloader'].to_dict()
        expected['dataset'].update({key: data[key] for key in ('data_root', 'ann_file', 'img_dir', 'split')})
        assert config[f'{part}_dataloader'].to_dict() == expected
    rsitmd.model.vocabulary.ann_file = captions
    assert config.model == rsitmd.model


@pytest.mark.parametrize('name', ['amfmn', 'lw_mcr'])
def test_imagenet_weights_that_cannot_be_fetched_end_in_one_line(name, monkeypatch):
    def unreachable(*args, **kwargs):
        raise URLError('no network')

    monkeypatch.setattr('mmengine.runner.checkpoint.load_url', unreachable)
    config = load_config(ROOT / f'{name}_rsitmd.py').model
    with DefaultScope.overwrite_default_scope('xemap'):
        model = MODELS.build(config)
        with pytest.raises(
            CheckpointError, match=r'cannot be downloaded \(.*no network.*\); where there is no network'
        ):
            model.init_weights()
        MODELS.build({**config, 'backbone_weights': None}).init_weights()  # random, when asked for


def test_the_clip_of_the_xemap_paper():
    config = load_config(ROOT / 'clip_vit-l-14_rsitmd.py')
    assert config.model.name == 'ViT-L-14' and config.model.train_last == 1
    assert config.optim_wrapper.optimizer == dict(type='SGD', lr=1e-4)
    assert config.train_cfg.max_epochs == 10 and config.train_dataloader.batch_sampler.pairs_per_batch == 500
    resize = [step.size for step in config.train_dataloader.dataset.pipeline if step.type == 'ResizeImage']
    assert resize == [(224, 224)]


def test_the_small_one_fits_its_tiles():
    config = load_config(ROOT / 'amfmn_small_synthetic.py')
    with DefaultScope.overwrite_default_scope('xemap'):
        model = MODELS.build(config.model)
    assert model.image_size == 128 and sum(p.numel() for p in model.parameters()) < 4e6
