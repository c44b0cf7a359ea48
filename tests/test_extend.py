"""The examples of docs/extend.md, as a user runs them: files outside the package, given to the tools."""

from __future__ import annotations

import csv
import json
import re
import sys

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from tests.models.tiny import tiny_network
from tests.tools.command import load_tool
from tests.tools.small_run import ROOT, write_run
from xemap.cli import run
from xemap.datasets import XeMapDataset
from xemap.demo.answer import Answerer
from xemap.demo.request import Request
from xemap.inference import XeMapInferencer
from xemap.models import build_localizer
from xemap.raster.image_io import read_image

EXAMPLES = {
    name: code
    for code, name in re.findall(r'```python\n(# mine/(\S+)\n.*?)```', (ROOT / 'docs/extend.md').read_text(), re.DOTALL)
}
GREEN = ['--cfg-options', 'test_dataloader.dataset.data_root=.', 'test_dataloader.dataset.ann_file=all.arrow']


@pytest.fixture(scope='module')
def mine(tmp_path_factory):
    """A user's folder: the examples, images with queries for a green part of them, and the project's configs."""
    folder = tmp_path_factory.mktemp('user')
    (folder / 'mine').mkdir()
    (folder / 'configs').symlink_to(ROOT / 'configs')
    for name in ('green.py', 'green_config.py', 'centers.py'):
        (folder / 'mine' / name).write_text(EXAMPLES[name])
    write_run(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder / 'mine'))
        yield folder


@pytest.fixture
def tool(mine, monkeypatch):
    """``tool('test', 'WORD', …)``: a command line, run in the user's folder."""
    monkeypatch.chdir(mine)

    def call(name: str, *words) -> int:
        module = load_tool(name)
        monkeypatch.setattr(sys, 'argv', [f'{name}.py', *map(str, words)])
        return run(module.main, module.parse_args())

    return call


def test_the_lines_of_code_of_each_example_are_those_of_the_table() -> None:
    page, metrics = ((ROOT / 'docs' / name).read_text() for name in ('extend.md', 'evaluation.md'))
    codes = {
        'localizer': EXAMPLES['green.py'] + EXAMPLES['green_config.py'],
        'metric': re.search(r'```python\n([^`]*class CenterMetric.*?)```', metrics, re.DOTALL)[1],
        'converter': re.search(r'```python\n(# my_boxes.py\n.*?)```', page, re.DOTALL)[1],
        'form of target': EXAMPLES['centers.py'],
    }
    lines = {
        kind: sum(bool(line.strip()) and not line.startswith('#') for line in code.splitlines())
        for kind, code in codes.items()
    }
    table = {
        kind: int(number)
        for kind, number in re.findall(r'^\| ([a-z ]+)(?:,.*)? \| \[.*\| (\d+) \|$', page, re.MULTILINE)
    }
    assert table == lines and lines['localizer'] <= 30


def test_a_localizer_is_tested(mine, tool) -> None:
    assert tool('test', 'mine/green_config.py', 'none', '--out', 'out/green', *GREEN) == 0
    rows = list(csv.DictReader((mine / 'out/green.queries.csv').open(newline='')))
    summary = json.loads((mine / 'out/green.summary.json').read_text())
    assert len(rows) == 9 and summary['overall']['rsu'] > summary['floor']['rsu']


def test_a_localizer_is_compared(mine, tool) -> None:
    methods = ['a=mine/green_config.py', 'b=mine/green_config.py']
    assert tool('compare', *methods, '--out', 'out/compare', '--pictures', 1, *GREEN) == 0
    report = json.loads((mine / 'out/compare/compare.json').read_text())
    assert [row['queries'] for row in report['methods']] == [9, 9]
    assert report['methods'][0]['rsu'] == report['methods'][1]['rsu'] > report['bounds'][0]['rsu']


@pytest.mark.parametrize('mode', ['resize', 'tile'])
def test_a_localizer_runs_over_images(mine, tool, mode) -> None:
    words = ['0.png', '--query', 'a green field', '--config', 'mine/green_config.py', '--checkpoint', 'none']
    options = ['--mode', mode, '--tile', 24, '--format', 'npy,geojson', '--out', f'out/{mode}']
    assert tool('infer', *words, *options) == 0
    (file,) = (mine / 'out' / mode).rglob('*.npy')
    pixels = read_image(mine / '0.png').astype(np.float32)
    np.testing.assert_allclose(np.load(file), pixels[..., 1] / (pixels.sum(2) + 1), atol=1e-5)


def test_a_localizer_stands_behind_the_web_page(mine, tmp_path) -> None:
    answerer = Answerer(XeMapInferencer(mine / 'mine/green_config.py', None, 'cpu'), max_pixels=10_000)
    answer = answerer.answer(Request(str(mine / '0.png'), ('a green field', 'the meadow')), tmp_path)
    assert answer.ok and answer.html.count('class="xm-map"') == 2 and len(answer.files) == 4


@pytest.fixture(scope='module')
def centers_config(mine) -> Config:
    """A small network with the head of the example of a new form of target."""
    import centers  # noqa: F401  (the user's file)

    network = tiny_network(frozen=())
    network.head = dict(type='CenterHead')
    resize = dict(type='ResizeImage', size=(64, 64))
    return Config(dict(model=network, test_pipeline=[dict(type='LoadImage'), resize, dict(type='PackXeMapInputs')]))


def test_a_form_of_target_is_learned(mine, centers_config) -> None:
    torch.manual_seed(0)
    model = build_localizer(centers_config).train()
    steps = [*centers_config.test_pipeline[:2], dict(type='GenerateCenters'), centers_config.test_pipeline[2]]
    with DefaultScope.overwrite_default_scope('xemap'):
        data = XeMapDataset('all.arrow', str(mine), steps)
    batch = [data[i] for i in range(2)]
    assert batch[1]['data_samples'].gt_centers.shape == (2, 2)
    inputs = torch.stack([item['inputs'] for item in batch]).float() / 128 - 1
    samples = [item['data_samples'] for item in batch]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        loss = model(inputs, samples, mode='loss')['loss_center']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize('mode', ['resize', 'tile'])
def test_a_form_of_target_gives_answers(mine, centers_config, mode) -> None:
    inferencer = XeMapInferencer(centers_config, device='cpu')
    result = inferencer(mine / '0.png', ['a', 'b'], mode, tile=32, threshold=0.5, simplify=0)
    boxes = result.box_answers.boxes()
    assert result.maps.shape == (2, 40, 56) and boxes.shape == (2, 4) and boxes.any(1).all()
    for mask, (box,), exact in zip(result.maps, result.boxes, boxes):
        assert set(np.unique(mask)) <= {0, 1}
        np.testing.assert_allclose(box, exact, atol=0.5)
