"""Parts pairs, sampling and scenario: what is measured, not how long it takes."""

from __future__ import annotations

import io
import json

import pytest
import torch
from benchmarks import format_report, pairs, run, run_benchmark, sampling, scenario
from benchmarks.model import build_model
from benchmarks.pairs import benchmark_pairs
from benchmarks.sampling import available_backends, benchmark_sampling
from benchmarks.scenario import ALL_IMAGES, ALL_QUERIES, benchmark_scenario, queries_of
from rich.console import Console

from tests.benchmarks.test_benchmark import SIZE, config, write
from tests.models.localizers.selo.toy import ToyRetrieval
from xemap.errors import ConfigError
from xemap.models.localizers.selo import SeLoLocalizer


class TestPairs:
    def test_steps_have_the_pairs_that_are_wanted(self, monkeypatch):
        cfg = config(pairs=40, max_queries=3)
        model = build_model(cfg, 'cpu')
        seen, step = [], model.train_step
        monkeypatch.setattr(
            model,
            'train_step',
            lambda batch, optim: seen.append([len(s.texts) for s in batch['data_samples']]) or step(batch, optim),
        )
        result = benchmark_pairs(model, cfg, SIZE, 1, 'cpu', (4, 1))
        assert [row['pairs_per_step'] for row in result['rows']] == [1, 4] and all(r['fits'] for r in result['rows'])
        assert seen[0] == [1] and seen[-1] == [3, 1]
        assert result['memory_per_pair_bytes'] is None  # the process's peak never falls

    def test_memory_of_a_pair_is_the_slope_and_what_does_not_fit_ends_the_series(self, monkeypatch):
        def measured(model, cfg, size, repeats, device, seed, number):
            if number > 4:
                raise ConfigError('too many') from torch.cuda.OutOfMemoryError()
            return {'pairs_per_step': number, 'peak_memory_bytes': 100 + 7 * number}

        monkeypatch.setattr(pairs, 'benchmark_training', measured)
        result = benchmark_pairs(None, None, SIZE, 1, 'cuda', (1, 2, 4, 8, 16))
        assert [(row['pairs_per_step'], row['fits']) for row in result['rows']] == [
            (1, True), (2, True), (4, True), (8, False),
        ]  # fmt: skip
        assert result['memory_per_pair_bytes'] == pytest.approx(7)

    def test_a_run_that_was_cut_off_goes_on_after_its_rows(self, tmp_path, monkeypatch, capsys):
        path, kept, seen = write(config(), tmp_path / 'own.py'), [], []

        def measured(model, cfg, size, repeats, device, seed, number):
            if number == 4 and not kept[1:]:
                raise KeyboardInterrupt
            seen.append(number)
            return {'pairs_per_step': number, 'peak_memory_bytes': 1}

        monkeypatch.setattr(pairs, 'benchmark_training', measured)
        options = dict(parts=['metric', 'pairs'], device='cpu', repeats=1, map_size=64)
        with pytest.raises(KeyboardInterrupt):
            run_benchmark(path, pairs=(4, 1), keep=kept.append, **options)
        assert [row['pairs_per_step'] for row in kept[-1]['pairs']['rows']] == [1] and 'metric' not in kept[-1]
        kept.append(kept[-1])
        cut = json.loads(json.dumps(kept[-1]))  # as it is read from a file
        report = run_benchmark(path, pairs=(4, 1), before=cut, keep=kept.append, **options)
        assert seen == [1, 4] and [row['pairs_per_step'] for row in report['pairs']['rows']] == [1, 4]
        assert kept[-1] == report and 'metric' in report
        monkeypatch.setattr(run, 'benchmark_metric', None)  # is not called again
        assert run_benchmark(path, pairs=(1, 4), before=report, **options)['metric'] == report['metric']
        monkeypatch.undo()
        options['map_size'] = 65
        again = run_benchmark(path, pairs=(1,), before=report, **options)
        assert again['metric'] != report['metric'] and 'other settings' in capsys.readouterr().err

    def test_other_errors_are_not_taken_for_it(self):
        cfg = config()
        model = build_model(cfg, 'cpu')
        cfg.pop('optim_wrapper')
        with pytest.raises(ConfigError, match='no "optim_wrapper"'):
            benchmark_pairs(model, cfg, SIZE, 1, 'cpu', (1,))


class TestSampling:
    def test_back_ends_compute_the_same(self):
        result = benchmark_sampling((64, 128), 1, 'cpu')
        assert result['tokens'] == 8 * 16 + 4 * 8 + 2 * 4 + 1 * 2 and list(result['dtypes']) == ['float32']
        rows = result['dtypes']['float32']
        assert list(rows) == available_backends('cpu') == ['embedding_bag', 'grid_sample']
        assert 0 < rows['embedding_bag']['max_difference'] < 1e-3 and rows['grid_sample']['max_difference'] == 0
        times = rows['embedding_bag'], rows['grid_sample']
        for way in ('forward', 'with_backward'):
            assert times[0]['gain'][way] == pytest.approx(times[1][way]['median_s'] / times[0][way]['median_s'])

    def test_another_result_would_show(self, monkeypatch):
        sample = sampling.BACKENDS['grid_sample']
        monkeypatch.setitem(sampling.BACKENDS, 'embedding_bag', lambda *given: 2 * sample(*given))
        rows = benchmark_sampling((64, 64), 1, 'cpu')['dtypes']['float32']
        monkeypatch.undo()
        assert rows['embedding_bag']['max_difference'] > 0.1

    @pytest.mark.parametrize('triton', [False, True])
    def test_on_a_gpu(self, monkeypatch, triton):
        monkeypatch.setattr(sampling, 'triton_available', lambda: triton)
        monkeypatch.setattr(sampling, 'has_compiled_ops', lambda: False)
        assert available_backends('cuda') == ['triton'] * triton + ['grid_sample']


class TestScenario:
    def test_the_queries_of_all_images(self):
        counts = [queries_of(image) for image in range(ALL_IMAGES)]
        assert sum(counts) == ALL_QUERIES == 1129 and set(counts) == {3, 4}

    def test_answers_are_counted_and_scaled(self, monkeypatch):
        seen, localize = [], SeLoLocalizer.localize
        monkeypatch.setattr(
            SeLoLocalizer,
            'localize',
            lambda self, images, texts: seen.append([image.shape for image in images]) or localize(self, images, texts),
        )
        retrieval = dict(type=ToyRetrieval)
        result = benchmark_scenario(config(), 'cpu', 3, 1, 300, retrieval)
        assert seen == [[(300, 300, 3)]] * 4  # a warm-up and an image, twice
        rows = result['methods']
        assert list(rows) == ['network', 'selo_v1', 'selo_v2']
        assert [row['images'] for row in rows.values()] == [3, 1, 1]
        assert rows['network']['queries'] == sum(map(queries_of, range(3))) and rows['selo_v1'][
            'queries'
        ] == queries_of(0)
        for row in rows.values():
            assert 0 < row['model_seconds'] < row['seconds']
            assert row['over_network']['seconds'] == pytest.approx(row['seconds'] / rows['network']['seconds'])

    def test_times_are_of_all_images(self, monkeypatch):
        now = iter(range(1000))
        monkeypatch.setattr(scenario.time, 'perf_counter', lambda: next(now))
        model = build_model(config(), 'cpu')
        row = scenario._answer(model, 2, 64, 'cpu', 0)  # start 0, forward from 1 to 2, end 3
        assert row['seconds'] == 3 * ALL_IMAGES / 2 and row['model_seconds'] == 1 * ALL_IMAGES / 2


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
