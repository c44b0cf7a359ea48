"""Resize, flip, light, targets, packing."""

from __future__ import annotations

import colorsys
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from xemap.datasets.mcmg import correlation_maps
from xemap.datasets.transforms import (
    GenerateBoxes,
    GenerateMaps,
    GenerateMasks,
    GeneratePhrases,
    PackXeMapInputs,
    PhotometricAugment,
    RandomFlip,
    ResizeImage,
)
from xemap.errors import ConfigError
from xemap.structures import MaskRegion, PolygonRegion, Query


def sample(height: int = 60, width: int = 80, seed: int = 0) -> dict:
    """An image whose only bright part is what its two queries ask for."""
    img = np.zeros((height, width, 3), np.uint8)
    img[10:30, 5:25] = 255
    box = PolygonRegion([[5, 10, 24, 10, 24, 29, 5, 29]])
    mask = MaskRegion.from_mask(img[..., 0] > 0)
    return {
        'img': img,
        'ori_shape': (height, width),
        'img_shape': (height, width),
        'queries': [
            Query('the top left thing', box, distractors=mask, anchors=box),
            Query('the left thing at the top', mask, distractors=box, anchors=mask),
        ],
        'query_ids': [0, 4],
        'sample_idx': 7,
        'img_path': 'a.png',
        'source': 's',
        'rng': np.random.default_rng(seed),
    }


