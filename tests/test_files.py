from __future__ import annotations

import pytest

from xemap.files import replacing, write_text


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
