"""What every localizer must do, whatever form its answers have; a localizer's tests inherit one of these classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope

from xemap.models import build_localizer
from xemap.structures import FORMS, Answers, XeMapDataSample

TEXTS = ['the lake', 'the parking lot next to the winding river', 'storage tanks', 'red roofs in the top left corner']


def make_samples(queries: list[list[str]], size: tuple[int, int], seed: int = 0) -> list[XeMapDataSample]:
    """Data samples with texts and random targets of every form."""
    generator = torch.Generator().manual_seed(seed)
    samples = []
    for texts in queries:
        sample = XeMapDataSample(metainfo={'img_shape': size, 'ori_shape': size})
        sample.texts = texts
        sample.gt_maps = torch.rand(len(texts), *size, generator=generator)
        sample.gt_masks = sample.gt_maps > 0.5
        corners = torch.rand(len(texts), 2, 2, generator=generator).sort(1).values
        sample.gt_boxes = (corners * torch.tensor(size[::-1])).flatten(1)
        samples.append(sample)
    return samples


def make_images(count: int, size: tuple[int, int], seed: int = 0) -> torch.Tensor:
    """Normalized random images (count, 3, H, W)."""
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(seed))


def make_photos(sizes: list[tuple[int, int]], seed: int = 0) -> list[np.ndarray]:
    """Images as :meth:`Localizer.localize` takes them: (H, W, 3) uint8 noise with a red part at the lower right."""
    rng = np.random.default_rng(seed)
    photos = [rng.integers(60, 120, (*size, 3)).astype(np.uint8) for size in sizes]
    for photo in photos:
        height, width = photo.shape[:2]
        photo[height // 2 :, width // 2 :, 0] += 120
    return photos


def assert_close(answers: Answers, others: Answers, tolerance: float = 1e-5) -> None:
    """Two answers are equal within a share of the value range, or of the longer side for boxes."""
    assert answers.form == others.form and answers.size == others.size
    scale = max(answers.size) if answers.form == 'box' else 1
    np.testing.assert_allclose(np.float32(answers.data), np.float32(others.data), atol=tolerance * scale, rtol=0)
    np.testing.assert_allclose(answers.presence, others.presence, atol=tolerance, rtol=0)


class LocalizerTester:
    """Subclass, and give ``config``; ``pipeline`` where it is to be asked through one."""

    config: dict
    pipeline: list[dict] = []
    sizes = [(64, 64), (64, 96), (75, 53), (128, 32)]

    @pytest.fixture
    def model(self) -> Any:
        torch.manual_seed(0)
        return build_localizer(self.configuration())

    def configuration(self) -> Config:
        """The config of the model with its test pipeline."""
        return Config(dict(model=self.config, test_pipeline=self.pipeline))

    def test_every_query_has_an_answer_at_any_size(self, model):
        texts = [TEXTS[:1] if i % 2 else TEXTS[1:] for i in range(len(self.sizes))]
        answers = model.localize(make_photos(self.sizes), texts)
        for each, queries, ori_size in zip(answers, texts, self.sizes, strict=True):
            assert isinstance(each, FORMS[model.form]) and len(each) == len(queries)
            maps, masks, boxes = each.maps(ori_size), each.masks(ori_size), each.boxes(ori_size)
            assert maps.shape == masks.shape == (len(queries), *ori_size) and boxes.shape == (len(queries), 4)
            assert np.isfinite(maps).all() and maps.min() >= 0 and maps.max() <= 1
            assert ((each.scores >= 0) & (each.scores <= 1)).all()
            assert ((each.presence >= 0) & (each.presence <= 1)).all()

    def test_answers_are_in_the_frame_of_the_image(self, model):
        """An answer has the proportions of its image, or those that a resize to one size gives it."""
        size = (48, 96)
        (answers,) = model.localize(make_photos([size]), [TEXTS[:1]])
        assert answers.size[1] * size[0] == answers.size[0] * size[1] or answers.size == model.input_size

    def test_a_pair_does_not_depend_on_its_batch(self, model):
        photos, texts = make_photos([(64, 96)] * 2), [TEXTS[:2], TEXTS[1:]]
        together = model.localize(photos, texts)
        for photo, each, queries in zip(photos, together, texts):
            for i, text in enumerate(queries):
                assert_close(model.localize([photo], [[text]])[0], each[i])

    def test_the_order_of_queries_is_theirs(self, model):
        (photo,) = make_photos([(64, 96)])
        forward, backward = (model.localize([photo], [texts])[0] for texts in (TEXTS, TEXTS[::-1]))
        assert_close(forward, backward[::-1])

    def test_a_text_that_comes_twice_is_answered_twice(self, model):
        (photo,) = make_photos([(64, 96)])
        (answers,) = model.localize([photo], [[TEXTS[0], TEXTS[1], TEXTS[0]]])
        assert len(answers) == 3
        assert_close(answers[0], answers[2])

    def test_the_text_matters(self, model):
        (answers,) = model.localize(make_photos([(64, 64)]), [TEXTS])
        assert np.abs(np.float32(answers.data[0]) - answers.data[1]).max() > 1e-4

    def test_an_image_without_queries_is_harmless(self, model):
        photos = make_photos([(64, 64)] * 3)
        answers = model.localize(photos, [[], TEXTS[:1], []])
        assert [len(each) for each in answers] == [0, 1, 0] and all(each.form == model.form for each in answers)
        assert_close(answers[1], model.localize(photos[1:2], [TEXTS[:1]])[0])
        assert model.localize([], []) == []

    def test_answering_changes_nothing_in_the_model(self, model):
        before = {name: value.clone() for name, value in model.state_dict().items()}
        model.train()
        modes = {name: module.training for name, module in model.named_modules()}
        (answers,) = model.localize(make_photos([(64, 64)]), [TEXTS[:2]])
        assert {name: module.training for name, module in model.named_modules()} == modes
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        assert all(parameter.grad is None for parameter in model.parameters())
        model.eval()
        assert_close(answers, model.localize(make_photos([(64, 64)]), [TEXTS[:2]])[0])

    def test_saved_weights_give_the_same_answers(self, model, tmp_path: Path):
        if not model.state_dict():
            pytest.skip('this localizer has no weights')
        torch.save(model.state_dict(), tmp_path / 'weights.pth')
        again = build_localizer(self.configuration(), tmp_path / 'weights.pth')
        photos = make_photos([(64, 64)])
        assert_close(again.localize(photos, [TEXTS])[0], model.localize(photos, [TEXTS])[0], 0)

    def test_a_test_sees_what_inference_sees(self, model):
        """Samples of a data set with the pipeline, through the test loop's step, get the answers of ``localize``."""
        photos, texts = make_photos([(64, 96)] * 2), [TEXTS[:2], TEXTS[2:]]
        batch = [self.packed(photo, queries) for photo, queries in zip(photos, texts)]
        with torch.no_grad():
            samples = model.test_step(pseudo_collate(batch))
        for sample, expected in zip(samples, model.localize(photos, texts)):
            assert_close(sample.answers, expected)

    def packed(self, photo: np.ndarray, texts: list[str]) -> dict:
        """One item of a data set with this pipeline."""
        from xemap.registry import TRANSFORMS
        from xemap.structures import PolygonRegion, Query

        size = photo.shape[:2]
        results = dict(img=photo, img_shape=size, ori_shape=size, rng=np.random.default_rng(0))
        results['queries'] = [Query(text, PolygonRegion([])) for text in texts]
        with DefaultScope.overwrite_default_scope('xemap'):
            for step in self.pipeline or [dict(type='PackXeMapInputs')]:
                if step['type'] != 'LoadImage':
                    results = TRANSFORMS.build(step)(results)
        return results


