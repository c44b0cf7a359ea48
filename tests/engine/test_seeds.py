from __future__ import annotations

import csv
import json
import statistics

import pytest

from tests.engine.toy import write_config
from xemap.engine.seeds import run_seeds, table_of_seeds
from xemap.errors import ConfigError


def test_mean_and_standard_deviation_over_seeds(tmp_path):
    config = write_config(tmp_path, epochs=1)
    result = run_seeds(config, [0, 1], tmp_path / 'runs', text_controls=['category'])
    rmi = result['scores']['rmi']
    for seed, value in zip((0, 1), rmi['values']):
        with open(tmp_path / f'runs/seed_{seed}/test.queries.csv') as file:
            rows = [float(row['rmi']) for row in csv.DictReader(file)]
        assert value == pytest.approx(statistics.mean(rows), abs=1e-4)
    assert rmi['values'][0] != rmi['values'][1]
    reports = [json.loads((tmp_path / f'runs/seed_{seed}/test.summary.json').read_text()) for seed in (0, 1)]
    differences = [
        report['text_controls']['category']['with_distractors']['by_kind']['attribute']['difference']
        for report in reports
    ]
    assert result['scores']['category/attribute']['values'] == differences
    assert rmi['mean'] == pytest.approx(statistics.mean(rmi['values']))
    assert rmi['std'] == pytest.approx(statistics.stdev(rmi['values']))
    half = 12.7062 * rmi['std'] / 2**0.5  # Student's t with one degree of freedom
    assert (rmi['low'], rmi['high']) == pytest.approx((rmi['mean'] - half, rmi['mean'] + half), abs=1e-4)
    assert json.loads((tmp_path / 'runs/seeds.json').read_text()) == result
    line = next(line for line in table_of_seeds(result).splitlines() if line.startswith('rmi '))
    assert f'{rmi["mean"]:.4f}' in line and f'{rmi["std"]:.4f}' in line and f'{rmi["high"]:.4f}' in line

    # A second call trains nothing, and says the same.
    written = (tmp_path / 'runs/seed_0/epoch_1.pth').stat().st_mtime_ns
    again = run_seeds(config, [0, 1], tmp_path / 'runs')['scores']
    assert again['rmi'] == rmi and 'category/attribute' not in again
    assert (tmp_path / 'runs/seed_0/epoch_1.pth').stat().st_mtime_ns == written


@pytest.mark.parametrize('seeds', [[0], [1, 1]])
def test_too_few_seeds(tmp_path, seeds):
    with pytest.raises(ConfigError, match='at least two, all different'):
        run_seeds(write_config(tmp_path), seeds, tmp_path)


def test_an_unknown_control_is_refused_before_training(tmp_path):
    with pytest.raises(ConfigError, match=r"text control \['sideways'\] is unknown; use some of rotate"):
        run_seeds(write_config(tmp_path), [0, 1], tmp_path / 'runs', text_controls=['sideways'])
    assert not (tmp_path / 'runs').exists()
