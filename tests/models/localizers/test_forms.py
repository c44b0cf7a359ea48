"""The tester on localizers of every form, and on networks whose head decides the form; each of a few lines."""

from __future__ import annotations

import zlib

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch import nn

from tests.models.localizers.localizer_tester import LocalizerTester, NetworkTester
from tests.models.tiny import tiny_network
from tests.tools.small_run import write_run
from xemap.datasets import XeMapDataset
from xemap.engine.draw_hook import draw_query, to_rgb
from xemap.models import Localizer
from xemap.models.heads import Head, mean_over_pairs
from xemap.models.localizers import NetworkLocalizer
from xemap.registry import MODELS
from xemap.structures import BoxAnswers, MapAnswers, MaskAnswers, PolygonRegion, Query

RESIZE = [dict(type='LoadImage'), dict(type='ResizeImage', size=(32, 64)), dict(type='PackXeMapInputs')]


def number_of(text: str) -> int:
    return zlib.crc32(text.encode())


class Shades(Localizer):
    """Pixels of a shade that the text decides; without weights."""

    def shares(self, image: np.ndarray, queries: list[str]) -> np.ndarray:
        gray = image.mean(2) / 255
        return np.stack([np.exp(-8 * np.abs(gray - number_of(text) % 97 / 97)) for text in queries])


@MODELS.register_module(force=True)
class ShadeMaps(Shades):
    form = 'map'

    def localize(self, images, texts):
        return [MapAnswers(self.shares(image, queries)) for image, queries in zip(images, texts)]


@MODELS.register_module(force=True)
class ShadeMasks(Shades):
    form = 'mask'

    def localize(self, images, texts):
        return [MaskAnswers(self.shares(image, queries) > 0.5) for image, queries in zip(images, texts)]


@MODELS.register_module(force=True)
class ShadeBoxes(Shades):
    form = 'box'

    def localize(self, images, texts):
        answers = []
        for image, queries in zip(images, texts):
            height, width = image.shape[:2]
            corners = [[number_of(text) % 31 / 62, number_of(text) % 23 / 46] for text in queries]
            boxes = np.hstack([corners, np.ones((len(queries), 2))]) * ([width, height] * 2)
            answers.append(BoxAnswers(boxes, (height, width), scores=np.full(len(queries), image.mean() / 255)))
        return answers


class TestMaps(LocalizerTester):
    config = dict(type='ShadeMaps')


class TestMasks(LocalizerTester):
    config = dict(type='ShadeMasks')


class TestBoxes(LocalizerTester):
    config = dict(type='ShadeBoxes')


@MODELS.register_module(force=True)
class PixelMasks(NetworkLocalizer):
    """A network of one layer, with masks as its answers."""

    form = 'mask'

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.layer = nn.Conv2d(3, 16, 3, padding=1)

    def tensor(self, inputs, data_samples):
        features = self.layer(inputs / 100)
        return torch.cat([map[[number_of(t) % 16 for t in s.texts]] for map, s in zip(features, data_samples)])

    def loss(self, inputs, data_samples):
        targets = torch.cat([sample.gt_masks for sample in data_samples]).float()
        errors = nn.functional.binary_cross_entropy_with_logits(
            self.tensor(inputs, data_samples), targets, reduction='none'
        )
        return {'loss_mask': mean_over_pairs(errors.mean((1, 2)))}

    def predict(self, inputs, data_samples):
        masks = self.tensor(inputs, data_samples).sigmoid()
        return [MaskAnswers(each) for each in masks.split([len(sample.texts) for sample in data_samples])]


class TestMaskNetwork(NetworkTester):
    config = dict(type='PixelMasks')


class TestMaskNetworkAtOneSize(NetworkTester):
    config = dict(type='PixelMasks', max_pairs=2)
    pipeline = RESIZE


@MODELS.register_module(force=True)
class MeanBoxHead(Head):
    """Center and half sides of a box from the mean of the fused tokens."""

    form = 'box'

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.layer = nn.Linear(2 * width, 4)

    def forward(self, fused):
        text = (fused.text * ~fused.text_padding[..., None]).sum(1)
        return self.layer(torch.cat([fused.vision.mean(1), text], 1)).sigmoid()

    def loss(self, fused, samples):
        height, width = fused.size
        targets = torch.cat([sample.gt_boxes for sample in samples]) / torch.tensor([width, height] * 2)
        return {'loss_box': mean_over_pairs((self.corners(self(fused)) - targets).abs().sum(1))}

    def predict(self, fused, samples):
        height, width = fused.size
        boxes = self.corners(self(fused)) * torch.tensor([width, height] * 2)
        return [BoxAnswers(each, fused.size) for each in boxes.split(list(fused.counts))]

    @staticmethod
    def corners(raw):
        return torch.cat([raw[:, :2] - raw[:, 2:] / 2, raw[:, :2] + raw[:, 2:] / 2], 1)


def with_boxes(**overrides):
    config = tiny_network(**overrides)
    config.head = dict(type='MeanBoxHead')
    return config


class TestXeMapNetworkWithBoxes(NetworkTester):
    config = with_boxes()


class TestXeMapNetworkWithBoxesInParts(NetworkTester):
    config = with_boxes(max_pairs=2)
    pipeline = RESIZE


def test_a_query_without_a_referent_is_trained_predicted_and_drawn(tmp_path):
    """From the annotation file on; its target is zero, and its picture has no outline."""
    from mmengine.registry import DefaultScope

    from xemap.datasets.annotations import AnnotationFile, write_annotations

    write_run(tmp_path)
    records = list(AnnotationFile(tmp_path / 'all.arrow'))[:2]
    records[0].queries.append(Query('the frozen lake', PolygonRegion([]), referents=0))
    write_annotations(tmp_path / 'absent.arrow', records)
    steps = [*RESIZE[:2], *(dict(type=f'Generate{form}') for form in ('Maps', 'Masks', 'Boxes')), RESIZE[2]]
    with DefaultScope.overwrite_default_scope('xemap'):
        data = XeMapDataset('absent.arrow', str(tmp_path), steps)
        network = MODELS.build(tiny_network())
        network.init_weights()
    batch = pseudo_collate([data[0], data[1]])
    sample = batch['data_samples'][0]
    assert sample.queries[-1].absent
    assert not sample.gt_maps[-1].any() and not sample.gt_masks[-1].any() and not sample.gt_boxes[-1].any()
    prepared = network.data_preprocessor(batch, training=True)
    assert torch.isfinite(network(**prepared, mode='loss')['loss_map'])
    with torch.no_grad():
        sample = network.eval()(**prepared, mode='predict')[0]
    picture = draw_query(to_rgb(batch['inputs'][0]), sample, len(sample.queries) - 1)
    assert picture.dtype == np.uint8 and picture.ndim == 3