class TestResizeImage:
    def test_shrinking_averages(self) -> None:
        results = {'img': np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)}
        expected = results['img'].reshape(10, 4, 20, 3, 3).mean((1, 3))
        results = ResizeImage((10, 20))(results)
        assert results['img_shape'] == (10, 20) == results['img'].shape[:2]
        assert np.abs(results['img'] - expected).max() <= 0.51

    @pytest.mark.parametrize('sides', [(40, 56), (37, 51), (33, 50)])
    def test_an_image_that_ends_within_a_pixel(self, sides) -> None:
        """As if every pixel stood for four by four, and those beyond the end were cut off."""
        (height, width), factor = sides, 4
        extent = (height / factor, width / factor)
        img = np.random.default_rng(0).integers(0, 256, (-(-height // 4), -(-width // 4), 3), dtype=np.uint8)
        whole = img.repeat(factor, 0).repeat(factor, 1)[:height, :width].astype(np.float64)
        expected = cv2.resize(whole, (7, 5), interpolation=cv2.INTER_AREA)
        results = ResizeImage((5, 7))({'img': img, 'extent': extent, 'img_path': ''})
        assert results['img'].dtype == np.uint8 and np.abs(results['img'] - expected).max() <= 0.51

    def test_enlarging_and_aspect(self) -> None:
        results = ResizeImage((90, 20))(sample())
        assert results['img'].shape == (90, 20, 3) and results['ori_shape'] == (60, 80)

    def test_same_size_is_untouched(self) -> None:
        results = sample()
        before = results['img']
        assert ResizeImage((60, 80))(results)['img'] is before

    def test_the_first_epochs_see_another_size(self) -> None:
        """And targets follow the size."""
        resize = ResizeImage((12, 16), first_size=(6, 8), first_epochs=2)
        shapes = [GenerateMaps()(resize(sample() | {'epoch': epoch}))['gt_maps'].shape for epoch in range(4)]
        assert shapes == [(2, 6, 8)] * 2 + [(2, 12, 16)] * 2

    def test_bad_size(self) -> None:
        with pytest.raises(ConfigError, match='size'):
            ResizeImage((0, 5))
        for first in ({'first_size': (4, 4)}, {'first_epochs': 1}):
            with pytest.raises(ConfigError, match='belong together'):
                ResizeImage((4, 4), **first)


class TestRandomFlip:
    @pytest.mark.parametrize('direction, axis', [('horizontal', 1), ('vertical', 0)])
    def test_image_regions_and_words_turn_together(self, direction, axis) -> None:
        results, before = RandomFlip(1.0, direction)(sample()), sample()
        assert results['flip'] and results['flip_direction'] == direction
        np.testing.assert_array_equal(results['img'], np.flip(before['img'], axis))
        for query in results['queries']:
            for region in (query.region, query.distractors, query.anchors):
                np.testing.assert_array_equal(region.mask((60, 80)), results['img'][..., 0] > 0)
        assert [query.text for query in results['queries']] == (
            ['the top right thing', 'the right thing at the top']
            if axis == 1
            else ['the bottom left thing', 'the left thing at the bottom']
        )
        assert results['img'].flags.c_contiguous

    def test_maps_of_a_flipped_sample_are_flipped_maps(self) -> None:
        plain = ResizeImage((32, 32))(sample())
        flipped = ResizeImage((32, 32))(RandomFlip(1.0)(sample()))
        a, b = (GenerateMaps()(results)['gt_maps'] for results in (plain, flipped))
        np.testing.assert_allclose(a[:, :, ::-1], b, atol=1e-5)

    def test_one_text_that_cannot_be_rewritten_keeps_the_image(self) -> None:
        results = sample()
        results['queries'].append(Query('the second thing', PolygonRegion([])))
        results = RandomFlip(1.0)(results)
        assert not results['flip'] and results['flip_direction'] is None
        np.testing.assert_array_equal(results['img'], sample()['img'])
        assert results['queries'][0].text == 'the top left thing'

    def test_probability_and_choice(self) -> None:
        flip = RandomFlip(0.5, ['horizontal', 'vertical'])
        seen = [flip(sample(seed=seed))['flip_direction'] for seed in range(300)]
        assert 110 < seen.count(None) < 190 and 45 < seen.count('horizontal') < 105
        assert not any(RandomFlip(0.0)(sample(seed=seed))['flip'] for seed in range(20))

    def test_texts_do_not_move_later_numbers(self) -> None:
        a, b = sample(), sample()
        b['queries'].append(Query('the second thing', PolygonRegion([])))
        assert RandomFlip(1.0)(a)['rng'].random() == RandomFlip(1.0)(b)['rng'].random()

    def test_bad_options(self) -> None:
        for options in ({'prob': 2}, {'direction': 'diagonal'}, {'direction': []}):
            with pytest.raises(ConfigError, match='RandomFlip'):
                RandomFlip(**options)

    @pytest.mark.parametrize('target', [GenerateMaps, GenerateMasks, GenerateBoxes])
    @pytest.mark.parametrize('step', [RandomFlip(0.0), ResizeImage((8, 8))], ids=['flip', 'resize'])
    def test_after_a_target_it_is_refused(self, step, target) -> None:
        with pytest.raises(ConfigError, match=f'{type(step).__name__} stands after .* gt_(maps|masks|boxes); move it'):
            step(target()(sample()))

    @pytest.mark.parametrize(('direction', 'content'), [('horizontal', (20, 4, 70, 60)), ('vertical', (10, 0, 60, 56))])
    def test_what_shows_the_image_is_mirrored(self, direction, content) -> None:
        assert RandomFlip(1.0, direction)({**sample(), 'content': (10, 4, 60, 60)})['content'] == content


class TestPhotometricAugment:
    def gradient(self, seed: int) -> dict:
        img = np.random.default_rng(9).integers(60, 196, (30, 40, 3), dtype=np.uint8)
        return {'img': img, 'rng': np.random.default_rng(seed)}

    def test_same_seed_same_image(self) -> None:
        augment = PhotometricAugment()
        images = [augment(self.gradient(seed))['img'] for seed in (1, 1, 2, 3)]
        np.testing.assert_array_equal(images[0], images[1])
        assert len({image.tobytes() for image in images}) >= 2
        assert all(image.dtype == np.uint8 and image.shape == (30, 40, 3) for image in images)

    def test_does_not_write_into_its_input(self) -> None:
        results = self.gradient(0)
        before, copy = results['img'], results['img'].copy()
        PhotometricAugment(prob=1.0)(results)
        np.testing.assert_array_equal(before, copy)

    def test_probability_zero_changes_nothing(self) -> None:
        results = self.gradient(0)
        np.testing.assert_array_equal(PhotometricAugment(prob=0.0)(results)['img'], self.gradient(0)['img'])

    def only(self, **amount) -> list[np.ndarray]:
        off = dict(brightness=0, contrast=0, saturation=0, hue=0, noise=0)
        augment = PhotometricAugment(**{**off, **amount}, prob=1.0)
        return [augment(self.gradient(seed))['img'].astype(int) - self.gradient(0)['img'] for seed in range(40)]

    def test_nothing_by_default_of_zero(self) -> None:
        assert all((change == 0).all() for change in self.only())

    def test_brightness_shifts_all_pixels_alike(self) -> None:
        changes = self.only(brightness=0.1)
        assert all(np.ptp(change) <= 1 for change in changes)
        means = [change.mean() for change in changes]
        assert -26 < min(means) < -10 and 10 < max(means) < 26

    def test_contrast_turns_around_mid_gray(self) -> None:
        base = self.gradient(0)['img'].astype(float) - 127.5
        factors = [1 + (change * base).sum() / (base * base).sum() for change in self.only(contrast=0.3)]
        assert 0.7 <= min(factors) < 0.85 and 1.15 < max(factors) <= 1.3

    def test_saturation_keeps_luma(self) -> None:
        for change in self.only(saturation=0.3):
            assert np.abs(change @ [0.299, 0.587, 0.114]).max() < 1.1
        assert max(np.abs(change).max() for change in self.only(saturation=0.3)) > 5

    def test_hue_turns_by_at_most_the_angle(self) -> None:
        red = np.zeros((4, 4, 3), np.uint8) + np.array([200, 30, 30], np.uint8)
        angles = []
        for seed in range(60):
            results = {'img': red, 'rng': np.random.default_rng(seed)}
            augment = PhotometricAugment(brightness=0, contrast=0, saturation=0, hue=20, noise=0, prob=1.0)
            hue = colorsys.rgb_to_hsv(*(augment(results)['img'][0, 0] / 255))[0] * 360
            angles.append((hue + 180) % 360 - 180)
        assert -22.5 < min(angles) < -12 and 12 < max(angles) < 22.5

    def test_noise_is_gray_and_of_the_stated_size(self) -> None:
        changes = self.only(noise=0.05)
        assert all((change == change[..., :1]).all() for change in changes)
        deviations = [change.std() for change in changes]
        assert max(deviations) < 0.05 * 255 * 1.15 and max(deviations) > 8 and abs(changes[0].mean()) < 2

    def test_bad_amounts(self) -> None:
        for options in ({'brightness': -0.1}, {'hue': 90}, {'prob': 1.5}, {'noise': 2}):
            with pytest.raises(ConfigError, match=next(iter(options))):
                PhotometricAugment(**options)


class TestGenerateMaps:
    @pytest.mark.parametrize('size', [None, (16, 24)])
    def test_maps_of_the_coverage_at_the_present_size(self, size) -> None:
        results = GenerateMaps((4, 8), 0.02, size)(ResizeImage((32, 40))(sample()))
        shape = size or (32, 40)
        mask = (sample()['img'][..., 0] > 0).astype(np.float32)
        coverage = cv2.resize(mask, shape[::-1], interpolation=cv2.INTER_AREA)
        expected = correlation_maps(coverage[None], (4, 8), 0.02)[0]
        assert results['gt_maps'].shape == (2, *shape) and results['gt_maps'].dtype == np.float32
        np.testing.assert_allclose(results['gt_maps'][1], expected, atol=1e-5)
        np.testing.assert_allclose(results['gt_maps'][0], expected, atol=0.2)

    def test_bad_settings_are_found_when_the_config_is_built(self) -> None:
        with pytest.raises(ConfigError, match='grids'):
            GenerateMaps(grids=[0])


def absent() -> dict:
    """A sample whose last query speaks of nothing in the image."""
    results = sample()
    results['queries'].append(Query('the small lake', PolygonRegion([]), referents=0))
    return results


class TestGeneratePhrases:
    def test_category_and_anchors_as_shares_of_pixels(self) -> None:
        results = sample()
        first, second = results['queries']
        lake = PolygonRegion([[40, 0, 79, 0, 79, 29, 40, 29]])
        results['queries'] = [
            replace(first, distractors=PolygonRegion([[40, 30, 59, 30, 59, 59, 40, 59]]), anchors=lake),
            replace(second, distractors=PolygonRegion([]), anchors=PolygonRegion([])),
            replace(second, distractors=None, anchors=None),
        ]
        phrases = GeneratePhrases((2, 4))(results)['gt_phrases']
        assert phrases.dtype == np.float32 and phrases.shape == (3, 2, 2, 4)
        one, other = (query.region.coverage((60, 80), (2, 4)) for query in (first, second))
        np.testing.assert_allclose(phrases[0, 0], one + [[0, 0, 0, 0], [0, 0, 1, 0]], atol=1e-6)
        np.testing.assert_allclose(phrases[0, 1], [[0, 0, 1, 1], [0, 0, 0, 0]], atol=1e-6)
        np.testing.assert_array_equal(phrases[1, 0], other)
        assert other[0, 0] > 0.4 and not phrases[1, 1].any() and not phrases[2].any()  # no anchors; nothing known


class TestGenerateMasks:
    def test_pixels_that_are_covered_by_half(self) -> None:
        results = GenerateMasks()(ResizeImage((30, 40))(sample()))
        expected = np.zeros((30, 40), bool)
        expected[5:15, 3:12] = True  # columns 5 and 24 of 80 are half of columns 2 and 12
        masks = results['gt_masks']
        assert masks.shape == (2, 30, 40) and masks.dtype == bool
        assert (masks | ~expected).all() and masks.sum((1, 2)).tolist() == [11 * 10, 11 * 10]

    def test_a_small_object_keeps_a_pixel(self) -> None:
        dot = MaskRegion.from_mask(np.arange(60 * 80).reshape(60, 80) == 33 * 80 + 50)
        results = GenerateMasks((6, 8))({**sample(), 'queries': [Query('the ship', dot)]})
        assert np.argwhere(results['gt_masks'][0]).tolist() == [[3, 5]]


class TestGenerateBoxes:
    def test_boxes_are_in_pixels_of_the_input(self) -> None:
        results = GenerateBoxes()(ResizeImage((120, 40))(sample()))
        assert results['gt_boxes'].dtype == np.float32
        assert results['gt_boxes'].tolist() == [[2.5, 20, 12, 58], [2.5, 20, 12.5, 60]]


class TestTargets:
    def test_they_lie_where_a_padded_input_shows_the_image(self) -> None:
        plain = ResizeImage((30, 40))(sample())
        padded = {**ResizeImage((30, 40))(sample()), 'img_shape': (40, 40), 'content': (0, 5, 40, 35)}
        for step, key in ((GenerateMasks(), 'gt_masks'), (GenerateBoxes(), 'gt_boxes')):
            inner, outer = step(plain)[key], step(padded)[key]
            if key == 'gt_boxes':
                np.testing.assert_array_equal(outer, inner + (0, 5, 0, 5))
            else:
                np.testing.assert_array_equal(outer, np.pad(inner, ((0, 0), (5, 5), (0, 0))))
        covered = np.stack([query.region.coverage((60, 80), (30, 40)) for query in plain['queries']])
        expected = correlation_maps(np.pad(covered, ((0, 0), (5, 5), (0, 0))))
        np.testing.assert_array_equal(GenerateMaps()(padded)['gt_maps'], expected)

    def test_of_a_query_without_a_referent_are_zero(self) -> None:
        results = GenerateBoxes()(GenerateMasks()(GenerateMaps()(ResizeImage((32, 40))(RandomFlip(1.0)(absent())))))
        assert results['flip']
        for key in ('gt_maps', 'gt_masks', 'gt_boxes'):
            assert len(results[key]) == 3 and not results[key][2].any() and results[key][:2].any()

    def test_of_no_query_are_empty(self) -> None:
        results = GenerateBoxes()(GenerateMasks()(GenerateMaps()({**sample(), 'queries': []})))
        assert results['gt_maps'].shape == results['gt_masks'].shape == (0, 60, 80)
        assert results['gt_boxes'].shape == (0, 4)


class TestPackXeMapInputs:
    def test_every_target_is_packed(self) -> None:
        results = {**absent(), 'gt_of_a_user': np.arange(3.0), 'content': (0, 0, 80, 60)}
        data = PackXeMapInputs()(GenerateBoxes()(GenerateMasks()(results)))['data_samples']
        assert data.gt_masks.dtype == torch.bool and data.gt_boxes.shape == (3, 4)
        assert data.gt_of_a_user.tolist() == [0, 1, 2] and data.content == (0, 0, 80, 60)
        assert [query.absent for query in data.queries] == [False, False, True]

    def test_training(self) -> None:
        results = {**sample(), 'gt_maps': np.random.default_rng(0).random((2, 60, 80), np.float32)}
        packed = PackXeMapInputs()(results)
        assert set(packed) == {'inputs', 'data_samples'}
        np.testing.assert_array_equal(packed['inputs'].numpy(), results['img'].transpose(2, 0, 1))
        data = packed['data_samples']
        assert packed['inputs'].is_contiguous() and torch.equal(data.gt_maps, torch.from_numpy(results['gt_maps']))
        assert data.texts == ['the top left thing', 'the left thing at the top'] and data.query_ids == [0, 4]
        assert data.ori_shape == (60, 80) and data.sample_idx == 7 and 'rng' not in data.all_keys()

    def test_without_targets(self) -> None:
        assert 'gt_maps' not in PackXeMapInputs()(sample())['data_samples']
