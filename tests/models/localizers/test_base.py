"""The contract of localizers, on localizers of a few lines."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from xemap.errors import ConfigError
from xemap.models.localizers import Localizer, NetworkLocalizer
from xemap.structures import BoxAnswers, MapAnswers, MaskAnswers, XeMapDataSample

RESIZE = dict(type='ResizeImage', size=(8, 16))
PACK = dict(type='PackXeMapInputs')


class Red(Localizer):
    """How red a pixel is, whatever is asked."""

    form = 'map'

    def localize(self, images, texts):
        assert not self.training and not torch.is_grad_enabled()
        return [MapAnswers(np.stack([image[..., 0] / 255] * len(queries))) for image, queries in zip(images, texts)]


class RedNetwork(NetworkLocalizer):
    """The same from a network's input; remembers what it saw."""

    form = 'map'

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.gain = nn.Parameter(torch.ones(1))
        self.seen: list[tuple[int, int]] = []

    def predict(self, inputs, data_samples):
        assert not self.training and not torch.is_grad_enabled()
        self.seen.append((len(inputs), sum(len(sample.texts) for sample in data_samples)))
        maps = inputs[:, 0] * self.gain
        return [MapAnswers(map[None].expand(len(s.texts), -1, -1)) for map, s in zip(maps, data_samples)]

    def loss(self, inputs, data_samples):
        targets = torch.cat([sample.gt_maps for sample in data_samples])
        return {'loss_map': (inputs[:, 0].mean() * self.gain - targets.mean()).abs()}


def network(**kwargs) -> RedNetwork:
    return RedNetwork(data_preprocessor=dict(type='ImgDataPreprocessor', mean=[0] * 3, std=[255] * 3), **kwargs)


def image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


class TestLocalizer:
    def test_answers_are_those_of_each_image(self) -> None:
        images = [image(4, 6), image(7, 3)]
        answers = Red().localize(images, [['a'], ['b', 'c']])
        assert [len(each) for each in answers] == [1, 2] and [each.size for each in answers] == [(4, 6), (7, 3)]
        np.testing.assert_allclose(answers[1].maps()[1], images[1][..., 0] / 255, atol=1e-6)

    def test_it_runs_in_eval_mode_and_goes_back(self) -> None:
        localizer = Red().train()
        localizer.localize([image(4, 4)], [['a']])
        assert localizer.training

    @pytest.mark.parametrize('form', ['map', 'mask', 'box'])
    def test_images_without_queries_do_not_reach_it(self, form: str) -> None:
        class Never(Localizer):
            def localize(self, images, texts):
                raise AssertionError

        Never.form = form
        (answers,) = Never().localize([image(4, 6)], [[]])
        assert len(answers) == 0 and answers.form == form and answers.maps((4, 6)).shape == (0, 4, 6)

    def test_a_batch_of_the_test_loop(self) -> None:
        pixels = [image(4, 6), image(5, 5)]
        samples = [XeMapDataSample() for _ in pixels]
        samples[0].texts, samples[1].texts = ['a', 'b'], []
        inputs = [torch.from_numpy(array.transpose(2, 0, 1).copy()) for array in pixels]
        assert Red().test_step({'inputs': inputs, 'data_samples': samples}) == samples
        np.testing.assert_allclose(samples[0].answers.maps()[0], pixels[0][..., 0] / 255, atol=1e-6)
        assert len(samples[1].answers) == 0

    @pytest.mark.parametrize(
        ('images', 'texts', 'message'),
        [
            ([image(4, 4)], [['a'], ['b']], '1 images, queries for 2'),
            ([image(4, 4) / 255], [['a']], r'not float64 \(4, 4, 3\)'),
            ([image(4, 4)[..., 0]], [['a']], r'not uint8 \(4, 4\)'),
            ([torch.zeros(3, 4, 4)], [['a']], 'not Tensor'),
            ([image(4, 4)], ['a'], "queries 'a'"),
            ([image(4, 4)], [[1]], r'queries \[1\]'),
        ],
    )
    def test_arguments_that_do_not_fit(self, images, texts, message) -> None:
        with pytest.raises(ConfigError, match=message):
            Red().localize(images, texts)

    @pytest.mark.parametrize(
        ('answers', 'message'),
        [
            ([], '0 answers for 1 images'),
            ([np.zeros((2, 4, 4))], 'returned a ndarray; its form is "map", return MapAnswers'),
            ([MaskAnswers(np.zeros((2, 4, 4), bool))], 'returned a mask; its form is "map"'),
            ([MapAnswers(np.zeros((1, 4, 4)))], '1 answers to 2 queries'),
        ],
    )
    def test_answers_that_break_the_contract(self, answers, message) -> None:
        class Broken(Localizer):
            form = 'map'

            def localize(self, images, texts):
                return answers

        with pytest.raises(ConfigError, match=f'Broken.localize.*{message}'):
            Broken().localize([image(4, 4)], [['a', 'b']])

    def test_misuse_is_named(self) -> None:
        class Formless(Localizer):
            def localize(self, images, texts):
                return []

        with pytest.raises(ConfigError, match='Formless: its form is None'):
            Formless()
        with pytest.raises(ConfigError, match='Red does not train'):
            Red()([], [], mode='loss')
        with pytest.raises(ConfigError, match='"tensr" is unknown to Red'):
            Red()([], [], mode='tensr')


