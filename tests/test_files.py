from __future__ import annotations

import json
import os

import pytest

from xemap.files import WORK_PREFIX, remove_parts, replacing, replacing_together, write_json, write_text


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / 'new' / 'a.json'
    with replacing(path) as part:
        part.write_text('{}')
        assert part.suffix == '.json'
        assert not path.exists()
    assert path.read_text() == '{}'
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / 'a.txt'
    write_text(path, 'old\n')
    with pytest.raises(RuntimeError), replacing(path) as part:
        part.write_text('half')
        raise RuntimeError
    assert path.read_bytes() == b'old\n'
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_removed(tmp_path):
    dead, lives = 2**22 + 1, os.getppid()  # Linux gives no numbers above 2**22
    kept = [f'.a.{lives}.part.png', '.a.part.png', '.part', 'a.part.png']
    for name in (f'.a.{dead}.part.png', f'sub/.a.b.{dead}.part', *kept):
        write_text(tmp_path / name, '')
    remove_parts(tmp_path, below=False)
    assert not (tmp_path / f'.a.{dead}.part.png').exists() and (tmp_path / f'sub/.a.b.{dead}.part').exists()
    remove_parts(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob('*') if path.is_file()) == kept
    remove_parts(tmp_path / 'missing')


def test_files_that_belong_together_appear_together(tmp_path):
    folder = tmp_path / 'new'
    with replacing_together(folder, ['a.txt', 'b.txt', 'never.txt']) as work:
        for name in ('a.txt', 'b.txt', 'a.txt.aux'):
            (work / name).write_text(name)
        assert list(folder.iterdir()) == [work]
    assert {path.name: path.read_text() for path in folder.iterdir()} == {'a.txt': 'a.txt', 'b.txt': 'b.txt'}
    with pytest.raises(RuntimeError), replacing_together(folder, ['a.txt']) as work:
        (work / 'a.txt').write_text('half')
        raise RuntimeError
    assert sorted(path.name for path in folder.iterdir()) == ['a.txt', 'b.txt']
    assert (folder / 'a.txt').read_text() == 'a.txt'


def test_only_folders_of_killed_processes_are_removed(tmp_path):
    killed = tmp_path / f'{WORK_PREFIX}killed'
    write_text(killed / 'a.txt', '')
    with replacing_together(tmp_path, []) as lives, replacing_together(tmp_path, []):
        assert lives.is_dir() and not killed.exists()
    assert not list(tmp_path.iterdir())


def test_json_is_valid_for_every_reader(tmp_path):
    content = {'name': 'Zürich \udcff.tif', 'score': 0.5}
    write_json(tmp_path / 'a.json', content)
    assert json.loads((tmp_path / 'a.json').read_text('utf-8')) == content
    with pytest.raises(ValueError, match='not JSON compliant'):
        write_json(tmp_path / 'a.json', {'score': float('nan')})
    assert json.loads((tmp_path / 'a.json').read_text('utf-8')) == content
