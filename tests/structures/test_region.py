"""Regions against plain per-pixel references."""

from __future__ import annotations

import pickle

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import xemap.structures.region as region_module
from xemap.errors import DataError
from xemap.structures import MaskRegion, PolygonRegion

SIZES = st.tuples(st.integers(1, 30), st.integers(1, 30))
MASKS = hnp.arrays(bool, SIZES)


def overlap(length: int, parts: int) -> np.ndarray:
    """(parts, length): share of each of ``parts`` equal intervals that each unit pixel fills."""
    shares = np.zeros((parts, length))
    for i in range(parts):
        low, high = i * length / parts, (i + 1) * length / parts
        for k in range(length):
            shares[i, k] = max(0, min(high, k + 1) - max(low, k)) / (high - low)
    return shares


class TestPolygonRegion:
    def test_mask_includes_the_outline(self) -> None:
        mask = PolygonRegion([[2, 1, 5, 1, 5, 3, 2, 3]]).mask((6, 8))
        expected = np.zeros((6, 8), bool)
        expected[1:4, 2:6] = True
        np.testing.assert_array_equal(mask, expected)

    def test_overlapping_polygons_are_united(self) -> None:
        square = [[1, 1], [4, 1], [4, 4], [1, 4]]
        twice = PolygonRegion([square, square]).mask((6, 6))
        np.testing.assert_array_equal(twice, PolygonRegion([square]).mask((6, 6)))

    def test_outside_is_clipped(self) -> None:
        inside = PolygonRegion([[-10, -10, 3, -10, 3, 3, -10, 3]]).mask((6, 6))
        assert inside[:4, :4].all() and inside.sum() == 16
        assert not PolygonRegion([[100, 100, 120, 100, 120, 120]]).mask((6, 6)).any()
        assert PolygonRegion([[-1e12, -1e12, 1e12, -1e12, 1e12, 1e12, -1e12, 1e12]]).mask((6, 6)).all()

    def test_flat_and_nested_coordinates_are_equal(self) -> None:
        assert PolygonRegion([[0, 1, 2, 3, 4, 5]]) == PolygonRegion([[[0, 1], [2, 3], [4, 5]]])
        assert PolygonRegion([[0, 1, 2, 3, 4, 5]]) != PolygonRegion([[0, 1, 2, 3, 4, 6]])
        assert PolygonRegion([]) != MaskRegion.from_mask(np.zeros((2, 2), bool))

    @pytest.mark.parametrize(
        'polygon', [[], [1, 2], [1, 2, 3], [1, 2, 3, float('nan')], [1, 2, float('inf'), 4], [[1, 2, 3], [4, 5, 6]]]
    )
    def test_bad_polygons(self, polygon) -> None:
        with pytest.raises(DataError, match='polygon'):
            PolygonRegion([polygon])

    def test_polygons_are_copies_and_exact(self) -> None:
        region = PolygonRegion([[0.25, 1.5, 2.125, 3, 4, 5]])
        region.polygons((9, 9))[0][:] = 0
        np.testing.assert_array_equal(region.polygons((9, 9))[0], [[0.25, 1.5], [2.125, 3], [4, 5]])

    @settings(max_examples=40, deadline=None)
    @given(
        scale=st.sampled_from([2, 3, 4]),
        corners=st.lists(st.tuples(st.integers(-5, 45), st.integers(-5, 35)), min_size=3, max_size=6),
    )
    def test_coverage_is_the_mean_of_the_mask_at_whole_ratios(self, scale, corners) -> None:
        size, out = (10 * scale, 13 * scale), (10, 13)
        region = PolygonRegion([corners])
        blocks = region.mask(size).reshape(10, scale, 13, scale)
        np.testing.assert_allclose(region.coverage(size, out), blocks.mean((1, 3)), atol=1e-6)

    def test_coverage_keeps_thin_objects_of_large_images(self) -> None:
        wire = PolygonRegion([[0, 4000, 9999, 4003, 9999, 4004, 0, 4001]])
        coverage = wire.coverage((10000, 10000), (512, 512))
        assert coverage.shape == (512, 512) and coverage.dtype == np.float32
        assert (coverage.max(axis=0) > 0).all() and 0 < coverage.mean() < 0.002

    @settings(max_examples=40, deadline=None)
    @given(corners=st.lists(st.tuples(st.integers(0, 19), st.integers(0, 29)), min_size=3, max_size=6))
    def test_flip_is_the_mirrored_box(self, corners) -> None:
        xs, ys = zip(*corners)
        box = PolygonRegion([[min(xs), min(ys), max(xs), min(ys), max(xs), max(ys), min(xs), max(ys)]])
        mask = box.mask((30, 20))
        np.testing.assert_array_equal(box.flipped((30, 20), 'horizontal').mask((30, 20)), mask[:, ::-1])
        np.testing.assert_array_equal(box.flipped((30, 20), 'vertical').mask((30, 20)), mask[::-1])

    @pytest.mark.parametrize(
        'polygon', [[10, 20, 30, 20, 30, 40, 10, 40], [-5, 3.25, 12.5, 3.25, 12.5, 60], [5, 2, 5, 8], [80, 50, 80, 60]]
    )
    def test_the_box_of_a_moved_region_is_the_moved_box(self, polygon) -> None:
        height, width = size = 50, 80
        region = PolygonRegion([polygon])
        x0, y0, x1, y1 = region.box(size).tolist()
        across, down = region.flipped(size, 'horizontal'), region.flipped(size, 'vertical')
        assert across.box(size).tolist() == [width - x1, y0, width - x0, y1]
        assert down.box(size).tolist() == [x0, height - y1, x1, height - y0]
        assert region.rotated(size, 1).box((width, height)).tolist() == [y0, width - x1, y1, width - x0]
        assert region.rotated(size, 3).box((width, height)).tolist() == [height - y1, x0, height - y0, x1]
        half = region.rotated(size, 2)
        assert half == across.flipped(size, 'vertical') and half != PolygonRegion(half.polygons(size))
        assert half.box(size).tolist() == [width - x1, height - y1, width - x0, height - y0]
        assert half.rotated(size, 2) == across.flipped(size, 'horizontal') == region
        assert pickle.loads(pickle.dumps(half)).box(size).tolist() == half.box(size).tolist()

    def test_the_box_of_a_flipped_and_cropped_region(self) -> None:
        region = PolygonRegion([[10, 20, 30, 20, 30, 40, 10, 40]]).flipped((80, 80), 'horizontal')
        assert region.box((80, 80)).tolist() == [50, 20, 70, 40]
        assert region.cropped((80, 80), (40, 10, 60, 35)).box((25, 20)).tolist() == [10, 10, 20, 25]

    def test_pickle(self) -> None:
        region = PolygonRegion([[0, 1, 2, 3, 4, 5]])
        assert pickle.loads(pickle.dumps(region)) == region


