"""tools/benchmark.py as a command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks import PARTS
from benchmarks.made_up import IMAGES, SOURCES, make_records

from tests.tools.command import heavy_imports_of_help, load_tool, run_tool, start_tool
from tests.tools.small_run import write_run
from xemap.cli import run


def positive_numbers(part) -> bool:
    values = part.values() if isinstance(part, dict) else part if isinstance(part, list) else None
    return part > 0 if values is None else all(positive_numbers(value) for value in values)


def test_prints_json_on_stdout_and_a_table_on_stderr(tmp_path):
    out = tmp_path / 'new' / 'speed.json'
    parts = [part for part in PARTS if part != 'data']  # whose scenes take seconds
    small = ('--parts', *parts, '--repeats', 1, '--map-size', 64, '--threads', 1, '--image-size', 32, 40)
    small += ('--queries', 1, 3)
    options = ['model.encoder.num_layers=1', 'model.language_model.max_tokens=4']
    done = run_tool('benchmark', write_run(tmp_path), *small, '--out', out, '--cfg-options', *options)
    assert done.returncode == 0, done.stderr
    assert 'is cut to 4' in done.stderr  # mmengine writes its warnings to stdout
    report = json.loads(done.stdout)
    assert json.loads(out.read_text()) == report
    assert report['config'] == 'small' and report['settings']['image_size'] == [32, 40]
    assert report['settings']['cfg_options'] == options
    assert report['train']['pairs_per_step'] == 4 and report['train']['images_per_step'] == 2
    assert [row['queries_per_image'] for row in report['infer']] == [1, 3]
    assert (report['train'].pop('peak_memory_of'), report['train'].pop('ceiling_dtype')) == ('process', 'float32')
    for row in (*report['infer'], report['naive']):
        assert 0 <= row.pop('max_difference') < 1e-5
    assert all(positive_numbers(report[part]) for part in parts)
    assert 'pairs/s' in done.stderr and 'Traceback' not in done.stderr


@pytest.mark.slow
def test_annotation_files_are_measured_apart_from_models(tmp_path):
    out = tmp_path / 'new' / 'reading.json'
    small = ('--images', 20, '--samples', 9, '--workers', 2, '--repeats', 1)
    done = start_tool('benchmark', 'annotations', *small, '--out', out)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert json.loads(out.read_text()) == report
    assert 20 <= report['file']['images'] <= 26 and report['file']['queries'] > report['file']['images']
    assert set(report['mcmg']) == {'polygons', 'masks'}
    assert len(report['workers']['memory']) == 2
    for memory in (*report['workers']['memory'], report['open']['before'], report['open']['after']):
        assert memory['rss'] >= memory['pss'] >= memory['uss'] >= memory['own'] > 0
    # A worker is a fork: the libraries stay its parent's.
    assert max(memory['uss'] for memory in report['workers']['memory']) < report['open']['before']['uss'] / 2
    assert all(positive_numbers(report[part]) for part in ('build', 'access', 'workers', 'mcmg'))
    assert '< 600 s' in done.stderr and 'Traceback' not in done.stderr


def test_made_up_annotations_have_the_size_of_the_papers_training_set():
    assert sum(source.images for source in SOURCES) == IMAGES == 86_710
    assert sum(source.queries for source in SOURCES) == 791_971
    records = list(make_records(100))
    assert records == list(make_records(100)) != list(make_records(100, seed=1))
    assert {record.source for record in records} == {source.name for source in SOURCES}
    assert 8 < sum(len(record.queries) for record in records) / len(records) < 10
    assert all(query.region.mask(record.size).any() for record in records for query in record.queries)


def test_an_annotation_file_of_ones_own(tmp_path, capsys):
    module = load_tool('benchmark')
    arguments = module.parse_args(['annotations', '--file', str(tmp_path / 'none.arrow')])
    assert run(module.main, arguments) == 2
    assert 'none.arrow does not exist' in capsys.readouterr().err
    assert run(module.main, module.parse_args(['annotations', '--workers', '0'])) == 2
    assert capsys.readouterr().err == 'error: --workers 0: give at least 1\n'


def test_mistakes_are_one_line(capsys):
    module = load_tool('benchmark')
    assert run(module.main, module.parse_args(['no/config.py'])) == 2
    out, err = capsys.readouterr()
    assert out == '' and err == 'error: config no/config.py does not exist; configs/ has those of this project\n'


def test_default_config_exists():
    assert Path(load_tool('benchmark').parse_args([]).config).is_file()


def test_help_imports_nothing_heavy():
    text, imported = heavy_imports_of_help('benchmark', 'torch', 'mmengine', 'numpy', 'cv2', 'rich')
    assert '--image-size' in text and not imported
