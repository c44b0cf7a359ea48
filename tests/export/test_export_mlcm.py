"""MLCM's exported files give its boxes, of several images at a time, letterboxed ones among them."""

from __future__ import annotations

import json

import pytest
import torch

from tests.models.localizers.mlcm.tiny import build, tiny_mlcm
from xemap.errors import ConfigError
from xemap.export import export_model, tokenize
from xemap.structures import XeMapDataSample

SIZE = (64, 64)
READER = dict(
    language_model=dict(type='WordSentenceEncoder', name='minilm', layers=2), text_width=None, num_added=1, grid=(4, 4),
    num_encoder_layers=1, num_fusion_layers=1,  # time and size of a trace follow its layers
)  # fmt: skip


KINDS = {
    '': (dict(head=dict(type='BoxHead', with_score=True)), ['pt2', 'onnx']),
    'legacy': (dict(legacy=True), ['onnx']),  # which differs in a mask and in what the head reads
}


@pytest.fixture(scope='module', params=KINDS.values(), ids=KINDS)
def exported(request, tmp_path_factory):
    options, formats = request.param
    model = build(tiny_mlcm(**READER, **options))
    del model.language_model.model.encoder.layer[1:]
    out = tmp_path_factory.mktemp('exported')
    return model, out, export_model(model, SIZE, out, formats)


@pytest.fixture(scope='module')
def runs(exported):
    """The files as functions of their inputs, loaded once."""
    onnxruntime = pytest.importorskip('onnxruntime')
    _, out, about = exported
    programs = [torch.export.load(out / 'model.pt2').module()] if len(about['files']) == 2 else []
    session = onnxruntime.InferenceSession(str(out / 'model.onnx'), providers=['CPUExecutionProvider'])
    names = ('image', 'padding', 'token_ids', 'attention_mask', 'image_idx')
    return *programs, lambda *given: session.run(None, {name: value.numpy() for name, value in zip(names, given)})


WHOLE, LETTERBOXED = (0, 0, 64, 64), (16, 0, 48, 64)


def answers(model, images, texts, contents, image_idx):
    samples = [XeMapDataSample(metainfo={'img_shape': SIZE, 'content': content}) for content in contents]
    for number, sample in enumerate(samples):
        sample.texts = [text for text, index in zip(texts, image_idx) if index == number]
    with torch.no_grad():
        (features,) = model.extract(images, samples)
        return model.head.corners(features.box, SIZE), model.head.score_logits(features.fusion).sigmoid()


@pytest.mark.parametrize(
    'texts, contents, image_idx',
    [
        (['tanks'], [WHOLE], [0]),
        (['the lake', 'the road next to the old harbor', 'houses'], [LETTERBOXED], [0, 0, 0]),
        (['the lake', 'the road next to the old harbor', 'the lake', 'a'], [LETTERBOXED, WHOLE], [0, 0, 1, 1]),
    ],
)
def test_the_files_equal_the_network(exported, runs, texts, contents, image_idx):
    model, _, _ = exported
    images = torch.randn(len(contents), 3, *SIZE, generator=torch.Generator().manual_seed(9))
    padding = torch.ones(len(contents), *SIZE, dtype=torch.bool)
    for mask, (x0, y0, x1, y1) in zip(padding, contents):
        mask[y0:y1, x0:x1] = False
    expected = answers(model, images, texts, contents, image_idx)
    given = (images, padding, *tokenize(model, texts), torch.tensor(image_idx))
    with torch.no_grad():
        results = [run(*given) for run in runs]
    for boxes, scores in results:
        torch.testing.assert_close(torch.as_tensor(boxes) * 64, expected[0], atol=1e-3, rtol=0)
        torch.testing.assert_close(torch.as_tensor(scores), expected[1], atol=1e-5, rtol=0)


def test_what_the_folder_says(exported):
    model, out, about = exported
    assert json.loads(json.dumps(about)) == json.loads((out / 'export.json').read_text())
    assert [file['file'] for file in about['files']] == ['model.pt2', 'model.onnx'][model.legacy :]
    assert about['text']['padding'] == ('max_length' if model.legacy else True)


def test_the_image_encoder_alone_is_refused(exported, tmp_path):
    with pytest.raises(ConfigError, match='format "image-onnx"; give some of pt2,onnx for MLCM'):
        export_model(exported[0], SIZE, tmp_path, ['image-onnx'])
    with pytest.raises(ConfigError, match='language_model=None'):
        export_model(build(tiny_mlcm()), SIZE, tmp_path)
