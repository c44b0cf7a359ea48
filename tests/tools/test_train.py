"""tools/train.py on the real network, in this process where that is enough."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from tests.tools.command import load_tool
from tests.tools.small_run import ROOT, write_run
from xemap.cli import run
from xemap.compat.checkpoint_loading import load_checkpoint_file


@pytest.fixture
def train(monkeypatch):
    """``train('CONFIG', '--seed', '1')`` as on a command line; returns the status."""
    tool = load_tool('train')

    def call(*words) -> int:
        monkeypatch.setattr(sys, 'argv', ['train.py', *map(str, words)])
        return run(tool.main, tool.parse_args())

    return call


@pytest.mark.parametrize('tool', ['train.py', 'test.py'])
def test_help_does_not_import_torch(tool):
    code = (
        f"import sys, runpy; sys.argv = ['{tool}', '--help']\n"
        f"try: runpy.run_path('{ROOT}/tools/{tool}', run_name='__main__')\n"
        "finally: print([m for m in ('torch', 'mmengine', 'numpy', 'cv2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and '--launcher' in done.stdout and done.stdout.endswith('[]\n')


def test_resumed_training_of_the_real_network_is_exact(tmp_path, train):
    config = write_run(tmp_path)
    whole, parts = tmp_path / 'whole', tmp_path / 'parts'
    assert train(config, '--work-dir', whole) == 0
    assert train(config, '--work-dir', parts, '--cfg-options', 'train_cfg.max_epochs=1') == 0
    first = load_checkpoint_file(parts / 'epoch_1.pth')
    assert train(config, '--work-dir', parts, '--resume') == 0
    one, two = (load_checkpoint_file(folder / 'epoch_2.pth') for folder in (whole, parts))
    assert one['state_dict'].keys() == two['state_dict'].keys()
    for name, weight in one['state_dict'].items():
        assert torch.equal(weight, two['state_dict'][name]), name
    assert any(not torch.equal(w, first['state_dict'][n]) for n, w in one['state_dict'].items())
    for key, state in one['optimizer']['state'].items():
        for name, value in state.items():
            assert torch.equal(value, two['optimizer']['state'][key][name])
    assert one['param_schedulers'] == two['param_schedulers']
    assert list(parts.glob('best_rmi_*.pth')) and list(parts.glob('vis_data/epoch_00[12]/*.png'))
    assert list(parts.glob('*/vis_data/events*'))


@pytest.mark.parametrize(
    'words, message',
    [
        (['no/such/config.py'], 'error: config no/such/config.py does not exist; configs/ has those of this project'),
        (['{config}', '--cfg-options', 'model.num_level=3'], 'unknown key "num_level" (value 3); did you mean "num_l'),
        (['{config}', '--cfg-options', 'trian_cfg.max_epochs=3'], 'there is no "trian_cfg"; did you mean "train_cfg"'),
        (['{config}', '--resume', 'no.pth'], 'checkpoint no.pth does not exist'),
        (['{config}', '--cfg-options', 'train_dataloader.dataset.ann_file=no.arrow'], 'no.arrow does not exist'),
        (['{config}', '--cfg-options', 'val_dataloader.dataset.type=XeMapDatset'], 'did you mean "XeMapDataset"'),
    ],
)
def test_mistakes_are_one_line(tmp_path, train, capsys, words, message):
    config = write_run(tmp_path)
    words = [word.format(config=config) for word in words]
    assert train(*words, '--work-dir', tmp_path / 'run') == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('error: ') and message in line


def test_broken_image_in_a_worker_process_is_one_line(tmp_path, train, capsys):
    config = write_run(tmp_path)
    broken = tmp_path / '3.png'
    broken.write_bytes(broken.read_bytes()[:200])
    status = train(config, '--work-dir', tmp_path / 'run', '--cfg-options', 'train_dataloader.num_workers=1')
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error:')]
    assert status == 2 and str(broken) in line and 'Traceback' not in line and len(line) < 400


@pytest.mark.slow
def test_as_a_command(tmp_path):
    """What only a process of its own shows: the status, and that nothing but the line is printed."""
    command = [sys.executable, str(ROOT / 'tools' / 'train.py'), str(tmp_path / 'no.py')]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr == f'error: config {tmp_path / "no.py"} does not exist; configs/ has those of this project\n'
