"""Answers in three forms against loops over pixels."""

from __future__ import annotations

import pickle

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xemap.errors import DataError
from xemap.structures import Answers, BoxAnswers, MapAnswers, MaskAnswers

SIZES = st.tuples(st.integers(1, 12), st.integers(1, 12))
UNIT = st.integers(0, 16).map(lambda n: n / 16)
THRESHOLDS = UNIT.filter(bool)


@st.composite
def map_answers(draw) -> MapAnswers:
    shape = (draw(st.integers(0, 3)), *draw(SIZES))
    return MapAnswers(draw(hnp.arrays(np.float32, shape, elements=UNIT)))


@st.composite
def mask_answers(draw) -> MaskAnswers:
    return MaskAnswers(draw(hnp.arrays(bool, (draw(st.integers(0, 3)), *draw(SIZES)))))


@st.composite
def box_answers(draw, whole: bool = False) -> BoxAnswers:
    size = draw(SIZES)
    numbers = st.integers(-3, 14) if whole else st.integers(-30, 140).map(lambda n: n / 10)
    return BoxAnswers(draw(hnp.arrays(np.float32, (draw(st.integers(0, 3)), 4), elements=numbers)), size)


ANSWERS = st.one_of(map_answers(), mask_answers(), box_answers())


def slow_box(mask: np.ndarray) -> list[int]:
    """Bounds by a loop over pixels."""
    inside = [(x, y) for y in range(mask.shape[0]) for x in range(mask.shape[1]) if mask[y, x]]
    if not inside:
        return [0, 0, 0, 0]
    xs, ys = zip(*inside)
    return [min(xs), min(ys), max(xs) + 1, max(ys) + 1]


