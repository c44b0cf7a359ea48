"""Preparing fake sources: what is redone, what is kept, what fails, and interruptions."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.preparation.xemap_set import fakes
from xemap.datasets.annotations import AnnotationFile
from xemap.errors import ConfigError, DataError
from xemap.preparation.xemap_set import PrepareOptions, prepare
from xemap.preparation.xemap_set.summary import config_lines, summary, tables

pytestmark = pytest.mark.usefixtures('served_processes')
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def root(tmp_path) -> Path:
    return fakes.make(tmp_path / 'raw')


def run(root: Path, **arguments):
    return prepare(root, root.parent / 'out', sources=fakes.SOURCES, workers=2, **arguments)


def state_of(prepared) -> dict[str, bool]:
    return {name: state['unchanged'] for name, state in prepared.states.items()}


def times(out: Path) -> dict[str, int]:
    return {str(path.relative_to(out)): path.stat().st_mtime_ns for path in out.rglob('*.arrow')}


def test_all_sources_are_merged_in_their_order(root):
    prepared = run(root)
    assert not prepared.failures and not prepared.absent and prepared.data_root == root.parent
    train = AnnotationFile(root.parent / 'out/train.arrow')
    folders = [f'raw/{name}/{image}.png' for name in ('One', 'Two', 'Three') for image in 'ab']
    assert [record.image for record in train] == folders
    assert [record.source for record in train] == ['one'] * 2 + ['two'] * 2 + ['three'] * 2
    assert len(AnnotationFile(prepared.files['val'])) == 3 and 'test' not in prepared.files
    assert sorted(path.name for path in (root.parent / 'out/crops/two').glob('*.png')) == ['a.png', 'b.png', 'val.png']
    assert [path.name for path in (root.parent / 'out/crops').iterdir()] == ['two']  # three was not asked to crop


def test_finished_sources_are_kept_until_something_changes(root):
    out = root.parent / 'out'
    run(root)
    before = times(out)
    assert state_of(run(root)) == {'one': True, 'two': True, 'three': True}
    assert times(out) == before and len(before) == 8
    Image.new('RGB', (41, 30)).save(root / 'One/c.png')
    assert state_of(run(root)) == {'one': False, 'two': True, 'three': True}
    after = times(out)
    kept = {f'{name}/{split}.arrow' for name in ('two', 'three') for split in ('train', 'val')}
    assert {name for name in before if before[name] == after[name]} == kept
    assert len(AnnotationFile(out / 'train.arrow')) == 7


def test_other_options_are_another_result(root):
    names = ['one', 'three']
    run(root, names=names)
    cropped = PrepareOptions(crop_dota=64)
    assert state_of(run(root, names=names, options=cropped)) == {'one': True, 'three': False}
    assert (root.parent / 'out/crops/three/a.png').exists()
    official = PrepareOptions(crop_dota=64, official_splits=True)
    assert state_of(run(root, names=names, options=official)) == {'one': False, 'three': True}
    assert [record.source for record in AnnotationFile(root.parent / 'out/train.arrow')] == ['three'] * 2
    table = root / 'names.json'
    table.write_text('{"categories": {"tank": {"singular": ["cistern"]}}}')
    prepared = run(root, names=['three'], options=PrepareOptions(crop_dota=64, templates=str(table)))
    assert state_of(prepared) == {'three': False}
    assert all('cistern' in record.queries[0].text for record in AnnotationFile(prepared.files['train']))


def test_damaged_results_are_made_again(root):
    out = root.parent / 'out'
    run(root, names=['two'])
    for damage in (
        (out / 'two/val.arrow').unlink,
        lambda: (out / 'two/val.arrow').write_bytes(b'short'),
        lambda: (out / 'two/source.json').write_text('{"fingerprint": 1}'),
        lambda: (out / 'two/source.json').write_text('[]'),
        (out / 'crops/two/a.png').unlink,
    ):
        damage()
        prepared = run(root, names=['two'])
        assert state_of(prepared) == {'two': False} and not prepared.failures
        assert len(AnnotationFile(out / 'two/val.arrow')) == 1
        assert len(list((out / 'crops/two').glob('*.png'))) == 3


def test_crops_of_another_version_of_the_source_are_not_used(root):
    run(root, names=['two'])
    left = root.parent / 'out/crops/two/left.png'
    left.touch()
    (root / 'Two/a.png').touch()
    run(root, names=['two'])
    assert not left.exists()


def test_merged_files_follow_the_sources_that_are_named(root):
    out = root.parent / 'out'
    run(root)
    for path in (root / 'One').glob('[ab].png'):
        path.unlink()
    prepared = run(root, names=['one'])
    assert list(prepared.files) == ['val'] and not (out / 'train.arrow').exists()
    assert (out / 'two/train.arrow').exists()
    (out / 'val.arrow').unlink()
    assert len(AnnotationFile(run(root, names=['one']).files['val'])) == 1


def test_a_failure_loses_nothing_of_the_others(root):
    (root / 'two.bug').touch()
    (root / 'three.killed').touch()
    prepared = run(root)
    assert list(prepared.states) == ['one'] and set(prepared.failures) == {'two', 'three'}
    assert prepared.failures['two'].error == 'unexpected ZeroDivisionError: a bug; see --debug'
    assert 'in instances' in prepared.failures['two'].details
    assert 'ended by signal 9' in prepared.failures['three'].error
    assert [record.source for record in AnnotationFile(prepared.files['train'])] == ['one', 'one']
    (root / 'two.bug').unlink()
    (root / 'three.killed').unlink()
    assert state_of(run(root)) == {'one': True, 'two': False, 'three': False}


def test_strict(root):
    (root / 'one.broken').touch()
    prepared = run(root, names=['one'])
    assert prepared.states['one']['report']['counts']['bad_annotations']['count'] == 3
    prepared = run(root, names=['one'], options=PrepareOptions(strict=True))
    assert prepared.failures['one'].error.endswith('One/a.png is broken') and not prepared.files


def test_a_failure_loses_nothing_of_its_own_source(root):
    (root / 'one.broken').touch()
    files = run(root, names=['one']).files
    before = times(root.parent / 'out')
    prepared = run(root, names=['one'], options=PrepareOptions(strict=True))
    assert prepared.failures and files and times(root.parent / 'out') == before
    prepared = run(root, names=['one'])
    assert state_of(prepared) == {'one': True} and prepared.files == files
    assert times(root.parent / 'out') == before


def test_bad_arguments(root, tmp_path):
    with pytest.raises(ConfigError, match="--sources names 'four'; known are one, two, three"):
        run(root, names=['four'])
    with pytest.raises(DataError, match='raw/other is no folder'):
        run(root / 'other')
    with pytest.raises(ConfigError, match='not below --data-root'):
        run(root, data_root=root)
    for out in (root, root.parent):
        with pytest.raises(ConfigError, match='give a folder of its own'):
            prepare(root, out, sources=fakes.SOURCES)
    with pytest.raises(ConfigError, match='is inside the folder of one'):
        prepare(root, root / 'One/out', sources=fakes.SOURCES)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(DataError, match='holds no source; expected folders are One, Two, Three'):
        prepare(tmp_path / 'empty', tmp_path / 'out', sources=fakes.SOURCES)
    (root / 'Two').rename(root / 'Elsewhere')
    with pytest.raises(DataError, match='two: .*raw/Two does not exist'):
        run(root, names=['two'])


def test_folders_in_another_case_and_links(root):
    (root / 'One').rename(root.parent / 'far away')
    (root / 'ONE').symlink_to(root.parent / 'far away')
    (root / 'ONE/loop').symlink_to(root)
    prepared = run(root, names=['one'])
    assert AnnotationFile(prepared.files['train'])[0].image == 'raw/ONE/a.png'


def test_files_of_others_are_not_replaced(root):
    (root.parent / 'out').mkdir()
    (root.parent / 'out/test.arrow').write_bytes(b'mine')
    with pytest.raises(ConfigError, match='out/test.arrow is there already'):
        run(root)
    assert (root.parent / 'out/test.arrow').read_bytes() == b'mine' and not (root.parent / 'out/one').exists()


def test_one_run_at_a_time(root):
    (root.parent / 'out').mkdir()
    with open(root.parent / 'out/.lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DataError, match='another run is working on'):
            run(root)


def test_summary_beside_table_1(root):
    (root / 'three.bug').touch()
    (root / 'One').rename(root / 'Elsewhere')
    prepared = run(root)
    content = json.loads(json.dumps(summary(prepared)))
    assert {name: entry['status'] for name, entry in content['sources'].items()} == {
        'one': 'absent',
        'two': 'done',
        'three': 'failed',
    }
    assert content['table']['Potsdam-Vaihingen'] == {
        'train': {'images': 2, 'queries': 2, 'paper': 2738, 'difference': -2736},
        'val': {'images': 1, 'queries': 1, 'paper': 606, 'difference': -605},
        'test': {'images': 0, 'queries': 0, 'paper': 0, 'difference': 0},
    }
    assert content['total']['train'] == {
        'images': 2,
        'queries': 2,
        'paper': 86710,
        'difference': 2 - 86710,
        'paper_queries': 791971,
        'queries_difference': 2 - 791971,
    }
    assert {split: cells['paper'] for split, cells in content['total'].items()} == {
        'train': 86710,
        'val': 19453,
        'test': 300,
    }
    assert tables(prepared)
    assert config_lines(prepared)[0] == f"data_root='{root.parent}/',"
    assert config_lines(prepared)[1] == "ann_file='out/train.arrow',"


def start(root: Path) -> subprocess.Popen:
    """A run in a session of its own that stays in source two, once it is there and one is finished."""
    (root / 'two.wait').touch()
    code = (
        'import sys\n'
        'from types import SimpleNamespace\n'
        'from tests.preparation.xemap_set.test_prepare import run\n'
        'from pathlib import Path\n'
        'from xemap import cli\n'
        'if __name__ == "__main__":\n'
        '    sys.exit(cli.run(lambda args: run(Path(sys.argv[1])) and 0, SimpleNamespace(debug=False)))\n'
    )
    script = root.parent / 'start.py'
    script.write_text(code)
    process = subprocess.Popen(
        [sys.executable, str(script), str(root)],
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'},
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where tests run in the background
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not ((root / 'two.waits').exists() and (root.parent / 'out/three/source.json').exists()):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


def group_ends(group: int) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_interruption_by_ctrl_c(root):
    process = start(root)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and 'Traceback' not in errors and 'interrupted' in errors
    assert group_ends(process.pid)
    out = root.parent / 'out'
    assert sorted(path.parent.name for path in out.glob('*/*.arrow')) == ['one', 'one', 'three', 'three']
    assert not list(out.glob('*.arrow')) and not list((out / 'two').iterdir())
    finish(root)


def test_kill_in_the_middle(root):
    process = start(root)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert group_ends(process.pid)
    assert list((root.parent / 'out/two').glob('.part-*'))  # what a killed process leaves
    finish(root)


def test_kill_of_the_parent_alone_ends_its_processes(root):
    process = start(root)
    process.kill()
    process.wait(timeout=60)
    (root / 'two.wait').unlink()  # its next report of progress finds nobody
    process.stderr.close()
    assert group_ends(process.pid)
    finish(root)


def finish(root: Path) -> None:
    """The next run: what was finished is not touched."""
    (root / 'two.wait').unlink(missing_ok=True)
    out = root.parent / 'out'
    before = times(out)
    prepared = run(root)
    assert not prepared.failures and state_of(prepared)['one'] and state_of(prepared)['three']
    after = times(out)
    assert {name: after[name] for name in before if not name.startswith('two')} == {
        name: at for name, at in before.items() if not name.startswith('two')
    }
    assert len(AnnotationFile(prepared.files['train'])) == 6 and len(AnnotationFile(prepared.files['val'])) == 3
    assert not list(out.rglob('.part-*')) and not list(out.rglob('*.part*'))
