from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from torch import nn

from tests.export.onnx_files import onnx_runner
from tests.models.tiny import tiny_network
from tests.tools.command import load_tool
from tests.tools.small_run import write_run
from xemap.errors import ConfigError
from xemap.export import ImageSide, export_model, halves_of, tokenize, write
from xemap.files import file_hash
from xemap.models import build_localizer
from xemap.registry import MODELS

SIZE = (32, 40)
TEXTS = [
    ['tanks'],
    ['all ships'] * 2,
    [
        'the lake',
        'the very long and winding gray road between the old harbor and the stadium',
        'a',
        'houses',
        'two ponds',
    ],
]
"""Other numbers of queries and of tokens than the traced ones."""


@pytest.fixture(scope='module')
def network():
    """With what the small configs choose; :func:`test_tool` exports the paper's choices."""
    torch.manual_seed(0)
    config = tiny_network()
    config.encoder.fusion_layer_cfg.with_positions, config.head.logit_scale = True, 5.0
    # Time and size of a trace follow its layers; a relation block stands before the second.
    config.encoder.num_layers, config.encoder.relation_cfg = 2, dict()
    with DefaultScope.overwrite_default_scope('xemap'):
        network = MODELS.build(config)
        network.init_weights()
    del network.language_model.model.encoder.layer[1:]
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):  # statistics of a trained one
                module.running_mean.uniform_(-1, 1)
                module.running_var.uniform_(0.5, 2)
        network.head.logit_bias.fill_(0.3)
    return network.eval()


@pytest.fixture(scope='module')
def exported(network, tmp_path_factory):
    out = tmp_path_factory.mktemp('exported')
    return out, export_model(network, SIZE, out)


@pytest.fixture(scope='module')
def run_onnx(exported):
    return onnx_runner(exported[0])


def maps_of(network, image, texts):
    with torch.no_grad():
        return network.tensor(image, [SimpleNamespace(texts=texts)])


def close(exported, expected) -> None:
    torch.testing.assert_close(torch.as_tensor(exported), torch.as_tensor(expected), atol=1e-5, rtol=0)


@pytest.fixture(scope='module')
def program(exported):
    return torch.export.load(exported[0] / 'model.pt2').module()


@pytest.mark.parametrize('texts', TEXTS)
def test_program_equals_the_network_at_any_text_length(network, program, texts):
    image = torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(9))
    maps = program(image, *tokenize(network, texts), torch.zeros(len(texts), dtype=torch.int64))
    assert maps.shape == (len(texts), *SIZE) and maps.std() > 1e-3
    close(maps, maps_of(network, image, texts))


@pytest.mark.parametrize('texts', TEXTS)
def test_onnx_equals_the_network_at_any_text_length(network, run_onnx, texts):
    image = torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(9))
    ids, mask = tokenize(network, texts)
    image_idx = torch.zeros(len(texts), dtype=torch.int64)
    given = {'image': image.numpy(), 'token_ids': ids.numpy(), 'attention_mask': mask.numpy()}
    given['image_idx'] = image_idx.numpy()
    close(run_onnx('model.onnx', given)['maps'], maps_of(network, image, texts))


def test_onnx_image_side_equals_encode_images(network, run_onnx):
    image = torch.randn(1, 3, *SIZE)
    tokens, positions = run_onnx('image_encoder.onnx', {'image': image.numpy()}).values()
    with torch.no_grad():
        expected = network.encode_images(image)
    close(tokens, expected[0])
    close(positions, expected[1])


@pytest.mark.parametrize('image_idx', [[0, 0, 0], [3, 0, 3], [1, 2, 0]])
def test_several_images_at_a_time(network, run_onnx, program, image_idx):
    images = torch.randn(max(image_idx) + 1, 3, *SIZE, generator=torch.Generator().manual_seed(5))
    texts, index = ['the lake', 'all ships', 'the road next to the old harbor'], torch.tensor(image_idx)
    expected = torch.cat([maps_of(network, images[i : i + 1], [text]) for i, text in zip(image_idx, texts)])
    ids, mask = tokenize(network, texts)
    close(program(images, ids, mask, index), expected)
    given = {'token_ids': ids.numpy(), 'attention_mask': mask.numpy(), 'image_idx': index.numpy()}
    close(run_onnx('model.onnx', {'image': images.numpy(), **given})['maps'], expected)
    tokens, positions = run_onnx('image_encoder.onnx', {'image': images.numpy()}).values()
    close(run_onnx('query_decoder.onnx', {'tokens': tokens, 'positions': positions, **given})['maps'], expected)


