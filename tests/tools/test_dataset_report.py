"""tools/analysis/dataset_report.py as a command."""

from __future__ import annotations

import json
from functools import partial

from PIL import Image

from tests.datasets.toy import write_toy
from tests.tools.command import heavy_imports_of_help, run_tool, start_tool

tool = partial(run_tool, 'dataset_report')


def test_picture_json_and_table(tmp_path) -> None:
    path = write_toy(tmp_path)
    done = tool(path, path, '--out', tmp_path / 'out')
    assert done.returncode == 0, done.stderr
    first, second = json.loads((tmp_path / 'out/histograms.json').read_text())
    assert first == second and first['file'] == str(path)
    assert first['queries_per_image']['counts'] == {'0': 1, '1': 1, '2': 1, '3': 1, '5': 1}
    # hops are 1, 2, 3, 1, 2 and referents 1, 2, 1, 2, 1 from the first query of an image on
    assert first['multi_hop_per_image']['counts'] == {'0': 1, '1': 1, '2': 1, '3': 1}
    assert first['multi_ref_per_image']['counts'] == {'0': 1, '1': 2, '2': 1}
    assert first['words_per_query']['counts'] == {'6': 11}
    with Image.open(tmp_path / 'out/histograms.png') as picture:
        assert picture.format == 'PNG' and picture.width > 1000
    assert '2.2 / 2 / 5' in done.stdout and '6 / 6 / 6' in done.stdout
    assert sorted(p.name for p in (tmp_path / 'out').iterdir()) == [
        'histograms.json',
        'histograms.png',
        'statistics.json',
    ]


def test_mistakes_are_one_line(tmp_path) -> None:
    done = start_tool('dataset_report', tmp_path / 'none.arrow', '--out', tmp_path / 'out')
    assert done.returncode == 2 and 'none.arrow does not exist' in done.stderr and 'Traceback' not in done.stderr
    assert not (tmp_path / 'out').exists()


def test_help_imports_nothing_heavy() -> None:
    text, imported = heavy_imports_of_help('dataset_report', 'torch', 'numpy', 'matplotlib', 'rich')
    assert 'Figure 4' in text and not imported
