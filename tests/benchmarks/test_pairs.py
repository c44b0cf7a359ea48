"""Time and memory by the number of pairs in a step."""

from __future__ import annotations

import json

import pytest
import torch
from benchmarks import pairs, run, run_benchmark
from benchmarks.model import build_model
from benchmarks.pairs import benchmark_pairs

from tests.benchmarks.toy import SIZE, config, write
from xemap.errors import ConfigError


def test_steps_have_the_pairs_that_are_wanted(monkeypatch):
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


def test_memory_of_a_pair_is_the_slope_and_what_does_not_fit_ends_the_series(monkeypatch):
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


def test_a_run_that_was_cut_off_goes_on_after_its_rows(tmp_path, monkeypatch, capsys):
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


def test_other_errors_are_not_taken_for_it():
    cfg = config()
    model = build_model(cfg, 'cpu')
    cfg.pop('optim_wrapper')
    with pytest.raises(ConfigError, match='no "optim_wrapper"'):
        benchmark_pairs(model, cfg, SIZE, 1, 'cpu', (1,))