def test_the_example_runs_without_torch(network, exported, tmp_path):
    pytest.importorskip('onnxruntime', reason='onnxruntime runs the ONNX files')
    (tmp_path / 'torch.py').write_text("raise ImportError('no torch here')")
    cv2.imwrite(str(tmp_path / 'a.png'), np.random.default_rng(0).integers(0, 256, (50, 20, 3), dtype=np.uint8))

    def run(*words):
        done = subprocess.run(
            [sys.executable, str(exported[0] / 'example.py'), *words], capture_output=True, text=True, check=True,
            env={**os.environ, 'PYTHONPATH': str(tmp_path)},
        )  # fmt: skip
        return done.stdout

    assert float(run().rpartition(':')[2]) < 1e-5
    network.set_pipeline([dict(type='ResizeImage', size=SIZE), dict(type='PackXeMapInputs')])
    image = cv2.cvtColor(cv2.imread(str(tmp_path / 'a.png')), cv2.COLOR_BGR2RGB)
    maps = network.localize([image], [['the lake', 'all ships']])[0].maps(SIZE)
    printed = run(str(tmp_path / 'a.png'), 'the lake', 'all ships')
    low, high = re.fullmatch(r'maps \(2, 32, 40\) (\S+) (\S+)\n', printed).groups()
    assert float(low) == pytest.approx(float(maps.min()), abs=1e-4)
    assert float(high) == pytest.approx(float(maps.max()), abs=1e-4)


def test_export_says_how_to_feed_the_files(network, exported):
    out, about = exported
    assert json.loads((out / 'export.json').read_text()) == json.loads(json.dumps(about))
    assert about['xemap'] and about['image']['resize'] == {
        'shrinks': 'area', 'grows': 'linear', 'keeps_aspect_ratio': False
    }  # fmt: skip
    assert [file['file'] for file in about['files']] == list(write.FORMATS.values())
    assert all(file['max_difference'] < 1e-5 and file['bytes'] > 10_000 for file in about['files'])
    image = about['image']
    assert (image['height'], image['width'], image['mean'], image['std']) == (*SIZE, [120.0] * 3, [60.0] * 3)
    from transformers import AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(out / about['text']['tokenizer'])(
        TEXTS[2], padding=True, return_tensors='pt'
    )
    assert torch.equal(tokens['input_ids'], tokenize(network, TEXTS[2])[0])


def test_the_network_is_left_as_it_was(network, exported):
    assert not any(module.training for module in network.modules())


def test_a_file_that_differs_is_not_written(network, tmp_path):
    class Wrong(ImageSide):
        def forward(self, image):
            tokens, positions = super().forward(image)
            return (tokens * 1.5 if torch.onnx.is_in_onnx_export() else tokens), positions

    with pytest.raises(ConfigError, match='image_encoder.onnx differs from the model by'):
        write.write_onnx(Wrong(halves_of(network, SIZE)), tmp_path / 'image_encoder.onnx')
    assert not list(tmp_path.iterdir())


def test_other_models_and_formats_are_refused(network, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match='Linear cannot be exported'):
        export_model(nn.Linear(1, 1), SIZE, tmp_path)
    with pytest.raises(ConfigError, match='format "tflite"; give some of pt2,onnx,image-onnx,query-onnx'):
        export_model(network, SIZE, tmp_path, ['tflite'])
    with pytest.raises(ConfigError, match='size 0 x 64; give at least 32 pixels'):
        export_model(network, (0, 64), tmp_path)
    monkeypatch.setattr(write.importlib, 'import_module', lambda name: (_ for _ in ()).throw(ImportError(name=name)))
    with pytest.raises(ConfigError, match='pip install onnx onnxruntime'):
        export_model(network, SIZE, tmp_path, ['onnx'])
    assert not list(tmp_path.iterdir())


def test_tool(tmp_path, capsys):
    config = write_run(tmp_path)
    torch.save({'state_dict': build_localizer(config).state_dict(), 'meta': {}}, tmp_path / 'weights.pth')
    tool = load_tool('export_model')
    words = ['--config', config, '--checkpoint', tmp_path / 'weights.pth', '--out', tmp_path / 'out']
    tool.main(tool.parse_args([*map(str, words), '--format', 'image-onnx', '--json']))
    about = json.loads(capsys.readouterr().out)
    assert (about['image']['height'], about['image']['width']) == (32, 32)
    assert about['weights'] == 'weights.pth' and about['weights_hash'] == file_hash(tmp_path / 'weights.pth')
    assert about['model'] == 'small'
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        'example.py',
        'export.json',
        'image_encoder.onnx',
        'reference.npz',
        'tokenizer',
    ]
