from __future__ import annotations

import os

import pytest

from xemap.files import remove_parts, replacing, write_text


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
