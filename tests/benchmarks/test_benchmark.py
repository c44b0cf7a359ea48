"""What is measured, not how long it takes."""

from __future__ import annotations

import io
import subprocess
from collections import Counter

import cv2
import pytest
import torch
from benchmarks import PARTS, flops, format_report, run, run_benchmark, timing
from benchmarks import model as model_part
from benchmarks.data import benchmark_data, pipeline_size, training_pipeline
from benchmarks.flops import count_flops, matmul_ceiling, share_of_ceiling
from benchmarks.metric import benchmark_metric, make_map
from benchmarks.model import (
    GROUPS,
    benchmark_inference,
    benchmark_training,
    build_model,
    distinct_texts,
    make_batch,
    predict,
    queries_of_a_step,
    split_pairs,
    without_pretrained,
)
from benchmarks.naive import NaiveNetwork, benchmark_naive
from benchmarks.timing import WARMUP, limited_threads, measure
from mmengine.config import Config
from rich.console import Console

from tests.models.tiny import tiny_network
from xemap import environment
from xemap.datasets.xemap_dataset import XeMapDataset
from xemap.environment import choose_device, describe_environment
from xemap.errors import ConfigError
from xemap.evaluation import selo_metrics

SIZE = (32, 48)


def config(pairs=5, max_queries=3, **changes) -> Config:
    pipeline = [
        dict(type='LoadImage'), dict(type='ResizeImage', size=SIZE), dict(type='PhotometricAugment'),
        dict(type='GenerateMaps'), dict(type='PackXeMapInputs'),
    ]  # fmt: skip
    dataset = dict(type='XeMapDataset', ann_file='absent.arrow', pipeline=pipeline, max_queries=max_queries)
    return Config(
        dict(
            model=tiny_network(),
            train_dataloader=dict(
                batch_size=2, batch_sampler=dict(type='PairBatchSampler', pairs_per_batch=pairs), dataset=dataset
            ),
            optim_wrapper=dict(
                type='OptimWrapper',
                constructor='TrainableParamsConstructor',
                accumulative_counts=4,
                optimizer=dict(type='AdamW', lr=1e-3),
            ),
        )
        | changes
    )


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return build_model(config(), 'cpu')


def pairs_of(batch) -> list[tuple[int, str]]:
    """(checksum of the image, text) of each pair."""
    images = [int(image.long().sum()) for image in batch['inputs']]
    return [(image, text) for image, sample in zip(images, batch['data_samples']) for text in sample.texts]


class TestTiming:
    def test_takes_turns_and_leaves_the_warm_up_out(self, monkeypatch):
        now, log = [0.0], []
        # A call takes as many seconds as calls were made before it.
        monkeypatch.setattr(timing.time, 'perf_counter', lambda: now[0])

        def call(name):
            now[0] += len(log)
            log.append(name)

        times = measure({'a': lambda: call('a'), 'b': lambda: call('b')}, repeats=3)
        assert log == ['a', 'b'] * (WARMUP + 3)
        first = 2 * WARMUP
        assert times == {
            'a': {'median_s': first + 2, 'min_s': first, 'max_s': first + 4},
            'b': {'median_s': first + 3, 'min_s': first + 1, 'max_s': first + 5},
        }

    @pytest.mark.parametrize('device, waits', [('cuda', 2 * (WARMUP + 1)), ('cpu', 0)])
    def test_waits_for_the_gpu_around_each_call(self, monkeypatch, device, waits):
        log = []
        monkeypatch.setattr(torch.cuda, 'synchronize', lambda: log.append('wait'))
        measure({'a': lambda: log.append('call')}, 1, device)
        assert Counter(log) == Counter(wait=waits, call=WARMUP + 1)
        if waits:
            assert log == ['wait', 'call', 'wait'] * (WARMUP + 1)

    def test_threads_are_restored_after_an_error(self):
        before = torch.get_num_threads(), cv2.getNumThreads()
        with pytest.raises(KeyError), limited_threads(max(before) + 1) as count:
            assert torch.get_num_threads() == cv2.getNumThreads() == count == max(before) + 1
            raise KeyError
        assert (torch.get_num_threads(), cv2.getNumThreads()) == before
        with limited_threads(None) as count:
            assert count == before[0] == cv2.getNumThreads()