class NetworkTester(LocalizerTester):
    """Contract of a :class:`~xemap.models.localizers.NetworkLocalizer`, which trains."""

    def test_an_input_without_queries_is_harmless(self, model):
        with torch.no_grad():
            predicted = model(make_images(2, (64, 64)), make_samples([[], TEXTS[:1]], (64, 64)), mode='predict')
        assert [len(sample.answers) for sample in predicted] == [0, 1]

    def test_padding_is_no_part_of_the_answers(self, model):
        size, content = (64, 64), (0, 16, 64, 48)
        samples = [make_samples([TEXTS[:2]], size)[0] for _ in range(2)]
        samples[1].set_metainfo({'content': content})
        with torch.no_grad():
            whole, part = (model(make_images(1, size), [sample], mode='predict')[0].answers for sample in samples)
        assert part.boxes((32, 64)).shape == (2, 4)
        assert_close(part, whole.crop(*content, size=size))

    def test_loss_is_finite_and_reaches_every_trainable_parameter(self, model):
        model.train()
        losses = model(make_images(2, (64, 64)), make_samples([TEXTS[:2], TEXTS[2:]], (64, 64)), mode='loss')
        total = sum(losses.values())
        assert torch.isfinite(total)
        total.backward()
        without = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
        assert without == []

    def test_the_loss_is_the_mean_over_pairs(self, model):
        """Mean over three pairs, whichever images they belong to."""
        size = (64, 64)
        images, samples = make_images(2, size), make_samples([TEXTS[:1], TEXTS[1:3]], size)
        with torch.no_grad():
            together = sum(model(images, samples, mode='loss').values())
            one, two = (sum(model(images[i : i + 1], samples[i : i + 1], mode='loss').values()) for i in (0, 1))
        torch.testing.assert_close(together, (one + 2 * two) / 3, atol=1e-5, rtol=1e-4)
