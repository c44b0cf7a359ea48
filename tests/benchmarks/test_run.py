"""A run of several parts: settings, report, mistakes."""

from __future__ import annotations

import io

import pytest
import torch
from benchmarks import PARTS, format_report, run, run_benchmark, scenario
from benchmarks.scenario import benchmark_scenario
from benchmarks.timing import WARMUP
from mmengine.config import Config
from rich.console import Console

from tests.benchmarks.toy import SIZE, config, write
from tests.models.localizers.selo.toy import ToyRetrieval
from xemap.errors import ConfigError


@pytest.mark.parametrize(
    'changes, options, message',
    [
        (dict(model=None), dict(parts=['infer']), 'model'),
        (dict(train_dataloader=None), dict(parts=['train'], image_size=SIZE), 'no "train_dataloader"'),
        (dict(optim_wrapper=None), dict(parts=['train']), 'no "optim_wrapper"'),
        (dict(train_dataloader=dict(dataset={})), dict(parts=['data']), 'no "pipeline"'),
        (dict(train_dataloader=dict(dataset=dict(pipeline=[dict(type='LoadImage')]))), {}, 'give --image-size'),
        ({}, dict(repeats=0), '--repeats 0: give at least 1'),
        ({}, dict(threads=0), '--threads 0: give at least 1'),
        ({}, dict(image_size=(0, 4)), '--image-size 0 4: give at least 1'),
        ({}, dict(parts=['speed']), '--parts speed: unknown; parts are train infer naive data metric pairs sampling'),
        ({}, dict(options=['model.num_level=3']), 'did you mean "num_levels"'),
        ({}, dict(options=['model.backbone.type=ResNett'], parts=['infer']), 'did you mean "ResNet"'),
        ({}, dict(options=['model.language_model.name=/no/folder'], parts=['infer']), 'text encoder "/no/folder"'),
    ],
)
def test_mistakes(tmp_path, changes, options, message):
    cfg = config()
    for key, value in changes.items():
        if value is None:
            cfg.pop(key)
        else:
            cfg[key] = Config({key: value})[key]
    with pytest.raises(ConfigError, match=message):
        run_benchmark(write(cfg, tmp_path / 'own.py'), **options)


def test_report(tmp_path):
    path = write(config(), tmp_path / 'own.py')
    options = ['train_dataloader.batch_sampler.pairs_per_batch=2']
    threads = torch.get_num_threads()
    small = dict(repeats=1, scenes=1, scene_sizes=(256,), map_size=64, threads=1, queries=(1, 4, 9))
    report = run_benchmark(path, options, **small)
    assert list(report) == ['date', 'config', 'environment', 'settings', *PARTS]
    assert report['config'] == 'own' and report['train']['pairs_per_step'] == 2
    assert report['settings'] == {
        'cfg_options': options, 'image_size': list(SIZE), 'warmup': WARMUP, 'repeats': 1, 'threads': 1, 'seed': 0,
        'scenes': 1, 'scene_sizes': [256], 'map_size': 64, 'source_size': 10_000, 'queries': [1, 4, 9],
        'naive': ['infer', 'train'], 'scenario_images': [300, 3], 'scenario_side': 2000,
    }  # fmt: skip
    assert torch.get_num_threads() == threads
    console = Console(width=120, file=io.StringIO())
    console.print(format_report(report))
    text = console.file.getvalue()
    for shown in ('2 pairs of 1 image per step', f'{report["infer"][2]["gain"]:.2f} x', '64 x 64 uint8', 'samples/s'):
        assert shown in text
    report = run_benchmark(path, parts=['metric'], repeats=1, map_size=64)
    assert not {'train', 'infer', 'data'} & report.keys()
    report = run_benchmark(path, parts=['large_sources'], repeats=1, source_size=300)
    console.print(format_report(report))
    assert 'jpeg, masks, 300 px, reduced' in console.file.getvalue()


@pytest.mark.parametrize('given, of_the_model', [((24, 40), (24, 40)), (None, SIZE)])
def test_image_size_reaches_model_and_pipeline(tmp_path, monkeypatch, given, of_the_model):
    seen = {}
    monkeypatch.setattr(run, 'build_model', lambda cfg, device: None)
    monkeypatch.setattr(run, 'benchmark_training', lambda model, cfg, size, *_: seen.update(train=size))
    monkeypatch.setattr(run, 'benchmark_inference', lambda model, size, *_: seen.update(infer=size))
    monkeypatch.setattr(run, 'benchmark_data', lambda cfg, size, *_: seen.update(data=size))
    run_benchmark(write(config(), tmp_path / 'own.py'), parts=['train', 'infer', 'data'], image_size=given)
    assert seen == {'train': of_the_model, 'infer': of_the_model, 'data': given}


def test_they_run_from_the_tool_and_are_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(scenario, 'CLIP', None)
    monkeypatch.setattr(
        scenario.benchmark_scenario, '__defaults__', (*benchmark_scenario.__defaults__[:-2], dict(type=ToyRetrieval), 0)
    )
    report = run_benchmark(
        write(config(), tmp_path / 'own.py'), parts=['pairs', 'sampling', 'scenario'], device='cpu', repeats=1,
        pairs=(1, 2), scenario_images=(1, 1), scenario_side=280,
    )  # fmt: skip
    console = Console(width=120, file=io.StringIO())
    console.print(format_report(report))
    text = console.file.getvalue()
    for shown in ('2 pairs per step', 'embedding_bag, float32, with_backward', 'selo_v2, in the model'):
        assert shown in text
    for wrong in (dict(queries=(0,)), dict(pairs=(1, -1)), dict(scenario_images=(0, 1)), dict(scenario_side=0)):
        with pytest.raises(ConfigError, match='give at least 1'):
            run_benchmark(write(config(), tmp_path / 'own.py'), **wrong)