class TestBatches:
    @pytest.mark.parametrize(
        'pairs, max_queries, expected',
        [(40, 10, [10] * 4), (7, 3, [3, 3, 1]), (6, None, [6]), (20, None, [9, 9, 2]), (None, 3, [3, 3])],
    )
    def test_pairs_of_a_step_are_the_config_s(self, pairs, max_queries, expected):
        cfg = config(pairs, max_queries)
        if pairs is None:
            cfg.train_dataloader.batch_sampler = None
        assert queries_of_a_step(cfg) == expected
        assert queries_of_a_step(cfg, 1) == [1]

    def test_batch(self):
        batch = make_batch([3, 1], SIZE)
        assert [tuple(image.shape) for image in batch['inputs']] == [(3, *SIZE)] * 2
        assert [tuple(sample.gt_maps.shape) for sample in batch['data_samples']] == [(3, *SIZE), (1, *SIZE)]
        assert all(image.dtype == torch.uint8 for image in batch['inputs'])
        assert len({text for _, text in pairs_of(batch)}) == 4
        again, other = make_batch([3, 1], SIZE), make_batch([3, 1], SIZE, seed=1)
        assert pairs_of(again) == pairs_of(batch) != pairs_of(other)
        assert torch.equal(again['data_samples'][0].gt_maps, batch['data_samples'][0].gt_maps)

    def test_texts_are_distinct_sentences(self):
        texts = distinct_texts(60)
        assert len(set(texts)) == 60 and texts[:7] == distinct_texts(7)
        assert max(len(text.split()) for text in texts) >= 6

    def test_single_pairs_are_those_of_the_batch(self):
        batch = make_batch([3, 1], SIZE)
        single = split_pairs(batch)
        assert [len(pair['inputs']) for pair in single] == [1] * 4
        assert [pair for one in single for pair in pairs_of(one)] == pairs_of(batch)


class TestModel:
    def test_nothing_is_fetched(self):
        part = dict(
            grounding_dino='https://a/b.pth',
            backbone=dict(type='X', init_cfg=dict(type='Pretrained', checkpoint='https://c/d.pth')),
            neck=dict(init_cfg=dict(type='Xavier'), sizes=[1, 2]),
        )
        cleaned = without_pretrained(part)
        assert cleaned.grounding_dino is None and cleaned.backbone.init_cfg is None
        assert cleaned.neck == part['neck'] and part['grounding_dino']  # the original is left alone

    def test_training_steps(self, monkeypatch):
        cfg = config(pairs=5, max_queries=3)
        network = build_model(cfg, 'cpu')
        before = {name: weight.clone() for name, weight in network.state_dict().items()}
        seen, updates = [], []
        step = network.train_step

        def spy(batch, optimizer):
            assert network.training
            seen.append(pairs_of(batch))
            weights = network.text_feat_map.weight.detach().clone()
            result = step(batch, optimizer)
            updates.append(not torch.equal(weights, network.text_feat_map.weight))
            return result

        monkeypatch.setattr(network, 'train_step', spy)
        result = benchmark_training(network, cfg, SIZE, 2, 'cpu')
        assert len(seen) == WARMUP + 2 + 1 and all(len(pairs) == 5 for pairs in seen)
        assert all(updates), 'a step without an update of the weights, though gradients are to be accumulated'
        assert result['pairs_per_step'] == 5 and result['images_per_step'] == 2
        assert result['pairs_per_s'] == pytest.approx(5 / result['step']['median_s'])
        assert 0 < result['step']['min_s'] <= result['step']['median_s'] <= result['step']['max_s']
        assert result['share_of_ceiling'] > 0 and result['ceiling_dtype'] == 'float32'
        assert result['peak_memory_of'] == 'process' and 2**26 < result['peak_memory_bytes'] < 2**38
        assert not network.training and all(p.grad is None for p in network.parameters())
        after = network.state_dict()
        assert any(not torch.equal(before[name], after[name]) for name in before)

    def test_too_many_pairs_for_the_gpu(self, model, monkeypatch):
        def full(*_):
            raise torch.cuda.OutOfMemoryError('CUDA out of memory')

        monkeypatch.setattr(model, 'train_step', full)
        with pytest.raises(ConfigError, match='5 pairs per step at 32 x 48 do not fit .*pairs_per_batch'):
            benchmark_training(model, config(), SIZE, 1, 'cpu')
        assert not model.training

    def test_grouped_and_single_predict_the_same_pairs(self, model, monkeypatch):
        seen, test_step = [], model.test_step

        def spy(batch):
            assert not torch.is_grad_enabled() and not model.training
            seen.append((len(batch['inputs']), pairs_of(batch)))
            return test_step(batch)

        monkeypatch.setattr(model, 'test_step', spy)
        rows = benchmark_inference(model, SIZE, 1, 'cpu', groups=(1, 4, 9))
        assert GROUPS == (1, 4, 9, 32)
        assert [row['queries_per_image'] for row in rows] == [1, 4, 9]
        for number in (1, 4, 9):
            for _ in range(WARMUP + 1 + 1):  # and once more for the difference
                (images, grouped), *single = seen[: 1 + number]
                del seen[: 1 + number]
                assert images == 1 and len(grouped) == number
                assert [(count, pairs) for count, pairs in single] == [(1, [pair]) for pair in grouped]
        assert not seen
        for row in rows:
            assert row['max_difference'] < 1e-5
            assert row['gain'] == pytest.approx(row['single']['median_s'] / row['grouped']['median_s'])
            for name in ('grouped', 'single'):
                rate = row['queries_per_image'] / row[name]['median_s']
                assert row[name]['queries_per_s'] == pytest.approx(rate) and rate > 0

    def test_other_pairs_would_show_in_the_difference(self, model, monkeypatch):
        monkeypatch.setattr(timing, 'WARMUP', 0)
        monkeypatch.setattr(model_part, 'split_pairs', lambda batch: split_pairs(batch)[::-1])
        one, four, nine = (
            row['max_difference'] for row in benchmark_inference(model, SIZE, 1, 'cpu', groups=(1, 4, 9))
        )
        assert one < 1e-5 < 1e-3 < min(four, nine)

    def test_maps_are_in_the_order_of_the_pairs(self, model):
        batch = make_batch([2, 1], SIZE)
        maps = predict(model, [batch])
        assert maps.shape == (3, *SIZE) and not maps.requires_grad
        torch.testing.assert_close(predict(model, split_pairs(batch)), maps, atol=1e-5, rtol=0)


