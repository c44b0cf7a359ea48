from __future__ import annotations

import os

import pytest
import torch
from torch import nn

from xemap.engine import find_newest_checkpoint
from xemap.errors import CheckpointError
from xemap.models.checkpoint import check_weights


def save(path, seconds, content=None):
    torch.save({'meta': {}, 'optimizer': {}} if content is None else content, path)
    os.utime(path, (seconds, seconds))
    return path


def test_newest_readable_checkpoint(tmp_path):
    assert find_newest_checkpoint(tmp_path) is None
    old = save(tmp_path / 'epoch_9.pth', 100)
    newer = save(tmp_path / 'iter_10.pth', 200)
    truncated = save(tmp_path / 'epoch_11.pth', 300)
    truncated.write_bytes(truncated.read_bytes()[:100])
    save(tmp_path / 'epoch_12.pth', 400, {'state_dict': {}})  # weights alone cannot be resumed
    save(tmp_path / 'best_rmi_epoch_11.pth', 500)
    assert find_newest_checkpoint(tmp_path) == newer
    newer.unlink()
    assert find_newest_checkpoint(tmp_path) == old


def test_checkpoints_of_which_none_can_be_resumed_are_not_trained_over(tmp_path):
    save(tmp_path / 'epoch_1.pth', 100, {'state_dict': {}})
    with pytest.raises(CheckpointError, match='none of the 1 checkpoints in .* can be resumed'):
        find_newest_checkpoint(tmp_path)


@pytest.mark.parametrize('note', [b'\xff\xfe\x00', b'a' * 5000, b'epoch_1.pth\x00', b'a\nb'])
def test_a_damaged_note_is_passed_over(tmp_path, note):
    path = save(tmp_path / 'epoch_1.pth', 100)
    (tmp_path / 'last_checkpoint').write_bytes(note)
    assert find_newest_checkpoint(tmp_path) == path


@pytest.mark.parametrize('note', ['', 'gone/epoch_2.pth', '{folder}'])
def test_a_note_that_leads_nowhere_is_passed_over(tmp_path, note):
    (tmp_path / 'last_checkpoint').write_text(note.format(folder=tmp_path))
    assert find_newest_checkpoint(tmp_path) is None
    path = save(tmp_path / 'epoch_1.pth', 100)
    assert find_newest_checkpoint(tmp_path) == path


def test_the_note_may_name_a_file_elsewhere(tmp_path):
    (tmp_path / 'elsewhere').mkdir()
    path = save(tmp_path / 'elsewhere' / 'step-7.pth', 100)
    (tmp_path / 'last_checkpoint').write_text(str(path))
    assert find_newest_checkpoint(tmp_path) == path


def test_a_copied_folder_goes_on_from_the_named_checkpoint(tmp_path):
    newest = save(tmp_path / 'epoch_10.pth', 100)
    save(tmp_path / 'epoch_9.pth', 200)  # copied later
    (tmp_path / 'last_checkpoint').write_text('gone/epoch_10.pth')
    assert find_newest_checkpoint(tmp_path) == newest
    (tmp_path / 'last_checkpoint').unlink()
    save(tmp_path / 'epoch_10.pth', 200)
    assert find_newest_checkpoint(tmp_path) == newest  # of the same time, the larger number


class Net(nn.Module):
    def __init__(self, layers: int = 2, width: int = 3):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))


@pytest.mark.parametrize('exact', [True, False])
def test_fitting_weights_pass(exact):
    weights = Net().state_dict()
    check_weights(Net(), {'state_dict': weights}, 'a.pth', exact)
    check_weights(Net(), weights, 'a.pth', exact)
    check_weights(Net(), {'state_dict': {f'module.{k}': v for k, v in weights.items()}}, 'a.pth', exact)


@pytest.mark.parametrize(
    'given, message',
    [
        (Net(layers=1), r'2 of 4 weights of Net match; 2 missing \(layers\.1\.bias, layers\.1\.weight\)'),
        (Net(layers=3), r'4 of 4 weights of Net match; 2 unknown to the model \(layers\.2\.bias'),
        (Net(width=4), r'0 of 4 weights of Net match; 4 of another shape \(.*, …\)'),
    ],
)
def test_other_architectures_are_refused_where_all_weights_are_needed(given, message):
    with pytest.raises(CheckpointError, match=rf'checkpoint a\.pth is of another architecture: {message}.*config'):
        check_weights(Net(), {'state_dict': given.state_dict()}, 'a.pth', exact=True)


def test_initializing_needs_some_weights_only():
    check_weights(Net(), {'state_dict': Net(layers=1).state_dict()}, 'a.pth', exact=False)
    with pytest.raises(CheckpointError, match='0 of 4 weights'):
        check_weights(Net(), {'state_dict': nn.Linear(3, 3).state_dict()}, 'a.pth', exact=False)
