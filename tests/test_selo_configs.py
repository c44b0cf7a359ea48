"""The configs of the SeLo systems: both generators on every retrieval model, Table IV on AMFMN."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope

from tests.tools.small_run import write_run
from xemap.engine import evaluate_model, load_config, train_model
from xemap.errors import ConfigError
from xemap.models.localizers.selo import SeLoV1Generator, SeLoV2Generator
from xemap.models.retrieval import Vocabulary
from xemap.registry import DATASETS, METRICS, MODELS

ROOT = Path(__file__).parents[1] / 'configs'
TABLE_IV = {
    's1': (128, 256), 's2': (256, 512), 's3': (512, 768),
    's4': (128, 256, 512), 's5': (256, 512, 768), 's6': (128, 256, 512, 768),
}  # fmt: skip
WORDS = {'amfmn': 'AMFMN', 'lw_mcr': 'LWMCR', 'vsepp': 'VSEPP', 'scan': 'SCAN', 'camp': 'CAMP'}
CLIPS = ('ViT-B-32', 'ViT-L-14')
NAMES = [
    f'selo_{generator}_{model}'
    for generator, model in product(('v1_s5', 'v2'), ('amfmn', 'amfmn_small', 'clip_vit-l-14'))
]


def config(name: str, options=()):
    return load_config(ROOT / 'selo' / f'{name}.py', list(options))


def localizer(name: str, options=()):
    """The config's model with a vocabulary of its own, in place of a checkpoint's."""
    model = config(name, options).model.to_dict()
    model['retrieval']['vocabulary'] = Vocabulary(['red', 'roof', 'lake'])
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('xemap'):
        model = MODELS.build(model)
        model.init_weights()
    return model.eval()


def test_there_is_a_config_for_every_name():
    assert sorted(path.stem for path in ROOT.glob('selo/*.py')) == sorted(NAMES)


@pytest.mark.parametrize('name', NAMES)
def test_a_config_is_what_its_name_says(name):
    cfg = config(name)
    assert cfg.model.type == 'SeLoLocalizer'
    with DefaultScope.overwrite_default_scope('xemap'):
        generator = MODELS.build(cfg.model.generator)
        DATASETS.build({**cfg.test_dataloader.dataset, 'lazy_init': True})
        METRICS.build(cfg.test_evaluator)
    if '_v2_' in name:
        assert isinstance(generator, SeLoV2Generator)
        assert (generator.tile, generator.boxes, generator.keep) == (512, (128, 256), 0.15)
        assert (generator.shuffles, generator.seed, generator.blur) == (4, 0, 255)
    else:
        assert isinstance(generator, SeLoV1Generator)
        assert generator.scales == TABLE_IV['s5']
        assert (generator.passes, generator.median) == ((0.0, 0.5), 251)
    assert [step.type for step in cfg.test_dataloader.dataset.pipeline] == ['LoadImage', 'PackXeMapInputs']
    assert cfg.test_dataloader.batch_size == 1


@pytest.mark.parametrize('setting', TABLE_IV)
def test_settings_of_table_iv_are_an_override(setting):
    cfg = config('selo_v1_s5_amfmn', [f'model.generator.scales={str(list(TABLE_IV[setting])).replace(" ", "")}'])
    with DefaultScope.overwrite_default_scope('xemap'):
        assert tuple(MODELS.build(cfg.model.generator).scales) == TABLE_IV[setting]


@pytest.mark.parametrize('model, kind', WORDS.items())
def test_the_retrieval_model_is_the_one_that_its_config_trains(model, kind):
    trained = load_config(ROOT / 'retrieval' / f'{model}_rsitmd.py').model
    kept = {key: value for key, value in trained.items() if key not in ('vocabulary', 'loss', 'backbone_weights')}
    assert config('selo_v2_amfmn', [f'model.retrieval.type={kind}']).model.retrieval == kept


def test_the_small_retrieval_model_is_the_one_that_its_config_trains():
    trained = dict(load_config(ROOT / 'retrieval/amfmn_small_synthetic.py').model)
    trained.pop('vocabulary')
    for generator in ('v1_s5', 'v2'):
        assert config(f'selo_{generator}_amfmn_small').model.retrieval == trained


@pytest.mark.parametrize('architecture', CLIPS)
def test_clips_name_an_architecture_and_weights_of_open_clip(architecture):
    open_clip = pytest.importorskip('open_clip', reason='the extra "clip" is not installed')
    retrieval = config('selo_v1_s5_clip_vit-l-14', [f'model.retrieval.name={architecture}']).model.retrieval
    assert retrieval.name == architecture
    assert retrieval.weights in open_clip.list_pretrained_tags_by_model(architecture)


@pytest.mark.parametrize('kind', [*WORDS.values(), 'small'])
def test_models_that_read_words_make_maps(kind):
    small = kind == 'small'
    model = localizer('selo_v2_amfmn_small') if small else localizer('selo_v2_amfmn', [f'model.retrieval.type={kind}'])
    image = np.random.default_rng(0).integers(0, 256, (300, 280, 3)).astype(np.uint8)
    (answers,) = model.localize([image], [['a red roof', 'the lake']])
    maps = answers.maps()
    assert maps.shape == (2, 300, 280) and maps.min() >= 0 and 0.5 < maps.max() <= 1
    assert not np.array_equal(*maps)


def test_a_localizer_does_not_train(tmp_path):
    with pytest.raises(ConfigError, match='has no train_dataloader: it is for testing'):
        train_model(config('selo_v2_amfmn_small'), tmp_path)


def test_a_checkpoint_of_the_retrieval_model_is_tested_as_it_is(tmp_path):
    model = localizer('selo_v2_amfmn_small')
    torch.save({'state_dict': model.retrieval.state_dict()}, tmp_path / 'retrieval.pth')
    write_run(tmp_path)
    cfg = config('selo_v2_amfmn_small')
    cfg.merge_from_dict({
        'test_dataloader.num_workers': 0,
        'test_dataloader.dataset.data_root': str(tmp_path),
        'test_dataloader.dataset.ann_file': 'all.arrow',
        'model.generator': dict(tile=20, boxes=(8, 12), blur=5),
    })  # fmt: skip
    metrics = evaluate_model(cfg, tmp_path / 'retrieval.pth', tmp_path / 'work')
    assert metrics['queries'] == 9 and metrics['rmi'] > 0
    (log,) = tmp_path.glob('work/*/*.log')
    assert re.search(r'seconds by stage: cut [\d.]+, similarity [\d.]+, stacking [\d.]+, filtering', log.read_text())
