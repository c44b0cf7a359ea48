"""tools/browse_dataset.py as a command."""

from __future__ import annotations

from functools import partial

from tests.datasets.toy import write_toy
from tests.tools.command import heavy_imports_of_help, run_tool

tool = partial(run_tool, 'browse_dataset', columns=120)


def test_pages_and_pictures(tmp_path) -> None:
    common = (write_toy(tmp_path), '--data-root', tmp_path, '--out', tmp_path / 'out')
    (tmp_path / '4.png').unlink()
    done = tool(*common, '--kind', 'one-hop', 'position', '--text', 'THING', '--per-page', 3)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('7 queries of 4 images in 3 files, the first is') and 'page-001.html' in done.stdout
    assert done.stderr.count('warning: image') == 1 and '4.png does not exist' in done.stderr
    assert len(list((tmp_path / 'out').glob('page-*.html'))) == 3
    done = tool(*common, '--multi-hop', 'yes', '--multi-ref', 'no', '--source', 'a', '--pictures')
    assert done.returncode == 0, done.stderr
    assert '3 queries of 2 images in 3 files' in done.stdout and len(list((tmp_path / 'out').glob('*.png'))) == 3


def test_mistakes_are_one_line(tmp_path) -> None:
    done = tool(write_toy(tmp_path), '--data-root', tmp_path, '--out', tmp_path / 'out', '--text', '(')
    assert done.returncode == 2 and 'error: text "(" is no regular expression' in done.stderr
    assert 'Traceback' not in done.stderr and not (tmp_path / 'out').exists()


def test_help_imports_nothing_heavy() -> None:
    text, imported = heavy_imports_of_help('browse_dataset', 'torch', 'mmengine', 'numpy', 'cv2', 'rich')
    assert '--multi-ref' in text and not imported


def test_targets_are_those_of_a_config(tmp_path) -> None:
    ann_file, config = write_toy(tmp_path), tmp_path / 'config.py'
    config.write_text("train_dataloader = dict(dataset=dict(pipeline=[dict(type='GenerateMaps', grids=[2], sigma=0)]))")
    common = (ann_file, '--data-root', tmp_path, '--limit', 1, '--pictures', '--out')
    assert tool(*common, tmp_path / 'default').returncode == 0
    assert tool(*common, tmp_path / 'own', '--config', config).returncode == 0
    (default,), (configured,) = (list((tmp_path / name).glob('*.png')) for name in ('default', 'own'))
    assert default.name == configured.name and default.read_bytes() != configured.read_bytes()
