"""RandomRotate90 and RandomScaleCrop: image, regions, texts and targets move together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.datasets.transforms.test_transforms import sample
from xemap.datasets.transforms import (
    GenerateBoxes,
    GenerateMaps,
    GenerateMasks,
    GeneratePhrases,
    Letterbox,
    PackXeMapInputs,
    RandomRotate90,
    RandomScaleCrop,
    ResizeImage,
)
from xemap.errors import ConfigError


def plain(**options) -> dict:
    """A sample whose queries survive crops; its one bright part is their region."""
    results = sample(**options)
    texts = ('the bright thing', 'a thing')
    results['queries'] = [
        replace(
            query,
            text=text,
            hops=1,
            referents=1,
            distractors=query.region,
            anchors=query.region,
            needed=(('color', 'bright'),),
        )  # fmt: skip
        for query, text in zip(results['queries'], texts)
    ]
    return results


def bright(results: dict) -> np.ndarray:
    return results['img'][..., 0] > 0


def check_regions(results: dict) -> None:
    """Each region, each distractor and each anchor is what is bright in the image."""
    for query in results['queries']:
        for region in (query.region, query.distractors, query.anchors):
            np.testing.assert_array_equal(region.mask(results['ori_shape']), bright(results))
            y, x = np.nonzero(bright(results))
            assert np.abs(region.box(results['ori_shape']) - [x.min(), y.min(), x.max() + 1, y.max() + 1]).max() <= 1


@pytest.mark.parametrize('seed', range(8))
def test_rotation_moves_everything(seed):
    before = sample()
    results = RandomRotate90(1.0)(sample(seed=seed))
    turns = results['quarter_turns']
    np.testing.assert_array_equal(results['img'], np.rot90(before['img'], turns))
    assert results['ori_shape'] == results['img_shape'] == results['img'].shape[:2]
    place = {1: 'bottom left', 2: 'bottom right', 3: 'top right'}[turns]
    assert results['queries'][0].text == f'the {place} thing'
    check_regions(results)


def test_every_angle_is_drawn_and_none_where_the_chance_is_0():
    assert {RandomRotate90(1.0)(sample(seed=seed))['quarter_turns'] for seed in range(30)} == {1, 2, 3}
    assert not any(RandomRotate90(0.0)(sample(seed=seed))['quarter_turns'] for seed in range(20))


@pytest.mark.parametrize('seed', range(4))
def test_targets_of_a_rotated_sample_are_rotated_targets(seed):
    steps = [GenerateMaps(), GenerateMasks(), GenerateBoxes(), GeneratePhrases()]
    still, turned = ResizeImage((32, 32))(sample()), RandomRotate90(1.0)(ResizeImage((32, 32))(sample(seed=seed)))
    turns = turned['quarter_turns']
    for step in steps:
        still, turned = step(still), step(turned)
    np.testing.assert_allclose(turned['gt_maps'], np.rot90(still['gt_maps'], turns, (1, 2)), atol=1 / 64)
    assert still['gt_phrases'].any((2, 3)).all()
    np.testing.assert_allclose(turned['gt_phrases'], np.rot90(still['gt_phrases'], turns, (2, 3)), atol=1 / 64)
    assert (turned['gt_masks'] == np.rot90(still['gt_masks'], turns, (1, 2))).mean() > 0.99
    y, x = np.nonzero(turned['gt_masks'][1])
    assert np.abs(turned['gt_boxes'][1] - [x.min(), y.min(), x.max() + 1, y.max() + 1]).max() <= 1


@pytest.mark.parametrize('seed', range(4))
def test_rotation_of_a_letterboxed_image(seed):
    results = RandomRotate90(1.0)(Letterbox((40, 40), color=(9, 9, 9))(sample(seed=seed)))
    x0, y0, x1, y1 = results['content']
    inside = np.zeros((40, 40), bool)
    inside[y0:y1, x0:x1] = True
    assert (results['img'][~inside] == 9).all() and not (results['img'][inside] == 9).all(-1).any()
    assert (y1 - y0 > x1 - x0) == bool(results['quarter_turns'] % 2)


def test_an_image_with_a_query_that_cannot_be_rotated_stays():
    results = sample()
    results['queries'].append(replace(results['queries'][0], text='the second thing'))
    results = RandomRotate90(1.0)(results)
    assert results['quarter_turns'] == 0 and results['img_shape'] == (60, 80)
    np.testing.assert_array_equal(results['img'], sample()['img'])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(30, 90), st.integers(30, 90), st.sampled_from([0.5, 0.9, 1.0]))
def test_crop_keeps_regions_and_moves_them(seed, height, width, min_kept):
    before = plain(height=height, width=width)
    results = RandomScaleCrop(1.0, (0.3, 1.0), min_kept)(plain(height=height, width=width, seed=seed))
    if results['crop'] is None:
        np.testing.assert_array_equal(results['img'], before['img'])
        return
    x0, y0, x1, y1 = results['crop']
    np.testing.assert_array_equal(results['img'], before['img'][y0:y1, x0:x1])
    assert results['ori_shape'] == results['img_shape'] == (y1 - y0, x1 - x0)
    assert 0.3 * height - 1 <= y1 - y0 <= height
    assert bright(results).sum() >= min_kept * bright(before).sum()
    check_regions(results)
    assert all(query.needed is None and query.referents == 1 for query in results['queries'])


def test_crop_of_a_file_that_was_decoded_at_a_quarter():
    results = plain(height=240, width=330)
    results['queries'] = [
        replace(query, region=query.region.cropped((240, 330), (0, 0, 330, 240))) for query in results['queries']
    ]
    whole = results['img']
    results.update(img=np.ascontiguousarray(whole[::4, ::4]), img_shape=(60, 83), extent=(60.0, 82.5))
    results = RandomScaleCrop(1.0, (0.4, 0.6), tries=50)(results)
    x0, y0, x1, y1 = results['crop']
    assert results['ori_shape'] == (y1 - y0, x1 - x0) and not {x0 % 4, y0 % 4, x1 % 4, y1 % 4} - {0}
    np.testing.assert_array_equal(results['img'], whole[y0:y1:4, x0:x1:4])
    assert ResizeImage((16, 16))(results)['img'].shape == (16, 16, 3)


@pytest.mark.parametrize('text', ['the largest thing', 'the thing on the left', 'two things', 'the second thing'])
def test_an_image_with_a_query_that_a_crop_could_change_stays_whole(text):
    results = plain()
    results['queries'][1] = replace(results['queries'][1], text=text)
    results = RandomScaleCrop(1.0, (0.5, 0.6), tries=50)(results)
    assert results['crop'] is None and results['img_shape'] == (60, 80)


def test_steps_refuse_what_they_cannot_do():
    for step, wrong in (
        (RandomRotate90, dict(prob=2)), (RandomScaleCrop, dict(prob=-1)), (RandomScaleCrop, dict(scale=(0.9, 0.5))),
        (RandomScaleCrop, dict(scale=(0, 1))), (RandomScaleCrop, dict(min_kept=0)), (RandomScaleCrop, dict(tries=0)),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=f'{step.__name__}: {next(iter(wrong))}='):
            step(**wrong)
    with pytest.raises(ConfigError, match='move it right behind LoadImage'):
        RandomScaleCrop()(ResizeImage((30, 40))(plain()))
    with pytest.raises(ConfigError, match='RandomRotate90 stands after'):
        RandomRotate90()(GenerateMaps()(plain()))
    results = PackXeMapInputs()(RandomRotate90(1.0)(RandomScaleCrop(1.0)(plain())))
    assert {'quarter_turns', 'crop'} <= set(results['data_samples'].metainfo)
