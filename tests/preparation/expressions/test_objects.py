from __future__ import annotations

import cv2
import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from xemap.preparation.expressions import objects
from xemap.preparation.expressions.objects import MIN_PART, MaskParts, joined, measure
from xemap.preparation.instance import Instance
from xemap.structures import MaskRegion, PolygonRegion


def speckled(seed: int, size=(120, 90)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mask = cv2.GaussianBlur(rng.normal(size=size), (0, 0), 4) > 0.02
    return mask ^ (rng.random(size) < 0.01)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
@example(372856)  # a wall of one pixel between outline and hole
def test_parts_are_the_8_connected_components(seed):
    mask = speckled(seed)
    labels, num_parts = ndimage.label(mask, np.ones((3, 3)))
    expected = [labels == i for i in range(1, num_parts + 1) if (labels == i).sum() >= MIN_PART * mask.size]
    parts = MaskParts(mask)
    made = [parts.region([obj.label]).mask(mask.shape) for obj in parts.objects]
    assert sorted(m.tobytes() for m in made) == sorted(m.tobytes() for m in expected)
    for obj, expected_mask in zip(parts.objects, made):
        assert obj.area == expected_mask.sum()
        window, left, top = obj.mask(mask.shape)
        pasted = np.zeros_like(mask)
        pasted[top : top + window.shape[0], left : left + window.shape[1]] = window
        assert (pasted == expected_mask).all()
        assert obj.outline.is_valid
        # Contours are simplified to a pixel, holes as well, and a wall between them may go.
        drawn = shapely.contains_xy(obj.outline.buffer(2.5), *np.argwhere(expected_mask)[:, ::-1].T)
        assert drawn.all()
        assert obj.outline.area <= expected_mask.sum() + 1.5 * obj.outline.length + MIN_PART * mask.size * num_parts


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([2, 3, 7]))
def test_cells_of_a_large_mask_join_only_what_is_close(seed, cell):
    mask = speckled(seed)
    whole, before = MaskParts(mask), objects.WORKING_SIDE
    try:
        objects.WORKING_SIDE = -(-120 // cell)
        coarse = MaskParts(mask)
    finally:
        objects.WORKING_SIDE = before
    assert coarse.cell == cell and whole.cell == 1
    regions = [coarse.region([obj.label]).mask(mask.shape) for obj in coarse.objects]
    assert not np.logical_and.reduce(regions[:2]).any() or len(regions) < 2
    for obj, region in zip(coarse.objects, regions):
        assert obj.area == region.sum()
        # A coarse part is made of whole fine ones, and all of them are within reach of each other.
        labels, _ = ndimage.label(mask, np.ones((3, 3)))
        assert all((region[labels == i]).all() for i in np.unique(labels[region]))
        close = ndimage.binary_dilation(region, np.ones((3, 3)), iterations=cell)
        assert ndimage.label(close, np.ones((3, 3)))[1] == 1
        window, left, top = obj.mask(mask.shape)
        assert (window == region[top : top + window.shape[0], left : left + window.shape[1]]).all()
        assert window.sum() == region.sum()


def test_a_hole_is_no_part_of_the_outline():
    mask = np.zeros((100, 100), bool)
    mask[10:90, 10:90] = True
    mask[30:60, 30:60] = False
    (ring,) = MaskParts(mask).objects
    assert ring.outline.area == pytest.approx(80 * 80 - 30 * 30, rel=0.03)
    assert not ring.outline.contains(shapely.Point(45, 45))


def square(left, top, side=10, **options):
    corners = [[left, top], [left + side, top], [left + side, top + side], [left, top + side]]
    return Instance('x', PolygonRegion([corners]), **options)


def test_one_mask_is_one_object_and_several_make_parts():
    mask = np.zeros((100, 100), bool)
    mask[10:20, 10:20] = mask[50:60, 50:60] = True
    mask[80, 80] = True  # noise
    region = MaskRegion.from_mask(mask)
    (one,) = measure([Instance('x', region, 1)], (100, 100))
    assert joined([one], (100, 100)) == region
    assert one.outline.bounds[2] < 61
    parts = measure([Instance('x', region, 2)], (100, 100))
    assert len(parts) == 2
    assert joined(parts, (100, 100)).mask((100, 100)).sum() == 200
    assert len(measure([Instance('x', region, 2), square(70, 10)], (100, 100))) == 3


def test_an_unknown_number_of_objects_is_no_object():
    assert measure([square(10, 10), square(50, 50, count=None)], (100, 100)) == []
    assert measure([square(10, 10), square(50, 50, count=4)], (100, 100)) == []
    assert len(measure([square(10, 10), square(50, 50)], (100, 100))) == 2


@pytest.mark.parametrize(
    'points, boxed, upright',
    [
        ([[10, 10], [50, 10], [50, 30], [10, 30]], True, True),
        ([[30, 10], [50, 30], [30, 50], [10, 30]], True, False),
        ([[30, 10], [50, 10], [50, 50], [10, 50], [10, 30]], True, False),  # a box cut by the border
        ([[10, 10], [50, 10], [50, 50], [30, 50], [30, 30], [10, 30]], False, False),
    ],
)
def test_boxes(points, boxed, upright):
    (obj,) = measure([Instance('x', PolygonRegion([points]))], (60, 60))
    assert (obj.boxed, obj.upright) == (boxed, upright)


def test_joined_polygons_stay_as_annotated():
    first, second = square(10, 10), square(50, 50)
    pair = measure([first, second], (100, 100))
    polygons = joined(pair, (100, 100)).polygons((100, 100))
    assert [p.tolist() for p in polygons] == [i.region.polygons((100, 100))[0].tolist() for i in (first, second)]