class TestFlops:
    def test_products_are_counted_with_their_gradients(self):
        a, b = torch.ones(3, 4, requires_grad=True), torch.ones(4, 5, requires_grad=True)
        assert count_flops(lambda: a @ b) == 2 * 3 * 4 * 5
        assert count_flops(lambda: (a @ b).sum().backward()) == 3 * 2 * 3 * 4 * 5

    def test_the_ceiling_is_that_of_one_product(self, monkeypatch):
        monkeypatch.setitem(flops.SIZES, 'cpu', 10)
        now = iter(range(0, 1000, 2))
        monkeypatch.setattr(flops.time, 'perf_counter', lambda: next(now))
        assert matmul_ceiling('cpu', torch.float32) == 2 * 10**3 / 2

    def test_share(self, monkeypatch):
        monkeypatch.setattr(flops, 'matmul_ceiling', lambda device, dtype: 100.0)
        a = torch.ones(2, 5)
        share = share_of_ceiling(lambda: a @ a.T, 2.0, 'cpu', torch.bfloat16)
        assert share == {
            'flops': 40, 'flop_per_s': 20.0, 'ceiling_flop_per_s': 100.0, 'ceiling_dtype': 'bfloat16',
            'share_of_ceiling': 0.2,
        }  # fmt: skip


class TestNaive:
    def test_both_sides_have_the_same_maps_and_gradients(self):
        """Otherwise the speeds would be of different things."""
        cfg = config()
        weights, results = None, []
        for kind in ('XeMapNetwork', NaiveNetwork):
            cfg.model.type = kind
            network = build_model(cfg, 'cpu')  # eval mode: batch statistics would count an image once a query
            if weights is None:  # as initialized, samples lie where bilinear weights have two gradients
                for layer in network.encoder.layers:
                    torch.nn.init.normal_(layer.self_attn.sampling_offsets.bias)
                weights = network.state_dict()
            network.load_state_dict(weights)
            batch = network.data_preprocessor(make_batch([3, 1], SIZE))
            loss = network(**batch, mode='loss')['loss_map']
            gradients = torch.autograd.grad(loss, [p for p in network.parameters() if p.requires_grad])
            results.append((network(**batch, mode='tensor'), *gradients))
        for ours, naive in zip(*results):
            torch.testing.assert_close(ours, naive, atol=1e-5, rtol=1e-3)
        torch.testing.assert_close(results[0][0], results[1][0], atol=1e-5, rtol=0)

    def test_the_naive_side_encodes_an_image_for_each_query(self, monkeypatch):
        seen = []
        encode = NaiveNetwork.encode_images
        monkeypatch.setattr(NaiveNetwork, 'encode_images', lambda self, x: seen.append(len(x)) or encode(self, x))
        result = benchmark_naive(config(), SIZE, 1, 'cpu')
        assert set(seen) == {4} and result['max_difference'] < 1e-5
        for part, unit in (('infer', 'queries_per_s'), ('train', 'pairs_per_s')):
            sides = result[part]
            assert sides['xemap'][unit] == pytest.approx(4 / sides['xemap']['median_s'])
            assert sides['gain'] == pytest.approx(sides['naive']['median_s'] / sides['xemap']['median_s'])

    def test_another_model_is_refused(self):
        cfg = config()
        cfg.model.type = 'SeLoLocalizer'
        with pytest.raises(
            ConfigError, match='compares one of XeMapNetwork, CroBIM, MLCM; the config has a SeLoLocalizer'
        ):
            benchmark_naive(cfg, SIZE, 1, 'cpu')


