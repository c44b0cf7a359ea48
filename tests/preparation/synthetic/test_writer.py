import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest

from tests.tools.command import heavy_imports_of_help, run_tool
from xemap import files
from xemap.datasets.annotations import AnnotationFile
from xemap.errors import ConfigError, DataError
from xemap.preparation.synthetic import lay_out_scene, write_synthetic, writer
from xemap.structures import QUERY_KINDS

TOOL = Path(__file__).resolve().parents[3] / 'tools/data/make_synthetic.py'
FEW = dict(seed=3, sizes=(256,), workers=1)


def contents(root):
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob('*')) if p.is_file()}


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp('synthetic')
    return root, write_synthetic(root, 'train', 5, **FEW)


def test_files_and_counts(written):
    root, counts = written
    file = AnnotationFile(root / 'train.arrow')
    assert [r.image for r in file] == [f'images/train/{i:06d}.jpg' for i in range(5)]
    assert file.info == {'name': 'synthetic', 'split': 'train', 'seed': 3, 'sizes': [256], 'generator': 2}
    for record in file:
        assert cv2.imread(str(root / record.image)).shape == (256, 256, 3) == (*record.size, 3)
    queries = [query for record in file for query in record.queries]
    assert (counts['images'], counts['drawn'], counts['queries']) == (5, 5, len(queries))
    assert counts['kinds'] == {kind: sum(q.kind == kind for q in queries) for kind in QUERY_KINDS}
    assert counts['multi_ref'] == sum(q.referents > 1 for q in queries) > 0
    assert counts['single_ref'] + counts['multi_ref'] == sum(counts['categories'].values()) == len(queries)


def test_processes_do_not_change_a_byte(written, tmp_path):
    root, _ = written
    write_synthetic(tmp_path, 'train', 5, seed=3, sizes=(256,), workers=2)
    assert contents(tmp_path) == contents(root)


def test_splits_and_seeds_share_no_scene():
    def layout(split, seed, index):
        return repr(lay_out_scene(writer.scene_seed(split, seed, index), 256).plan.objects)

    scenes = [layout(s, seed, i) for s in ('train', 'val', 'test') for seed in (0, 1) for i in range(4)]
    assert len(set(scenes)) == len(scenes)
    assert layout('train', 0, 0) == scenes[0]


