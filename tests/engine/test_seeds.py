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
    result = run_seeds(config, [0, 1], tmp_path / 'runs')
    rmi = result['scores']['rmi']
    for seed, value in zip((0, 1), rmi['values']):
        with open(tmp_path / f'runs/seed_{seed}/test.queries.csv') as file:
            rows = [float(row['rmi']) for row in csv.DictReader(file)]
        assert value == pytest.approx(statistics.mean(rows), abs=1e-4)
    assert rmi['values'][0] != rmi['values'][1]
    assert rmi['mean'] == pytest.approx(statistics.mean(rmi['values']))
    assert rmi['std'] == pytest.approx(statistics.stdev(rmi['values']))
    assert json.loads((tmp_path / 'runs/seeds.json').read_text()) == result
    line = next(line for line in table_of_seeds(result).splitlines() if line.startswith('rmi '))
    assert f'{rmi["mean"]:.4f}' in line and f'{rmi["std"]:.4f}' in line

    # A second call trains nothing, and says the same.
    written = (tmp_path / 'runs/seed_0/epoch_1.pth').stat().st_mtime_ns
    assert run_seeds(config, [0, 1], tmp_path / 'runs')['scores']['rmi'] == rmi
    assert (tmp_path / 'runs/seed_0/epoch_1.pth').stat().st_mtime_ns == written


@pytest.mark.parametrize('seeds', [[0], [1, 1]])
def test_too_few_seeds(tmp_path, seeds):
    with pytest.raises(ConfigError, match='at least two, all different'):
        run_seeds(write_config(tmp_path), seeds, tmp_path)
