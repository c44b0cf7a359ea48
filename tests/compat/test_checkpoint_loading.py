from __future__ import annotations

import os
import pickle
from urllib.error import URLError

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader

import xemap.registry  # noqa: F401  (sets up)
from xemap.compat.checkpoint_loading import load_checkpoint_file
from xemap.errors import CheckpointError


class RunsOnLoad:
    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.system, (f'touch {self.marker}',)


class GetsAttribute:
    """What a hostile file would try once ``getattr`` is allowed."""

    def __reduce__(self):
        return getattr, (HistoryBuffer, '__init__')


def save(path, content):
    torch.save(content, path)
    return path


def test_what_mmengine_writes_can_be_read(tmp_path):
    buffer = HistoryBuffer([1.0, 2.0], [1, 1])
    numbers = {'best': np.float64(0.5), 'step': np.int64(3), 'small': np.float32(0.25), 'flag': np.bool_(True)}
    path = save(tmp_path / 'a.pth', {'logs': {'loss': buffer}, **numbers, 'w': torch.ones(2)})
    loaded = load_checkpoint_file(path)
    assert loaded['logs']['loss'].data[0].tolist() == [1.0, 2.0]
    assert loaded['logs']['loss'].statistics('mean') == 1.5
    assert {key: loaded[key] for key in numbers} == numbers


def test_nothing_else_is_executed(tmp_path):
    marker = tmp_path / 'executed'
    path = save(tmp_path / 'a.pth', {'state_dict': {}, 'extra': RunsOnLoad(marker)})
    with pytest.raises(CheckpointError, match=r'a\.pth needs the Python object posix\.system.*state_dict'):
        load_checkpoint_file(path)
    assert not marker.exists()


def test_getattr_reaches_statistics_methods_only(tmp_path):
    path = save(tmp_path / 'a.pth', {'extra': GetsAttribute()})
    with pytest.raises(CheckpointError, match=r'needs the Python object HistoryBuffer\.__init__'):
        load_checkpoint_file(path)


def test_bare_pickle_is_refused(tmp_path):
    marker, path = tmp_path / 'executed', tmp_path / 'a.pkl'
    path.write_bytes(pickle.dumps({'extra': RunsOnLoad(marker)}, protocol=2))
    with pytest.raises(CheckpointError, match=r'a\.pkl needs the Python object posix\.system'):
        load_checkpoint_file(path)
    assert not marker.exists()


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('mmap', [False, True])
@pytest.mark.parametrize('keep', [0, 10, 0.5, 0.99])
def test_truncated_file(tmp_path, suffix, mmap, keep):
    path = tmp_path / f'a{suffix}'
    weights = {'w': torch.arange(1000.0)}
    if suffix == '.pth':
        save(path, weights)
    else:
        from safetensors.torch import save_file

        save_file(weights, path)
    assert torch.equal(load_checkpoint_file(path, mmap=mmap)['w'], weights['w'])
    content = path.read_bytes()
    path.write_bytes(content[: keep if isinstance(keep, int) else int(len(content) * keep)])
    with pytest.raises(CheckpointError, match=r'truncated or no checkpoint.*copy or download it again'):
        load_checkpoint_file(path, mmap=mmap)


def test_missing_file_and_wrong_content(tmp_path):
    with pytest.raises(CheckpointError, match='no.pth does not exist'):
        load_checkpoint_file(tmp_path / 'no.pth')
    with pytest.raises(CheckpointError, match='holds a list'):
        load_checkpoint_file(save(tmp_path / 'a.pth', [1, 2]))


def test_mmengine_loads_through_the_same_rules(tmp_path):
    marker = tmp_path / 'executed'
    path = save(tmp_path / 'a.pth', {'extra': RunsOnLoad(marker)})
    with pytest.raises(CheckpointError):
        CheckpointLoader.load_checkpoint(str(path), map_location='cpu')
    assert not marker.exists()


def test_download_is_loaded_safely_and_its_failure_explained(tmp_path, monkeypatch):
    assert mmengine_checkpoint.load_url.keywords == {'weights_only': True}

    def no_network(*args, **kwargs):
        raise URLError('no route to host')

    monkeypatch.setattr(mmengine_checkpoint, 'load_url', no_network)
    with pytest.raises(CheckpointError, match=r'https://h/w\.pth cannot be downloaded.*give its path'):
        CheckpointLoader.load_checkpoint('https://h/w.pth', map_location='cpu')


def test_download_that_needs_code_is_refused(tmp_path, monkeypatch):
    hub = tmp_path / 'hub'
    (hub / 'checkpoints').mkdir(parents=True)
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(hub))
    marker = tmp_path / 'executed'
    save(hub / 'checkpoints' / 'w.pth', {'extra': RunsOnLoad(marker)})  # as if downloaded before
    with pytest.raises(CheckpointError, match='needs the Python object posix.system'):
        CheckpointLoader.load_checkpoint('https://h/w.pth', map_location='cpu')
    assert not marker.exists()
