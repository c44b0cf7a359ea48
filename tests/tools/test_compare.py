"""tools/compare.py on the real network, trained weights beside its untrained self."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.models.tiny import tiny_network
from tests.tools.command import load_tool
from tests.tools.small_run import write_run
from xemap.cli import run
from xemap.comparison import page
from xemap.engine import evaluate_model, load_config
from xemap.models import build_localizer
from xemap.raster.image_io import read_image
from xemap.raster.resize import resize
from xemap.registry import MODELS
from xemap.structures import MapAnswers
from xemap.visualization import query_panel

ROOT = Path(__file__).resolve().parents[2]
QUERIES = 1 + 2 + 3 + 1 + 2


@pytest.fixture
def compare(monkeypatch):
    """``compare('METHOD', …)`` as on a command line; returns the status."""
    tool = load_tool('compare')

    def call(*words) -> int:
        monkeypatch.setattr(sys, 'argv', ['compare.py', *map(str, words)])
        return run(tool.main, tool.parse_args())

    return call


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(5)
    path = tmp_path / 'weights.pth'
    torch.save({'state_dict': MODELS.build(tiny_network()).state_dict(), 'meta': {}}, path)
    return path


def test_two_methods_over_the_same_queries(tmp_path, compare, checkpoint):
    config, out = write_run(tmp_path), tmp_path / 'out'
    assert compare(f'a={config}:{checkpoint}', f'b+={config}', '--out', out, '--pictures', 3) == 0
    report = json.loads((out / 'compare.json').read_text())
    assert [row['name'] for row in report['methods']] == ['a', 'b+']
    assert [row['name'] for row in report['bounds']] == ['uniform map', 'true mask', 'MCMG target']
    for row in report['methods']:
        assert row['queries'] == QUERIES
        assert row['total_seconds'] == pytest.approx(row['read_seconds'] + row['model_seconds'])
        assert row['queries_per_second'] == pytest.approx(QUERIES / row['total_seconds'])
        rows = list(csv.DictReader((out / f'{row["name"]}.queries.csv').open(newline='')))
        assert row['rmi'] == pytest.approx(sum(float(r['rmi']) for r in rows) / QUERIES)
    assert report['methods'][0]['rmi'] != report['methods'][1]['rmi']
    table = list(csv.DictReader((out / 'compare.csv').open(newline='')))
    assert [float(row['rmi']) for row in table[:2]] == [row['rmi'] for row in report['methods']]
    assert (out / 'compare.md').read_text().count('\n') == 2 + 5
    page = (out / 'index.html').read_text()
    assert page.count('<figure>') == 3 and 'src="http' not in page
    assert (out / 'figure.png').stat().st_size > 1000


def test_scores_are_those_of_the_test_tool(tmp_path, compare, checkpoint, monkeypatch):
    config = write_run(tmp_path)
    test = load_tool('test')
    monkeypatch.setattr(sys, 'argv', ['test.py', str(config), str(checkpoint), '--work-dir', str(tmp_path / 'run')])
    assert run(test.main, test.parse_args()) == 0
    assert compare(f'{config}:{checkpoint}', '--out', tmp_path / 'out', '--pictures', 0) == 0
    assert (tmp_path / f'out/{config.stem}.queries.csv').read_text() == (tmp_path / 'run/test.queries.csv').read_text()
    compared, tested = (
        json.loads(path.read_text())
        for path in (tmp_path / f'out/{config.stem}.summary.json', tmp_path / 'run/test.summary.json')
    )
    assert {key: tested[key] for key in compared} == compared
    assert not (tmp_path / 'out' / 'index.html').exists()


def test_maps_are_scored_as_masks_and_boxes_too(tmp_path, compare, checkpoint):
    config, out = write_run(tmp_path), tmp_path / 'out'
    metrics = ('--metrics', 'mask', 'selo', 'box', '--train-ann-file', tmp_path / 'all.arrow')
    assert compare(f'a={config}:{checkpoint}', f'b={config}', '--out', out, '--pictures', 1, *metrics) == 0
    cfg = load_config(config)
    box = dict(type='BoxMetric', mean_box=str(tmp_path / 'all.arrow'))
    cfg.test_evaluator = [dict(type='MaskMetric'), dict(type='SeLoMetric'), box]
    evaluate_model(cfg, checkpoint, tmp_path / 'run')
    assert (out / 'a.queries.csv').read_text() == (tmp_path / 'run/test.queries.csv').read_text()
    compared, tested = (json.loads(p.read_text()) for p in (out / 'a.summary.json', tmp_path / 'run/test.summary.json'))
    assert {key: tested[key] for key in compared} == compared
    report = json.loads((out / 'compare.json').read_text())
    bounds = [(row['metric'], row['name']) for row in report['bounds']]
    assert bounds[:2] == [('mask', 'whole image'), ('selo', 'uniform map')]
    assert bounds[-2:] == [('box', 'whole image'), ('box', 'mean training box')]
    assert [metric['main'] for metric in report['metrics']] == ['oiou', 'rmi', 'box/pr@0.5']
    assert report['methods'][0]['parameters'] == sum(p.numel() for p in build_localizer(config).parameters())
    for row in report['methods']:
        assert row['peak_memory_bytes'] > 50 << 20 and 0 < row['cpu_seconds'] < 100 * row['total_seconds']
    lines = (out / 'compare.md').read_text().splitlines()
    headings = [line for line in lines if line.startswith('**')]
    assert headings == ['**Masks**', '**SeLo metrics**', '**Boxes**', '**Costs**']


def test_chosen_queries_are_drawn_with_their_parts(tmp_path, compare, checkpoint, monkeypatch):
    config, out = write_run(tmp_path), tmp_path / 'out'
    drawn = []
    monkeypatch.setattr(page, 'query_panel', lambda *words, **options: drawn.append(words) or query_panel(*words))
    assert compare(f'a={config}:{checkpoint}', f'b={config}', '--out', out, '--query', '2:2', '--decompose') == 0
    (whole, target, anchor) = drawn
    assert whole[1] == 'the meadow next to the river' and [name[:1] for name in whole[2]] == ['a', 'b']
    assert (target[1], anchor[1]) == ('part: the meadow', 'part: the river')
    image = read_image(tmp_path / '2.png')
    (answers,) = build_localizer(config, checkpoint).localize([image], [['the river']])
    assert np.abs(answers.maps()[0] - resize(anchor[2]['a'] / np.float32(255), answers.size)).max() < 0.01
    figure = (out / 'index.html').read_text()
    assert figure.count('<figure>') == 1 and figure.count('<img') == 3
    drawn.clear()
    assert compare(f'a={config}', '--out', out, '--query', 'GREEN', '--query', 'the meadow next to the river.') == 0
    assert sorted(words[1] for words in drawn) == ['a green field'] * 3 + ['the meadow next to the river']
    assert compare(f'a={config}', '--out', out, '--query', 'the meadow next', '--decompose', 'one', 'two') == 0
    assert [words[1] for words in drawn[-2:]] == ['part: one', 'part: two']


def test_stretched_maps_are_scored_where_asked_for(tmp_path, compare, checkpoint):
    config, out = write_run(tmp_path), tmp_path / 'out'
    for name, words in (('plain', []), ('stretched', ['--normalize'])):
        assert compare(f'{name}={config}:{checkpoint}', '--out', out, '--pictures', 0, *words) == 0
        (metric,) = json.loads((out / 'compare.json').read_text())['metrics']
        assert metric['config'].get('normalize', False) == bool(words)
    plain, stretched = (json.loads((out / f'{name}.summary.json').read_text()) for name in ('plain', 'stretched'))
    assert plain['overall']['rsu'] != stretched['overall']['rsu'] and plain['floor'] == stretched['floor']
    assert plain['run']['checkpoint'] == str(checkpoint) and plain['run']['data'] == str(tmp_path / 'all.arrow')


def test_one_map_at_a_time_has_full_size(tmp_path, compare, checkpoint, monkeypatch):
    made = []
    resized = MapAnswers.resized
    monkeypatch.setattr(MapAnswers, 'resized', lambda self, size: made.append(len(self)) or resized(self, size))
    assert compare(f'{write_run(tmp_path)}:{checkpoint}', '--out', tmp_path / 'out', '--pictures', 0) == 0
    assert made.count(1) >= QUERIES and max(made[-QUERIES:]) == 1


def test_an_untrained_model_is_the_same_every_time(tmp_path, compare):
    config = write_run(tmp_path)
    for out in ('one', 'two'):
        torch.manual_seed(len(out) if out == 'one' else 99)  # whatever was drawn before
        assert compare(f'a={config}', '--out', tmp_path / out, '--pictures', 0) == 0
    assert (tmp_path / 'one' / 'a.queries.csv').read_text() == (tmp_path / 'two' / 'a.queries.csv').read_text()


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['{c}', '{c}'], 'two methods are called "small"; name them'),
        (['none.py'], 'config none.py does not exist'),
        (['{c}:'], r'is not of the form [NAME=]CONFIG.py[:CHECKPOINT]'),
        (['a\\b={c}'], 'is no file name'),
        (['{c}:gone.pth'], 'checkpoint gone.pth does not exist'),
        (['{c}', '--ann-file', 'gone.arrow'], 'gone.arrow does not exist'),
        (['{c}', '--metrics', 'mask', '--normalize'], '--normalize is of the SeLo metrics; add selo'),
        (['{c}', '--train-ann-file', 'train.arrow'], '--train-ann-file is for the metrics of boxes; add box'),
        (['{c}', '--pictures', '-1'], '--pictures -1; give 0 or more'),
        (['{c}', '--pictures', '0', '--decompose'], '--decompose draws parts below pictures'),
        (['{c}', '--query', '7:0'], 'query "7:0" is not among the 9 of the test set'),
        (['{c}', '--query', 'a boat'], 'query "a boat" is not among the 9 of the test set'),
    ],
)
def test_mistakes_are_one_line(tmp_path, compare, capsys, words, message):
    config = write_run(tmp_path)
    assert compare(*(word.replace('{c}', str(config)) for word in words), '--out', tmp_path / 'out') == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith('error: ') and message in error


def test_a_missing_checkpoint_stops_the_comparison_before_it_starts(tmp_path, compare, capsys):
    config, out = write_run(tmp_path), tmp_path / 'out'
    assert compare(f'a={config}', f'b={config}:gone.pth', '--out', out) == 2
    assert 'checkpoint gone.pth does not exist' in capsys.readouterr().err and not out.exists()


def test_a_retrieval_model_makes_no_maps(tmp_path, compare, capsys):
    assert compare(ROOT / 'configs/retrieval/amfmn_small_synthetic.py', '--out', tmp_path / 'out') == 2
    assert 'AMFMN is no Localizer' in capsys.readouterr().err


def test_what_was_finished_stays_when_a_later_method_fails(tmp_path, compare, checkpoint):
    config, out, torn = write_run(tmp_path), tmp_path / 'out', tmp_path / 'torn.pth'
    torn.write_bytes(checkpoint.read_bytes()[:100])
    assert compare(f'a={config}:{checkpoint}', f'b={config}:{torn}', '--out', out) == 2
    assert (out / 'a.summary.json').is_file() and not (out / 'compare.json').exists()