class TestMaskRegion:
    @settings(max_examples=100, deadline=None)
    @given(mask=MASKS)
    def test_round_trip(self, mask) -> None:
        region = MaskRegion.from_mask(mask)
        np.testing.assert_array_equal(region.mask(mask.shape), mask)
        assert region.mask(mask.shape).dtype == bool
        assert region.area == mask.sum()
        assert pickle.loads(pickle.dumps(region)) == region
        assert MaskRegion({'size': list(mask.shape), 'counts': region.rle['counts'].decode()}) == region

    def test_long_runs(self) -> None:
        mask = np.zeros((3000, 1000), bool)
        mask[100:, 3:990] = True
        mask[5, 5] = True
        region = MaskRegion.from_mask(mask)
        assert region.area == mask.sum()
        np.testing.assert_array_equal(region.mask(mask.shape), mask)

    def test_uncompressed_counts(self) -> None:
        region = MaskRegion({'size': [2, 3], 'counts': [1, 2, 3]})
        np.testing.assert_array_equal(region.mask((2, 3)), [[0, 1, 0], [1, 0, 0]])

    def test_other_size(self) -> None:
        region = MaskRegion.from_mask(np.ones((3, 4), bool))
        for call in (region.mask, lambda size: region.coverage(size, (2, 2)), region.polygons):
            with pytest.raises(DataError, match=r'\(3, 4\).*\(4, 3\)'):
                call((4, 3))

    @pytest.mark.parametrize('counts', [b'', b'0', b'5' * 50, b'\xff\xfe', b'oooo', b'1a', b'`' * 40 + b'1', b'@'])
    def test_broken_code_is_not_decoded(self, counts) -> None:
        region = MaskRegion({'size': [4, 4], 'counts': counts})
        with pytest.raises(DataError, match='run-length'):
            region.mask((4, 4))

    @settings(max_examples=100, deadline=None)
    @given(counts=st.binary(max_size=30).map(lambda data: bytes(48 + byte % 64 for byte in data)))
    def test_any_code_is_a_mask_or_refused(self, counts) -> None:
        region = MaskRegion({'size': [5, 7], 'counts': counts})
        try:
            mask = region.mask((5, 7))
        except DataError:
            return
        assert mask.view(np.uint8).max() <= 1 and mask.sum() == region.area

    @settings(max_examples=60, deadline=None)
    @given(mask=MASKS, parts=SIZES, exact=st.booleans())
    def test_coverage_is_the_exact_area_when_shrinking(self, mask, parts, exact) -> None:
        (height, width), (out_h, out_w) = mask.shape, (min(parts[0], mask.shape[0]), min(parts[1], mask.shape[1]))
        expected = overlap(height, out_h) @ mask @ overlap(width, out_w).T
        with pytest.MonkeyPatch.context() as patch:
            if not exact:
                patch.setattr(region_module, 'EXACT_COVERAGE_PIXELS', 0)
            coverage = MaskRegion.from_mask(mask).coverage(mask.shape, (out_h, out_w))
        assert coverage.shape == (out_h, out_w) and coverage.dtype == np.float32
        np.testing.assert_allclose(coverage, expected, atol=1e-5 if exact else 1 / 510 + 1e-6)

    @pytest.mark.parametrize('flipped', [False, True])
    @pytest.mark.parametrize('speckled', [False, True])
    def test_large_masks_are_covered_the_same_from_their_runs(self, monkeypatch, flipped, speckled) -> None:
        mask = np.zeros((200, 300), np.uint8)
        cv2.circle(mask, (120, 80), 60, 1, -1)
        if speckled:
            mask[::2, ::2] ^= 1
        region = MaskRegion.from_mask(mask)
        region = region.flipped(mask.shape, 'horizontal') if flipped else region
        by_pixels = region.coverage(mask.shape, (40, 64))
        calls = []
        monkeypatch.setattr(region_module, 'RUN_COVERAGE_PIXELS', 1000)
        of_runs = region_module.coverage_of_runs
        monkeypatch.setattr(region_module, 'coverage_of_runs', lambda *a: calls.append(a) or of_runs(*a))
        np.testing.assert_allclose(region.coverage(mask.shape, (40, 64)), by_pixels, atol=1e-5)
        assert bool(calls) is not speckled
        with pytest.raises(DataError, match='mask of size'):
            region.coverage((300, 200), (40, 64))

    def test_coverage_when_enlarging(self) -> None:
        mask = np.zeros((4, 4), bool)
        mask[:, 2:] = True
        coverage = MaskRegion.from_mask(mask).coverage((4, 4), (8, 8))
        assert (coverage[:, :3] == 0).all() and (coverage[:, 5:] == 1).all() and (coverage >= 0).all()

    @settings(max_examples=30, deadline=None)
    @given(mask=MASKS)
    def test_flip(self, mask) -> None:
        region = MaskRegion.from_mask(mask)
        np.testing.assert_array_equal(region.flipped(mask.shape, 'horizontal').mask(mask.shape), mask[:, ::-1])
        np.testing.assert_array_equal(region.flipped(mask.shape, 'vertical').mask(mask.shape), mask[::-1])
        turned = region.flipped(mask.shape, 'vertical').flipped(mask.shape, 'horizontal')
        half = ((mask.shape[0] + 1) // 2, (mask.shape[1] + 1) // 2)
        expected = MaskRegion.from_mask(mask[::-1, ::-1])
        np.testing.assert_allclose(turned.coverage(mask.shape, half), expected.coverage(mask.shape, half), atol=1e-5)
        assert pickle.loads(pickle.dumps(turned)) == expected == turned and turned.area == mask.sum()
        assert turned.flipped(mask.shape, 'vertical').flipped(mask.shape, 'horizontal') == region

    def test_outlines_redraw_a_mask_without_holes(self) -> None:
        mask = np.zeros((40, 50), bool)
        mask[5:20, 5:30] = mask[25:30, 40:45] = mask[35, 2] = True
        region = MaskRegion.from_mask(mask)
        np.testing.assert_array_equal(PolygonRegion(_at_least_two(region.polygons((40, 50)))).mask((40, 50)), mask)
        assert len(region.polygons((40, 50))) == 3
        assert len(region.polygons((40, 50), min_area=50)) == 1


def _at_least_two(polygons: list[np.ndarray]) -> list[np.ndarray]:
    return [np.repeat(p, 2, axis=0) if len(p) == 1 else p for p in polygons]


class TestBox:
    @settings(max_examples=60, deadline=None)
    @given(mask=MASKS, flips=st.lists(st.sampled_from(['horizontal', 'vertical']), max_size=2))
    def test_a_masks_box_holds_its_pixels(self, mask, flips) -> None:
        region = MaskRegion.from_mask(mask)
        for direction in flips:
            region = region.flipped(mask.shape, direction)
        rows, columns = np.nonzero(region.mask(mask.shape))
        expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if len(rows) else [0] * 4
        assert region.box(mask.shape).tolist() == expected
        assert region.is_empty == (not mask.any())

    def test_a_polygons_box_is_that_of_its_vertices(self) -> None:
        box = [133.0, 237.0, 684.0, 672.0]
        corners = [[133, 237], [684, 237], [684, 672], [133, 672]]
        assert PolygonRegion([corners]).box((800, 800)).tolist() == box
        assert PolygonRegion([corners, [0.25, 240, 5, 250, 2, 700]]).box((800, 800)).tolist() == [0.25, 237, 684, 700]

    def test_it_is_cut_at_the_border(self) -> None:
        assert PolygonRegion([[-5, -5, 30, -5, 30, 4]]).box((10, 20)).tolist() == [0, 0, 20, 4]
        assert PolygonRegion([[25, 2, 30, 2, 30, 4]]).box((10, 20)).tolist() == [0, 0, 0, 0]

    def test_a_line_is_a_pixel_wide(self) -> None:
        assert PolygonRegion([[3, 2, 3, 8]]).box((10, 20)).tolist() == [3, 2, 4, 8]
        assert PolygonRegion([[20, 2, 20, 8]]).box((10, 20)).tolist() == [19, 2, 20, 8]

    def test_nothing_has_no_box(self) -> None:
        region = PolygonRegion([])
        assert region.is_empty and region.box((10, 20)).tolist() == [0] * 4
        assert not region.mask((10, 20)).any() and not region.coverage((10, 20), (5, 5)).any()
        assert region.flipped((10, 20), 'horizontal').is_empty and region.polygons((10, 20)) == []

    def test_another_images_mask_is_refused(self) -> None:
        with pytest.raises(DataError, match='do not belong together'):
            MaskRegion.from_mask(np.ones((4, 5), bool)).box((5, 4))
