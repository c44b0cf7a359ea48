from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xemap.errors import ConfigError
from xemap.inference.map_store import MapStore
from xemap.inference.passes import store_answers, tile_boxes, tile_maps
from xemap.inference.tiling import blend_tiles, blend_weights, count_tiles, window_starts
from xemap.raster.raster import ArrayRaster
from xemap.structures import BoxAnswers, MapAnswers, MaskAnswers

IMAGE = np.random.default_rng(0).integers(0, 256, (173, 211, 3), dtype=np.uint8)


def bands_of(image, bands):
    return MapAnswers(np.moveaxis(image[..., bands] / np.float32(255), 2, 0))


def by_pixel(images, queries):
    """A localizer whose maps at a pixel depend on that pixel alone."""
    return [bands_of(image, [i % 3 for i in range(len(queries))]) for image in images]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 400), st.integers(1, 120), st.floats(0, 0.9))
def test_windows_cover_the_axis_and_their_weights_add_up_to_one(length, tile, overlap):
    starts = window_starts(length, tile, overlap)
    side = min(tile, length)
    assert starts[0] == 0 and starts[-1] + side == length
    assert (np.diff(starts) > 0).all() and (np.diff(starts) <= max(1, int(tile * (1 - overlap)))).all()
    weights = blend_weights(starts, side, length)
    total = np.zeros(length)
    for start, weight in zip(starts, weights):
        total[start : start + side] += weight
    assert weights.min() > 0 and np.abs(total - 1).max() < 1e-6


def test_weights_fade_where_windows_meet():
    first, second = blend_weights(np.array([0, 60]), 100, 160)
    assert (first[:60] == 1).all() and first[-1] < 0.01 and second[0] < 0.01
    assert np.abs(np.diff(first)).max() < 0.1


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 70), st.integers(1, 90), st.integers(1, 40), st.floats(0, 0.8), st.integers(0, 2**32 - 1))
def test_bands_equal_blending_of_the_whole(height, width, tile, overlap, seed):
    """Against the slow way: a full-size sum of weighted windows, divided by the sum of the weights."""
    rng = np.random.default_rng(seed)
    tile_h, tile_w = min(tile, height), min(tile, width)
    total, weight = np.zeros((2, height, width)), np.zeros((height, width))
    maps = {}
    bump = [np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2 for n in (tile_h, tile_w)]
    for top in window_starts(height, tile, overlap):
        for left in window_starts(width, tile, overlap):
            tile_maps = maps[int(left), int(top)] = rng.random((2, tile_h, tile_w), dtype=np.float32)
            part = np.s_[..., top : top + tile_h, left : left + tile_w]
            total[part] += tile_maps * np.outer(*bump)
            weight[part] += np.outer(*bump)
    bands = blend_tiles(lambda windows: [maps[w[:2]] for w in windows], (height, width), 2, tile, overlap)
    blended, expected_top = [], 0
    for top, rows in bands:
        assert top == expected_top
        expected_top += rows.shape[1]
        blended.append(rows.copy())
    assert np.allclose(np.concatenate(blended, 1), total / weight, atol=1e-5)


@pytest.mark.parametrize('tile, overlap', [(64, 0.25), (50, 0.0), (33, 0.6), (1000, 0.25)])
@pytest.mark.parametrize('in_memory', [1 << 30, 0])
def test_no_seams_on_a_model_that_sees_single_pixels(tile, overlap, in_memory, tmp_path):
    raster, seen = ArrayRaster(IMAGE), []
    arguments = (['a', 'b'], tile, overlap, (1,), 3, tmp_path)
    store = tile_maps(by_pixel, raster, *arguments, lambda *state: seen.append(state), in_memory=in_memory)
    assert isinstance(store.array(), np.memmap) == (in_memory == 0)
    assert np.abs(store.array() - by_pixel([IMAGE], 'ab')[0].maps()).max() < 1e-5
    number = count_tiles(IMAGE.shape[:2], tile, overlap)
    assert seen[-1] == (number, number)


def test_scales_are_averaged():
    y, x = np.mgrid[:173, :211]
    smooth = np.stack([127 + 120 * np.sin(x / 20) * np.cos(y / 15)] * 3, 2).astype(np.uint8)
    fine, coarse, both = (
        tile_maps(by_pixel, ArrayRaster(smooth), ['a'], 64, 0.25, scales, 4, None).array()
        for scales in ((1,), (4,), (1, 4))
    )
    assert np.allclose(both, (fine + coarse) / 2, atol=1e-6)
    small = cv2.resize(smooth, (round(211 / 4), round(173 / 4)), interpolation=cv2.INTER_AREA)[..., 0]
    enlarged = cv2.resize(small.astype(np.float32) / 255, (211, 173), interpolation=cv2.INTER_LINEAR)
    assert np.abs(coarse[0] - enlarged).max() < 0.02 < 0.03 < np.abs(coarse - fine).max()


def test_groups_of_queries_change_nothing():
    whole = tile_maps(by_pixel, ArrayRaster(IMAGE), list('abcde'), 64, 0.25, (1, 2), 4, None).array()
    calls = []
    grouped = tile_maps(
        lambda images, queries: calls.append(len(queries)) or
        [bands_of(image, ['abcde'.index(q) % 3 for q in queries]) for image in images],
        ArrayRaster(IMAGE), list('abcde'), 64, 0.25, (1, 2), 4, None, open_bytes=4 * 64 * 211 * 2,
    ).array()  # fmt: skip
    assert set(calls) == {2, 1} and np.allclose(whole, grouped, atol=1e-6)


