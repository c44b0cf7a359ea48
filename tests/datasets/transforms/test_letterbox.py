from __future__ import annotations

import numpy as np
import pytest

from xemap.datasets.transforms import Letterbox, ResizeImage
from xemap.errors import ConfigError


def apply(step, size, seed=0):
    img = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    return step.transform(dict(img=img, img_shape=size, ori_shape=size, rng=np.random.default_rng(seed)))


@pytest.mark.parametrize(
    ('size', 'content'),
    [
        ((80, 80), (0, 0, 64, 64)),
        ((40, 60), (0, 10, 64, 53)),
        ((90, 45), (16, 0, 48, 64)),
        ((3, 1000), (0, 31, 64, 32)),
    ],
)
def test_keeps_the_aspect_ratio_and_says_where_the_image_is(size, content):
    results = apply(Letterbox((64, 64)), size)
    x0, y0, x1, y1 = content
    assert results['content'] == content and results['img_shape'] == (64, 64) == results['img'].shape[:2]
    inner = apply(ResizeImage((y1 - y0, x1 - x0)), size)['img']
    np.testing.assert_array_equal(results['img'][y0:y1, x0:x1], inner)
    border = results['img'].astype(int)
    border[y0:y1, x0:x1] = (124, 116, 104)
    assert (border == (124, 116, 104)).all()


def test_a_square_image_is_resized_and_nothing_else():
    np.testing.assert_array_equal(
        apply(Letterbox((64, 64)), (80, 80))['img'], apply(ResizeImage((64, 64)), (80, 80))['img']
    )


def test_random_size_and_place_stay_in_the_frame_and_follow_the_seed():
    step = Letterbox((64, 64), shrink=(0.5, 1.0), placement='random')
    contents = [apply(step, (40, 60), seed)['content'] for seed in range(40)]
    assert contents == [apply(step, (40, 60), seed)['content'] for seed in range(40)]
    sides = {(x1 - x0, y1 - y0) for x0, y0, x1, y1 in contents}
    assert sides == {(64, 43), (32, 21)}
    assert len(set(contents)) > 20
    assert all(x0 >= 0 and y0 >= 0 and x1 <= 64 and y1 <= 64 for x0, y0, x1, y1 in contents)


@pytest.mark.parametrize(
    'options',
    [dict(placement='left'), dict(shrink=(0.5, 1.5)), dict(shrink=()), dict(color=(1, 2, 256)), dict(size=(0, 9))],
)
def test_refusals(options):
    with pytest.raises(ConfigError):
        Letterbox(**options)