class TestData:
    def test_each_pass_reads_every_scene_in_an_epoch_of_its_own(self, monkeypatch):
        seen, get = [], XeMapDataset.__getitem__

        def spy(self, index):
            sample = get(self, index)
            assert torch.get_num_threads() == cv2.getNumThreads() == 1
            seen.append((index, tuple(sample['data_samples'].gt_maps.shape)))
            return sample

        monkeypatch.setattr(XeMapDataset, '__getitem__', spy)
        result = benchmark_data(config(max_queries=3), (24, 40), 1, scenes=2, scene_sizes=(256,))
        passes = [[(epoch, index) for index in range(2)] for epoch in range(WARMUP + 1)]
        assert [index for index, _ in seen] == sum(passes, [])
        assert {shape for _, shape in seen} == {(3, 24, 40)}
        assert result['scenes'] == 2 and result['queries_per_sample'] == 3
        assert result['samples_per_s'] == pytest.approx(2 / result['pass']['median_s'])

    def test_size(self):
        assert pipeline_size(config()) == SIZE
        assert training_pipeline(config(), (8, 9))[1]['size'] == (8, 9)
        assert training_pipeline(config())[1]['size'] == SIZE


class TestMetric:
    def test_map_has_something_to_find(self):
        made, polygons = make_map(1500)
        assert made.min() >= 0 and made.max() <= 1 and made.shape == (1500, 1500)
        scores = selo_metrics(made, polygons)
        assert scores['problem'] is None and 0 < scores['rmi'] < 1
        assert len(scores['regions']) == 3 and len(scores['centers']) >= 2

    def test_both_types_are_the_same_map(self, monkeypatch):
        seen = {}

        def spy(made, polygons):
            seen[str(made.dtype)] = result = selo_metrics(made, polygons)
            return result

        monkeypatch.setattr('benchmarks.metric.selo_metrics', spy)
        result = benchmark_metric(300, 1)
        assert seen.keys() == {'uint8', 'float32'} and seen['uint8']['rmi'] == seen['float32']['rmi']
        assert result['map_size'] == 300 and result['uint8']['median_s'] > 0 < result['float32']['median_s']


class TestEnvironment:
    def test_commit_is_the_checkout_s(self):
        described = describe_environment('cpu')
        git = subprocess.run(['git', 'rev-parse', 'HEAD'], cwd=environment.ROOT, capture_output=True, text=True)
        assert described['commit'] == (git.stdout.strip() if git.returncode == 0 else None)
        assert described['cpu_count'] >= 1 and described['device_name']
        assert described['versions']['torch'] == torch.__version__ and None not in described['versions'].values()

    def test_no_commit_without_git_or_in_another_repository(self, monkeypatch, tmp_path):
        subprocess.run(['git', 'init', '-q', tmp_path], check=True)
        commit = ['-c', 'user.name=a', '-c', 'user.email=b', 'commit', '-q', '--allow-empty', '-m', 'c']
        subprocess.run(['git', '-C', tmp_path, *commit], check=True)
        monkeypatch.setattr(environment, 'ROOT', tmp_path)
        assert len(describe_environment('cpu')['commit']) == 40
        package = tmp_path / 'site-packages'
        package.mkdir()
        monkeypatch.setattr(environment, 'ROOT', package)
        assert describe_environment('cpu')['commit'] is None
        monkeypatch.setenv('PATH', '')
        assert describe_environment('cpu')['uncommitted_changes'] is None

    def test_device(self, monkeypatch):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
        assert choose_device('auto') == choose_device('cpu') == 'cpu'
        with pytest.raises(ConfigError, match='device "cuda": torch sees no GPU'):
            choose_device('cuda')
        with pytest.raises(ConfigError, match='device "tpu" is unknown'):
            choose_device('tpu')
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
        assert choose_device('auto') == choose_device('cuda') == 'cuda'


def write(cfg: Config, path) -> str:
    cfg.dump(path)
    return str(path)


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
    for shown in ('2 pairs of 1 image a step', f'{report["infer"][2]["gain"]:.2f} x', '64 x 64 uint8', 'samples/s'):
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