def slow_fill(box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pixels whose centers lie in a box, by a loop over pixels."""
    x0, y0, x1, y1 = box.tolist()
    rows = [[x0 <= x + 0.5 < x1 and y0 <= y + 0.5 < y1 for x in range(size[1])] for y in range(size[0])]
    return np.array(rows, bool).reshape(size)


@settings(max_examples=60, deadline=None)
@given(answers=ANSWERS, size=SIZES, threshold=THRESHOLDS)
def test_every_form_gives_every_form(answers: Answers, size, threshold) -> None:
    maps, masks, boxes = answers.maps(size), answers.masks(size, threshold), answers.boxes(size, threshold)
    assert maps.shape == masks.shape == (len(answers), *size) and boxes.shape == (len(answers), 4)
    assert (maps.dtype, masks.dtype, boxes.dtype) == (np.float32, bool, np.float32)
    assert ((maps >= 0) & (maps <= 1 + 1e-6)).all()
    np.testing.assert_array_equal(masks, maps >= threshold)
    assert (boxes >= 0).all() and (boxes[:, 2:] <= size[::-1]).all() and (boxes[:, 2:] >= boxes[:, :2]).all()
    np.testing.assert_array_equal(boxes.any(1), masks.any((1, 2)))
    assert answers.scores.shape == answers.presence.shape == (len(answers),)


@settings(max_examples=60, deadline=None)
@given(answers=st.one_of(map_answers(), mask_answers()), size=SIZES, threshold=THRESHOLDS)
def test_a_box_is_that_of_the_mask(answers: Answers, size, threshold) -> None:
    masks, boxes = answers.masks(size, threshold), answers.boxes(size, threshold)
    assert boxes.tolist() == [slow_box(mask) for mask in masks]
    # Down the ladder step by step is the same as at once.
    np.testing.assert_array_equal(MaskAnswers(masks).boxes(size), boxes)


@settings(max_examples=60, deadline=None)
@given(answers=box_answers(), size=SIZES)
def test_a_box_is_filled_by_pixel_centers(answers: BoxAnswers, size) -> None:
    for box, mask in zip(answers.boxes(size), answers.masks(size)):
        expected = slow_fill(box, size)
        thin = box.any() and not expected.any()
        if thin:  # one row, column or pixel: where the center of the box lies
            assert mask.any() and 1 in mask.any(1).sum(keepdims=True).tolist() + mask.any(0).sum(keepdims=True).tolist()
            assert mask[int((box[1] + box[3]) / 2), int((box[0] + box[2]) / 2)]
        else:
            np.testing.assert_array_equal(mask, expected)


@settings(max_examples=40, deadline=None)
@given(answers=box_answers(whole=True))
def test_whole_boxes_survive_the_way_up_and_down(answers: BoxAnswers) -> None:
    np.testing.assert_array_equal(MaskAnswers(answers.masks()).boxes(), answers.boxes())
    np.testing.assert_array_equal(MapAnswers(answers.maps()).boxes(), answers.boxes())


@settings(max_examples=30, deadline=None)
@given(answers=mask_answers(), threshold=THRESHOLDS)
def test_masks_survive_the_way_up_and_down(answers: MaskAnswers, threshold) -> None:
    np.testing.assert_array_equal(MapAnswers(answers.maps()).masks(threshold=threshold), answers.data)


def test_several_components_have_one_box() -> None:
    mask = np.zeros((1, 10, 20), bool)
    mask[0, 1, 2] = mask[0, 7:9, 15:18] = True
    assert MaskAnswers(mask).boxes().tolist() == [[2, 1, 18, 9]]
    assert MaskAnswers(mask).boxes((20, 40)).tolist() == MapAnswers(mask).boxes((20, 40)).tolist()


def test_maps_are_resized_as_the_evaluator_does_it() -> None:
    map = np.random.default_rng(0).random((5, 7), np.float32)
    expected = cv2.resize(map, (30, 20), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(MapAnswers(map[None]).maps((20, 30))[0], expected)


def test_boxes_follow_the_size_of_the_image() -> None:
    answers = BoxAnswers([[1, 2, 3.5, 4]], (10, 20))
    assert answers.boxes((20, 60)).tolist() == [[3, 4, 10.5, 8]]
    assert answers.boxes().tolist() == [[1, 2, 3.5, 4]]


def test_boxes_are_cut_at_the_border_and_empty_ones_are_zeros() -> None:
    boxes = [[-5, -5, 4, 3], [30, 2, 40, 8], [3, 3, 3, 8], [5, 2, 4, 8]]
    answers = BoxAnswers(boxes, (10, 20))
    assert answers.boxes().tolist() == [[0, 0, 4, 3], [0] * 4, [0] * 4, [0] * 4]
    assert answers.scores.tolist() == [1, 0, 0, 0]
    assert answers.masks().sum((1, 2)).tolist() == [12, 0, 0, 0]


@settings(max_examples=40, deadline=None)
@given(answers=st.one_of(map_answers(), mask_answers(), box_answers(whole=True)), data=st.data())
def test_a_crop_is_a_cut_through_the_pixels(answers: Answers, data) -> None:
    height, width = answers.size
    x0, y0 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    x1, y1 = data.draw(st.integers(x0 + 1, width)), data.draw(st.integers(y0 + 1, height))
    part = answers.crop(x0, y0, x1, y1)
    assert part.size == (y1 - y0, x1 - x0) and len(part) == len(answers) and part.form == answers.form
    np.testing.assert_array_equal(part.maps(), answers.maps()[:, y0:y1, x0:x1])
    # The same part, given in pixels of a frame of another size.
    again = answers.crop(2 * x0, 3 * y0, 2 * x1, 3 * y1, (3 * height, 2 * width))
    np.testing.assert_array_equal(again.boxes((60, 40)), part.boxes((60, 40)))


def test_a_crop_within_a_coarse_pixel_is_made_in_the_frame_it_is_given_in() -> None:
    map = np.random.default_rng(0).random((1, 4, 4), np.float32)
    part = MapAnswers(map).crop(0, 5, 32, 27, (32, 32))
    np.testing.assert_array_equal(part.maps(), MapAnswers(map).maps((32, 32))[:, 5:27])


@pytest.mark.parametrize('part', [(0, 0, 0, 4), (0, 0, 21, 4), (-1, 0, 4, 4), (0, 8, 4, 4)])
def test_a_part_outside_of_the_frame_is_refused(part) -> None:
    with pytest.raises(DataError, match='part .* of a frame of 20 x 10 pixels'):
        MapAnswers(np.zeros((1, 10, 20))).crop(*part)


@pytest.mark.parametrize(
    'answers',
    [
        MapAnswers(np.random.default_rng(0).random((3, 4, 5)), [0.1, 0.2, 0.3], [1, 0, 0.5]),
        MaskAnswers(np.random.default_rng(0).random((3, 4, 5)) > 0.5, [0.1, 0.2, 0.3], [1, 0, 0.5]),
        BoxAnswers([[0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 3, 3]], (4, 5), [0.1, 0.2, 0.3], [1, 0, 0.5]),
    ],
)
def test_indexing_keeps_scores_and_presence(answers: Answers) -> None:
    for index, rows in ((slice(1, None), [1, 2]), ([2, 0], [2, 0]), (1, [1])):
        part = answers[index]
        assert type(part) is type(answers) and part.size == answers.size and len(part) == len(rows)
        np.testing.assert_array_equal(part.maps(), answers.maps()[rows])
        np.testing.assert_array_equal(part.scores, answers.scores[rows])
        np.testing.assert_array_equal(part.presence, answers.presence[rows])
    again = pickle.loads(pickle.dumps(answers))
    np.testing.assert_array_equal(again.boxes(), answers.boxes())
    np.testing.assert_array_equal(answers.crop(0, 0, 3, 3).presence, answers.presence)
    assert len(list(answers)) == 3


def test_the_score_of_a_map_is_its_peak() -> None:
    maps = np.zeros((2, 3, 3), np.float32)
    maps[1, 2, 1] = 0.75
    assert MapAnswers(maps).scores.tolist() == MapAnswers(maps).presence.tolist() == [0, 0.75]
    assert MapAnswers(maps, presence=[0.5, 1]).scores.tolist() == [0, 0.75]


def test_tensors_of_any_precision_are_taken() -> None:
    maps = torch.rand(2, 3, 4, dtype=torch.bfloat16, requires_grad=True)
    np.testing.assert_array_equal(MapAnswers(maps).maps(), maps.detach().float().numpy())
    assert MaskAnswers(torch.ones(1, 2, 2, dtype=torch.bool)).data.dtype == bool
    assert BoxAnswers(torch.tensor([[0.0, 0, 2, 2]]), (4, 4)).boxes().tolist() == [[0, 0, 2, 2]]


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: MapAnswers(np.zeros((4, 4))), r'shape \(4, 4\)'),
        (lambda: MaskAnswers(np.zeros((1, 0, 4))), r'shape \(1, 0, 4\)'),
        (lambda: BoxAnswers(np.zeros(4), (4, 4)), r'shape \(4,\)'),
        (lambda: BoxAnswers([[0, 0, np.nan, 1]], (4, 4)), 'not finite: nan'),
        (lambda: BoxAnswers(np.zeros((1, 4)), (0, 4)), r'size \(0, 4\)'),
        (lambda: MapAnswers(np.zeros((2, 4, 4)), scores=[0.5]), r'scores of shape \(1,\)'),
        (lambda: MapAnswers(np.zeros((1, 4, 4)), presence=[1.5]), r'presence from 1\.5 to 1\.5'),
    ],
)
def test_what_does_not_fit_is_refused(make, message) -> None:
    with pytest.raises(DataError, match=message):
        make()
