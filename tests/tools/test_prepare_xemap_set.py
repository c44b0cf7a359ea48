"""tools/prepare_xemap_set.py from outside, over generated trees of all sources."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest
from PIL import Image

from tests.tools.command import run_tool, start_tool
from tests.trees import airslt, dior, loveda, visdrone
from xemap.datasets.annotations import AnnotationFile
from xemap.preparation.xemap_set import SOURCES

pytestmark = pytest.mark.usefixtures('served_processes')
ROOT = Path(__file__).resolve().parents[2]
IMAGES = 12


def prepare(folder: Path, *args: object, call: Callable = run_tool) -> tuple[subprocess.CompletedProcess, dict]:
    where = ('--root', folder / 'raw', '--out', folder / 'out', '--json', folder / 'counts.json', '--workers', 1)
    done = call('prepare_xemap_set', *where, *args)
    return done, json.loads((folder / 'counts.json').read_text())


def error_lines(done: subprocess.CompletedProcess) -> list[str]:
    assert 'Traceback' not in done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith('error: ')]


@pytest.mark.slow
def test_the_full_tree(tmp_path):
    made = {name: import_module(f'tests.trees.{name}').make(tmp_path / 'raw', images=IMAGES) for name in SOURCES}
    done, counts = prepare(tmp_path, '--workers', 2, call=partial(start_tool, columns=240))
    assert done.returncode == 0, done.stderr
    assert not error_lines(done) and all(name in done.stderr for name in SOURCES)  # a bar for each
    expected: dict[str, Counter] = {'images': Counter(), 'queries': Counter()}
    for name, numbers in made.items():
        entry = counts['sources'][name]
        assert entry['status'] == 'done'
        for kind in ('images', 'queries'):
            assert {split: part[kind] for split, part in entry['report']['splits'].items()} == numbers[kind], name
            expected[kind].update(numbers[kind])
    assert sorted(counts['files']) == ['train', 'val']
    assert counts['test_sets'] == {'airslt': str(tmp_path / 'out/airslt/test.arrow')}
    for split, file in [*counts['files'].items(), ('test', counts['test_sets']['airslt'])]:
        records = list(AnnotationFile(file))
        assert len(records) == expected['images'][split] == counts['total'][split]['images']
        assert sum(len(record.queries) for record in records) == expected['queries'][split]
        for record in records:
            with Image.open(Path(counts['data_root']) / record.image) as image:
                assert image.size == (record.width, record.height)
            assert all(query.text.strip() and query.region.mask(record.size).any() for query in record.queries)
    for text in ('AerialImage', '86,710', 'left out', 'entry 2: A gray road', 'ann_file='):
        assert text in done.stdout

    files = {path: path.stat().st_mtime_ns for path in (tmp_path / 'out').rglob('*.arrow')}
    (tmp_path / 'raw/VisDrone/VisDrone2019-DET-val/annotations').rename(tmp_path / 'elsewhere')
    (tmp_path / 'raw/DIOR/ImageSets/Main/val.txt').write_text('00001 1\n')
    done, counts = prepare(tmp_path)
    statuses = {name: entry['status'] for name, entry in counts['sources'].items()}
    assert done.returncode == 2 and 'unchanged' in done.stderr
    assert {name for name, status in statuses.items() if status != 'unchanged'} == {'visdrone', 'dior'}
    assert statuses['dior'] == 'failed' and statuses['visdrone'] == 'done'
    (line,) = error_lines(done)
    assert line.startswith('error: dior: ') and 'val.txt line 1' in line
    left_out = counts['sources']['visdrone']['report']['counts']
    assert left_out['images_not_annotated']['count'] == IMAGES and left_out['lists_empty']['count'] == 1
    after = {path: path.stat().st_mtime_ns for path in files}
    changed = {str(path.relative_to(tmp_path / 'out')) for path in files if files[path] != after[path]}
    assert changed == {'visdrone/train.arrow', 'train.arrow', 'val.arrow'}
    assert 'dior' not in {record.source for record in AnnotationFile(counts['files']['train'])}


def test_strict_and_what_is_counted_otherwise(tmp_path):
    airslt.make(tmp_path / 'raw')
    (tmp_path / 'raw/airslt/imgs/1.jpg').unlink()
    done, counts = prepare(tmp_path)
    assert done.returncode == 0, done.stderr
    assert counts['sources']['airslt']['report']['counts']['annotations_without_image']['count'] == 1
    assert counts['table']['AIR-SLT']['test'] == {'images': 2, 'queries': 4, 'paper': 22, 'difference': -20}
    assert counts['sources']['dior'] == {
        'row': 'DIOR',
        'status': 'absent',
        'expected': str(tmp_path / 'raw/DIOR'),
    }
    assert 'dior absent' in done.stdout
    done = run_tool('prepare_xemap_set', '--root', tmp_path / 'raw', '--out', tmp_path / 'out', '--strict')
    (line,) = error_lines(done)
    assert done.returncode == 2 and 'does not exist' in line and 'name in --sources those you have' in line
    done, counts = prepare(tmp_path, '--strict', '--sources', 'airslt')
    assert done.returncode == 2
    (line,) = error_lines(done)
    assert line.startswith('error: airslt: ') and '1.jpg does not exist' in line
    assert counts['sources']['airslt']['status'] == 'failed'
    assert f'error: airslt: {counts["sources"]["airslt"]["error"]}' == line
    assert not counts['files'] and (tmp_path / 'out/airslt/test.arrow').exists()
    done = run_tool(
        'prepare_xemap_set',
        '--root',
        tmp_path / 'raw',
        '--out',
        tmp_path / 'out',
        '--strict',
        '--sources',
        'airslt',
        '--debug',
    )
    assert done.returncode == 2 and 'Traceback' in done.stderr


def test_the_papers_config_reads_what_the_documented_command_writes(tmp_path, monkeypatch):
    from mmengine.registry import DefaultScope

    from xemap.engine import load_config
    from xemap.registry import DATASETS

    for tree in (visdrone, airslt):
        tree.make(tmp_path / 'data/raw')
    monkeypatch.chdir(tmp_path)
    done = run_tool('prepare_xemap_set', '--root', 'data/raw', '--out', 'data/xemap_set')
    assert done.returncode == 0, done.stderr
    config = load_config(ROOT / 'configs/xemap/xemap_swin-t_bert_512_25e.py')
    read = set()
    with DefaultScope.overwrite_default_scope('xemap'):
        for name in ('train', 'val', 'test'):
            dataset = config[f'{name}_dataloader'].dataset
            sample = DATASETS.build(dataset)[0]
            assert sample['inputs'].shape == (3, 512, 512), name
            read |= {f"data_root='{dataset.data_root}',", f"ann_file='{dataset.ann_file}',"}
    assert read == set(done.stdout.partition('for a config:\n')[2].split())  # tool and config agree to the letter


def test_divisions(tmp_path):
    dior.make(tmp_path / 'raw', images=6)
    loveda.make(tmp_path / 'raw', images=3)
    done, paper = prepare(tmp_path, '--sources', 'loveda', 'dior')
    assert done.returncode == 0, done.stderr
    done, official = prepare(tmp_path, '--sources', 'loveda', 'dior', '--official-splits')
    assert done.returncode == 0, done.stderr
    for row in ('DIOR', 'LoveDA'):
        images = [
            {split: cells['images'] for split, cells in counts['table'][row].items()} for counts in (paper, official)
        ]
        assert images[0] != images[1] and sum(images[0].values()) == sum(images[1].values())
    for split in ('train', 'val'):
        listed = (tmp_path / f'raw/DIOR/ImageSets/Main/{split}.txt').read_text().split()
        assert official['table']['DIOR'][split]['images'] == len(listed)


def test_bad_arguments_are_one_line(tmp_path):
    for args, text in (
        (('--root', tmp_path / 'no', '--out', tmp_path / 'out'), 'no is no folder'),
        (('--root', tmp_path, '--out', tmp_path / 'out'), 'holds no source; expected folders are RefCOCO, VisDrone'),
        (('--root', tmp_path, '--out', tmp_path / 'out', '--sources', 'dotta'), "--sources names 'dotta'"),
        (('--root', tmp_path, '--out', tmp_path / 'out', '--templates', 'no.json'), 'template table no.json cannot'),
    ):
        done = run_tool('prepare_xemap_set', *args)
        assert done.returncode == 2 and not done.stdout
        (line,) = error_lines(done)
        assert text in line


def test_help_loads_nothing_heavy():
    done = start_tool('prepare_xemap_set', '--help')
    assert done.returncode == 0 and '--root data/raw --out data/xemap_set' in done.stdout
    code = (
        'import sys; sys.path.insert(0, "tools"); import prepare_xemap_set\n'
        'heavy = {"torch", "mmengine", "cv2", "pyarrow", "numpy"} & set(sys.modules); assert not heavy, heavy'
    )
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
