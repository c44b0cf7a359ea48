"""What every localizer must do; a localizer's tests inherit this class."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from xemap.models import build_localizer
from xemap.registry import MODELS
from xemap.structures import XeMapDataSample

TEXTS = ['the lake', 'the parking lot next to the winding river', 'storage tanks', 'red roofs in the top left corner']


def make_samples(queries: list[list[str]], size: tuple[int, int], seed: int = 0) -> list[XeMapDataSample]:
    """Data samples with texts and random targets."""
    generator = torch.Generator().manual_seed(seed)
    samples = []
    for texts in queries:
        sample = XeMapDataSample(metainfo={'img_shape': size, 'ori_shape': size})
        sample.texts = texts
        sample.gt_maps = torch.rand(len(texts), *size, generator=generator)
        samples.append(sample)
    return samples


def make_images(count: int, size: tuple[int, int], seed: int = 0) -> torch.Tensor:
    """Normalised random images (count, 3, H, W)."""
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(seed))


class LocalizerTester:
    """Subclass, and give ``config``; override what a localizer cannot do by design."""

    config: dict
    trains = True
    sizes = [(64, 64), (64, 96), (75, 53), (128, 32)]

    @pytest.fixture
    def model(self) -> torch.nn.Module:
        torch.manual_seed(0)
        with DefaultScope.overwrite_default_scope('xemap'):
            model = MODELS.build(self.config)
            model.init_weights()
        return model.eval()

    @pytest.mark.parametrize('size', sizes)
    def test_predicts_a_map_for_every_query_at_any_size(self, model, size):
        samples = make_samples([TEXTS[:1], TEXTS[1:]], size)
        with torch.no_grad():
            predicted = model(make_images(2, size), samples, mode='predict')
        assert [tuple(s.pred_maps.shape) for s in predicted] == [(1, *size), (3, *size)]
        for sample in predicted:
            assert sample.pred_maps.dtype == torch.float32
            assert sample.pred_maps.min() >= 0
            assert sample.pred_maps.max() <= 1
            assert sample.pred_maps.std() > 0

    def test_a_pair_does_not_depend_on_its_batch(self, model):
        size = (64, 96)
        images, queries = make_images(2, size), [TEXTS[:2], TEXTS[1:]]
        with torch.no_grad():
            together = model(images, make_samples(queries, size))
            alone = [
                model(images[i : i + 1], make_samples([[text]], size)) for i, own in enumerate(queries) for text in own
            ]
        torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=0)

    def test_the_text_matters(self, model):
        with torch.no_grad():
            maps = model(make_images(1, (64, 64)), make_samples([TEXTS], (64, 64)))
        assert (maps[0] - maps[1]).abs().max() > 1e-4

    def test_loss_is_finite_and_reaches_every_trainable_parameter(self, model):
        if not self.trains:
            pytest.skip('this localizer does not train')
        model.train()
        losses = model(make_images(2, (64, 64)), make_samples([TEXTS[:2], TEXTS[2:]], (64, 64)), mode='loss')
        total = sum(losses.values())
        assert torch.isfinite(total)
        total.backward()
        without = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
        assert without == []

    def test_saved_weights_give_the_same_maps(self, model, tmp_path: Path):
        torch.save(model.state_dict(), tmp_path / 'weights.pth')
        again = build_localizer(Config(dict(model=self.config)), tmp_path / 'weights.pth')
        images, queries = make_images(1, (64, 64)), [TEXTS]
        with torch.no_grad():
            expected = model(images, make_samples(queries, (64, 64)))
            assert torch.equal(again(images, make_samples(queries, (64, 64))), expected)

    def test_an_image_without_queries_is_harmless(self, model):
        with torch.no_grad():
            predicted = model(make_images(2, (64, 64)), make_samples([[], TEXTS[:1]], (64, 64)), mode='predict')
        assert [len(s.pred_maps) for s in predicted] == [0, 1]