def test_windows_without_data_are_not_predicted():
    valid = np.ones(IMAGE.shape[:2], bool)
    valid[:, :100] = False
    seen = []
    store = tile_maps(
        lambda images, queries: seen.extend(images) or by_pixel(images, queries),
        ArrayRaster(IMAGE, valid=valid), ['a'], 50, 0.0, (1,), 4, None,
    )  # fmt: skip
    assert len(seen) < count_tiles(IMAGE.shape[:2], 50, 0.0)
    maps = store.array()[0]
    assert np.array_equal(np.isnan(maps), ~valid)
    assert np.abs(maps - IMAGE[..., 0] / 255)[valid].max() < 1e-5


@settings(max_examples=40, deadline=None)
@given(st.tuples(*[st.integers(1, 30)] * 4), st.integers(1, 9))
def test_stored_maps_are_resized_as_opencv_does(sizes, step):
    h, w, height, width = sizes
    map = np.random.default_rng(0).random((h, w), dtype=np.float32)
    for in_memory in (0, 1 << 20):
        store = MapStore(1, (h, w), in_memory=in_memory)
        store.write(0, 0, map)
        tops = range(0, height, step)
        rows = np.concatenate([store.resized(0, (height, width), y, min(y + step, height)) for y in tops])
        assert np.allclose(rows, cv2.resize(map, (width, height), interpolation=cv2.INTER_LINEAR), atol=1e-5)


def spots(images, queries):
    """A localizer of boxes: query i is around the pixels above 250 of channel i; the more of them, the better."""
    answers = []
    for image in images:
        masks = np.stack([image[..., i] > 250 for i in range(len(queries))])
        scores = np.minimum(masks.sum((1, 2)) / 100, 1)
        answers.append(BoxAnswers(MaskAnswers(masks).boxes(), image.shape[:2], scores, np.sqrt(scores)))
    return answers


@pytest.fixture
def spotted():
    """Two spots in the first channel, the second one larger; one in the second channel; none in the third."""
    image = np.full((150, 210, 3), 100, np.uint8)
    image[10:14, 20:23, 0] = image[100:108, 150:156, 0] = image[60:62, 5:9, 1] = 255
    return image


def test_the_best_box_of_all_windows_counts(spotted):
    answers = tile_boxes(spots, ArrayRaster(spotted), ['a', 'b', 'c'], 64, 0.25, (1,), 4)
    assert answers.boxes().tolist() == [[150, 100, 156, 108], [5, 60, 9, 62], [0] * 4]
    np.testing.assert_allclose(answers.scores, [0.48, 0.08, 0])
    np.testing.assert_allclose(answers.presence, np.sqrt([0.48, 0.08, 0]), rtol=1e-6)


def test_boxes_of_coarser_scales_come_back_to_the_image(spotted):
    spotted[96:112, 144:160, 0] = 255  # as large at half the resolution as the old spot was at the full one
    answers = tile_boxes(spots, ArrayRaster(spotted), ['a'], 64, 0.25, (2,), 4)
    assert answers.size == (150, 210) and answers.boxes().tolist() == [[144, 96, 160, 112]]


def test_windows_without_data_have_no_box(spotted):
    valid = np.ones((150, 210), bool)
    valid[:, 130:] = False
    answers = tile_boxes(spots, ArrayRaster(spotted, valid=valid), ['a'], 40, 0.0, (1,), 4)
    assert answers.boxes().tolist() == [[20, 10, 23, 14]]


def test_stored_boxes_are_filled_at_the_size_of_the_image():
    answers = BoxAnswers([[1, 1, 3, 2], [0, 0, 0, 0]], (4, 8))
    raster = ArrayRaster(np.zeros((1100, 16, 3), np.uint8))
    maps = store_answers(raster, answers, None).array()
    np.testing.assert_array_equal(maps, answers.maps((1100, 16)))
    assert maps[0].sum() == 275 * 4


@pytest.mark.parametrize('in_memory', [1 << 30, 0])
def test_maps_have_no_value_where_the_image_has_no_data(in_memory, tmp_path):
    valid = np.zeros(IMAGE.shape[:2], bool)
    valid[130:150, 100:] = True
    raster, batches = ArrayRaster(IMAGE, valid=valid), []
    store = tile_maps(
        lambda images, queries: batches.append(len(images)) or by_pixel(images, queries),
        raster, ['a', 'b'], 40, 0.25, (1,), 4, tmp_path, in_memory=in_memory,
    )  # fmt: skip
    assert batches == [4] * (sum(batches) // 4) + [sum(batches) % 4] * (sum(batches) % 4 > 0)  # full over rows
    for query in range(2):
        rows = np.concatenate([rows for _, rows in store.strips(query, 50)])
        assert np.array_equal(np.isnan(rows), ~valid)
    assert np.array_equal(np.isnan(store.array()), np.broadcast_to(~valid, (2, *valid.shape)))


def test_settings_that_no_tiling_has():
    for tile, overlap in ((0, 0.25), (64, 1.0), (64, -0.1)):
        with pytest.raises(ConfigError):
            window_starts(100, tile, overlap)