class TestNetworkLocalizer:
    def test_localize_is_the_test_pipeline(self) -> None:
        localizer = network()
        localizer.set_pipeline([RESIZE, PACK])
        assert localizer.input_size == (8, 16)
        constant = np.full((4, 6, 3), 51, np.uint8)
        (answers,) = localizer.localize([constant], [['a', 'a']])
        assert answers.size == (8, 16) and len(answers) == 2
        np.testing.assert_allclose(answers.maps((4, 6)), 0.2, atol=1e-6)

    def test_without_a_resize_images_keep_their_size(self) -> None:
        localizer = network()
        assert localizer.input_size is None
        assert [each.size for each in localizer.localize([image(4, 6), image(8, 5)], [['a']] * 2)] == [(4, 6), (8, 5)]

    def test_batches_hold_at_most_max_pairs_and_one_size(self) -> None:
        localizer = network(max_pairs=4)
        localizer.set_pipeline([RESIZE, PACK])
        images = [image(4, 6, seed) for seed in range(5)]
        answers = localizer.localize(images, [['a'] * count for count in (2, 2, 1, 7, 1)])
        assert localizer.seen == [(2, 4), (1, 1), (1, 7), (1, 1)] and [len(each) for each in answers] == [2, 2, 1, 7, 1]
        for pixels, each in zip(images, answers):
            np.testing.assert_array_equal(each.maps()[0], localizer.localize([pixels], [['a']])[0].maps()[0])
        localizer.set_pipeline([PACK])
        localizer.seen.clear()
        localizer.localize([image(4, 6), image(4, 6), image(8, 5)], [['a']] * 3)
        assert localizer.seen == [(2, 2), (1, 1)]

    @pytest.mark.parametrize('kind', [MapAnswers, MaskAnswers, BoxAnswers])
    def test_padding_is_cut_off(self, kind) -> None:
        """The image stands in rows 2 to 6 of an input of 8 x 8 pixels, and the answer is its lower half."""

        def letterbox(results: dict) -> dict:
            padded = np.zeros((8, 8, 3), np.uint8)
            padded[2:6] = results['img']
            return {**results, 'img': padded, 'img_shape': (8, 8), 'content': (0, 2, 8, 6)}

        class LowerHalf(RedNetwork):
            form = kind.form

            def predict(self, inputs, data_samples):
                half = np.zeros((len(inputs), 8, 8), bool)
                half[:, 4:8] = True
                boxes = np.array([[0, 4, 8, 8]] * len(inputs))
                if kind is BoxAnswers:
                    return [BoxAnswers(box[None], (8, 8)) for box in boxes]
                return [kind(mask[None]) for mask in half]

        localizer = LowerHalf()
        localizer.set_pipeline([letterbox, PACK])
        (answers,) = localizer.localize([image(4, 8)], [['a']])
        assert answers.size == (4, 8) and answers.boxes((40, 80)).tolist() == [[0, 20, 80, 40]]

    def test_images_without_queries_get_no_answers(self) -> None:
        localizer = network()
        samples = [XeMapDataSample() for _ in range(3)]
        for sample, texts in zip(samples, ([], ['a', 'b'], [])):
            sample.texts = texts
        with torch.no_grad():
            predicted = localizer.eval()(torch.rand(3, 3, 4, 6), samples, mode='predict')
        assert [len(sample.answers) for sample in predicted] == [0, 2, 0] and localizer.seen == [(1, 2)]

    def test_misuse_is_named(self) -> None:
        with pytest.raises(ConfigError, match='max_pairs is 0'):
            network(max_pairs=0)
        with pytest.raises(ConfigError, match='RedNetwork has no mode "tensor"'):
            network()(torch.zeros(1, 3, 4, 4), [], mode='tensor')
        with pytest.raises(ConfigError, match='"predic" is unknown'):
            network()(torch.zeros(1, 3, 4, 4), [], mode='predic')