def test_finished_images_are_kept(written, tmp_path):
    root, _ = written
    write_synthetic(tmp_path, 'train', 3, **FEW)
    images = tmp_path / 'images/train'
    (images / '000001.jpg').unlink()
    whole = (images / '000002.jpg').read_bytes()
    (images / '000002.jpg').write_bytes(whole[: len(whole) // 2])
    (images / '.000003.4999999.part.jpg').write_bytes(b'half an image')
    (tmp_path / '.train.4999999.part.arrow').touch()
    before = (images / '000000.jpg').stat().st_mtime_ns
    counts = write_synthetic(tmp_path, 'train', 5, **FEW)
    assert counts['drawn'] == 4 and counts['images'] == 5  # the missing one, the half one and two more
    assert (images / '000000.jpg').stat().st_mtime_ns == before
    assert contents(tmp_path) == contents(root)


def test_an_interruption_loses_nothing_finished(written, tmp_path, monkeypatch):
    root, _ = written
    make = writer._make

    def interrupted(index, **kwargs):
        if index == 3:
            raise KeyboardInterrupt
        return make(index, **kwargs)

    monkeypatch.setattr(writer, '_make', interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_synthetic(tmp_path, 'train', 5, **FEW)
    assert sorted(contents(tmp_path)) == [
        'images/train/' + n for n in ('000000.jpg', '000001.jpg', '000002.jpg', 'generator.json')
    ]
    monkeypatch.undo()
    assert write_synthetic(tmp_path, 'train', 5, **FEW)['drawn'] == 2
    assert contents(tmp_path) == contents(root)


def test_an_image_appears_only_when_complete(tmp_path, monkeypatch):
    def disk_full(*_):
        raise OSError(28, 'No space left on device', str(tmp_path))

    monkeypatch.setattr(files.os, 'replace', disk_full)
    with pytest.raises(DataError, match='(?i)no space left'):
        write_synthetic(tmp_path, 'train', 1, **FEW)
    assert not list(tmp_path.rglob('*.jpg')) and not list(tmp_path.rglob('*.arrow'))


def test_images_of_another_seed_are_replaced(tmp_path):
    write_synthetic(tmp_path, 'val', 3, **FEW)
    old = contents(tmp_path)
    assert write_synthetic(tmp_path, 'val', 2, seed=4, sizes=(256,), workers=1)['drawn'] == 2
    new = contents(tmp_path)
    assert 'images/val/000002.jpg' not in new
    assert all(new[name] != old[name] for name in new)


def test_images_of_another_origin_are_never_touched(tmp_path):
    folder = tmp_path / 'images/train'
    folder.mkdir(parents=True)
    (folder / '000000.jpg').write_bytes(b'somebody took this')
    with pytest.raises(DataError, match='another origin, such as 000000.jpg'):
        write_synthetic(tmp_path, 'train', 1, **FEW)
    assert contents(tmp_path) == {'images/train/000000.jpg': b'somebody took this'}


@pytest.mark.parametrize(
    'change, named',
    [({'count': 0}, '0 scenes'), ({'sizes': (64,)}, 'scene size 64'), ({'sizes': ()}, 'no scene sizes'),
     ({'seed': -1}, 'seed -1'), ({'split': '../x'}, "'../x'")],
)  # fmt: skip
def test_bad_arguments_are_named(tmp_path, change, named):
    with pytest.raises(ConfigError, match=named):
        write_synthetic(**{'root': tmp_path, 'split': 'train', 'count': 1, **FEW, **change})
    assert not list(tmp_path.iterdir())


def test_tool(written, tmp_path):
    root, _ = written
    done = run_tool(
        'make_synthetic', '--out', tmp_path, '--train', 5, '--val', 1, '--seed', 3, '--sizes', 256, '--workers', 2
    )
    assert done.returncode == 0, done.stderr
    splits = json.loads(done.stdout.splitlines()[-1])['splits']
    assert list(splits) == ['train', 'val'] and splits['train']['images'] == 5
    assert 'train' in done.stdout and 'multi-hop' in done.stdout
    assert (tmp_path / 'train.arrow').read_bytes() == (root / 'train.arrow').read_bytes()
    assert len(AnnotationFile(tmp_path / 'val.arrow')) == 1


def living(group):
    """Processes of a group that are no zombies."""
    lives = []
    for path in Path('/proc').glob('[0-9]*/stat'):
        with contextlib.suppress(OSError):
            state = path.read_text().rpartition(')')[2].split()
            lives += [path] if int(state[2]) == group and state[0] != 'Z' else []
    return lives


@pytest.mark.parametrize('stop', [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_tool_leaves_no_process_and_the_next_run_cleans_up(tmp_path, stop):
    """That SIGHUP ends a tool as SIGTERM does is tested in tests/test_cli.py."""
    command = [sys.executable, TOOL, '--out', tmp_path, '--train', '2000', '--sizes', '256', '--workers', '2']
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob('images/train/*.jpg'))) < 3:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(stop)
    assert process.wait(timeout=30) == (-stop if stop == signal.SIGKILL else 128 + stop)
    while living(process.pid):
        assert time.monotonic() < deadline, 'a worker is still there'
        time.sleep(0.05)
    assert stop == signal.SIGKILL or not list(tmp_path.rglob('.*part*'))
    write_synthetic(tmp_path, 'train', 3, seed=0, sizes=(256,), workers=1)
    assert not list(tmp_path.rglob('.*part*'))


def test_tool_errors_are_one_line(tmp_path):
    for args, named in (((), 'no scenes asked for'), (('--train', 2, '--sizes', 10), 'scene size 10')):
        done = run_tool('make_synthetic', '--out', tmp_path, *args)
        assert done.returncode == 2 and done.stderr.startswith('error: ') and named in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_help_imports_nothing_heavy():
    text, imported = heavy_imports_of_help('make_synthetic', 'torch', 'cv2', 'numpy', 'shapely')
    assert '--workers' in text and not imported
