from __future__ import annotations

import json
import time

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco_mask
from scipy import ndimage

from xemap.errors import DataError
from xemap.preparation.geometry import (
    as_polygon,
    box_polygon,
    clip_polygon,
    count_components,
    estimated_crossings,
    region_area,
    rle_counts,
    unite,
)
from xemap.structures import MaskRegion, PolygonRegion

SIZE = (40, 60)
_vertex = st.tuples(st.integers(-50, 110), st.integers(-50, 90))


def test_closing_vertex_is_dropped():
    assert as_polygon([(0, 0), (4, 0), (4, 3), (0, 0)]).tolist() == [[0, 0], [4, 0], [4, 3]]
    assert as_polygon([0, 0, 4, 0, 4, 3]).tolist() == [[0, 0], [4, 0], [4, 3]]


@pytest.mark.parametrize(
    'points, message',
    [
        ([(0, 0), (4, 0)], '2 vertices'),
        ([(0, 0), (4, 0), (0, 0)], '2 vertices'),
        ([], '0 vertices'),
        ([1, 2, 3], 'pairs'),
        ([(1, 2, 3), (1, 2, 3), (4, 5, 6)], 'pairs'),
        ([(0, 0), (1e999, 0), (0, 1)], 'not finite'),
        (['a', 'b'], 'numbers'),
        ([(0, 0), (1, 2, 3)], 'numbers'),
        ([10**400, 1, 2, 3, 4, 5], 'numbers'),
        ({}, 'numbers'),
    ],
)
def test_what_is_no_polygon_is_refused(points, message):
    with pytest.raises(DataError, match=message):
        as_polygon(points)


def test_polygon_inside_is_untouched():
    polygon = np.array([[0.0, 0.0], [60.0, 0.0], [60.0, 40.0]])
    (same,) = clip_polygon(polygon, SIZE)
    assert same is polygon


def test_box_past_the_border_is_cut():
    (cut,) = clip_polygon(box_polygon(50, -5, 20, 15), SIZE)
    assert {tuple(vertex) for vertex in cut.tolist()} == {(50, 0), (60, 0), (60, 10), (50, 10)}


def test_polygon_may_fall_apart():
    # A U whose base lies below the image.
    parts = clip_polygon(
        np.array([[10, 10], [15, 10], [15, 60], [30, 60], [30, 10], [35, 10], [35, 70], [10, 70.0]]), SIZE
    )
    assert sorted(shapely.Polygon(part).bounds for part in parts) == [(10, 10, 15, 40), (30, 10, 35, 40)]


def test_polygon_outside_is_empty():
    assert clip_polygon(box_polygon(60, 0, 5, 5), SIZE) == []  # touches the border only
    assert clip_polygon(box_polygon(100, 100, 5, 5), SIZE) == []


def test_faces_survive_beside_a_line():
    # A spike without area and two triangles: what shapely makes of it is faces and a line.
    polygon = np.array([[10, 10], [-10, 10], [20, 10], [20, 0], [10, 20.0]])
    assert sum(shapely.Polygon(part).area for part in clip_polygon(polygon, SIZE)) == pytest.approx(50)


def test_line_across_the_border_is_empty():
    assert clip_polygon(np.array([[2.0, 2.0], [-1.0, -1.0], [0.0, 0.0]]), SIZE) == []


@settings(max_examples=100, deadline=None)
@given(st.lists(_vertex, min_size=3, max_size=8))
def test_parts_lie_in_the_image_and_stay_as_they_are(vertices):
    for part in clip_polygon(np.array(vertices, np.float64), SIZE):
        assert len(part) >= 3
        assert (part >= 0).all() and (part <= (60, 40)).all()
        (again,) = clip_polygon(part, SIZE)
        assert again is part


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 8))
def test_clipping_keeps_exactly_what_is_inside(seed, number):
    # Random reals: where outlines run over themselves, what is inside is a matter of definition.
    polygon = np.random.default_rng(seed).uniform((-50, -50), (110, 90), (number, 2))
    parts = clip_polygon(polygon, SIZE)
    # The reference asks for each point of a grid whether it lies in the polygon and in the image.
    grid = np.stack(np.meshgrid(np.arange(-4.73, 70, 3.1), np.arange(-4.37, 50, 3.1)), -1).reshape(-1, 2)
    near_edge = shapely.distance(shapely.LinearRing(polygon), shapely.points(grid)) < 1e-6
    expected = _even_odd(polygon, grid) & (grid > 0).all(1) & (grid < (60, 40)).all(1)
    actual = np.zeros(len(grid), bool)
    holes = np.zeros(len(grid), bool)
    for part in parts:
        actual |= shapely.contains_xy(shapely.make_valid(shapely.Polygon(part)), grid)
    for face in shapely.get_parts(shapely.get_parts(shapely.make_valid(shapely.Polygon(polygon)))):
        cut = shapely.get_parts(shapely.get_parts(face.intersection(shapely.box(0, 0, 60, 40))))
        for ring in [ring for part in cut if part.geom_type == 'Polygon' for ring in part.interiors]:
            holes |= shapely.contains_xy(shapely.Polygon(ring), grid)
    sure = ~near_edge & ~holes
    np.testing.assert_array_equal(actual[sure], expected[sure])


def _even_odd(polygon: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Whether a ray to the right of each point crosses the outline an odd number of times."""
    inside = np.zeros(len(points), bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0)):
        if y0 == y1:
            continue
        spans = (y0 > points[:, 1]) != (y1 > points[:, 1])
        inside ^= spans & (points[:, 0] < x0 + (points[:, 1] - y0) * (x1 - x0) / (y1 - y0))
    return inside


def test_polygons_unite_as_polygons():
    first, second = PolygonRegion([box_polygon(0, 0, 10, 10)]), PolygonRegion([box_polygon(5, 0, 10, 10)])
    united = unite([first, second], SIZE)
    assert united == PolygonRegion([box_polygon(0, 0, 10, 10), box_polygon(5, 0, 10, 10)])
    assert region_area(united, SIZE) == 150  # the overlap counts once


def test_masks_and_polygons_unite_as_mask():
    mask = np.zeros(SIZE, bool)
    mask[30:, 40:] = True
    polygon = PolygonRegion([box_polygon(0, 0, 10, 10)])
    united = unite([MaskRegion.from_mask(mask), polygon], SIZE)
    assert isinstance(united, MaskRegion)
    np.testing.assert_array_equal(united.mask(SIZE), mask | polygon.mask(SIZE))
    assert region_area(united, SIZE) == (mask | polygon.mask(SIZE)).sum()


def test_bow_tie_has_the_area_of_both_halves():
    assert region_area(PolygonRegion([[(0, 0), (10, 10), (10, 0), (0, 10)]]), SIZE) == pytest.approx(50)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 8, 1000]))
def test_components_as_scipy_counts_them(seed, min_area):
    mask = np.random.default_rng(seed).random((24, 30)) < 0.35
    labels, number = ndimage.label(mask, np.ones((3, 3)))
    areas = np.bincount(labels.reshape(-1))[1:]
    expected = (areas >= min_area).sum() or number
    assert count_components(mask, min_area) == expected


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 200), st.floats(0, 1))
def test_run_lengths_as_pycocotools_decodes_them(seed, height, width, density):
    rng = np.random.default_rng(seed)
    mask = rng.random((height, width)) < density
    mask = np.repeat(mask, rng.integers(1, 40), axis=1)
    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))['counts']
    runs = rle_counts(encoded)
    values = np.repeat(np.arange(len(runs)) % 2, runs)
    np.testing.assert_array_equal(values.reshape(mask.shape[::-1]).T, mask)


@pytest.mark.parametrize('text', [b'', b'\x00', b'o' * 40, b'PPPP~', b'\xff\xff', b'n'])
def test_broken_run_lengths_are_told(text):
    runs = rle_counts(text)
    assert not runs.size or (runs < 0).any()


def _star(points: int, step: int) -> np.ndarray:
    angle = 2 * np.pi * np.arange(points) * step / points
    return np.stack([300 + 200 * np.cos(angle), 300 + 200 * np.sin(angle)], -1)


@pytest.mark.parametrize('points, step, crossings', [(5, 2, 5), (7, 3, 14), (100, 1, 0), (101, 50, 101 * 49)])
def test_crossings_of_stars(points, step, crossings):
    """A star {n/k} crosses itself n (k - 1) times."""
    assert estimated_crossings(_star(points, step)) == crossings
    assert estimated_crossings(_star(points, step), edges=points // 2) == pytest.approx(crossings, rel=0.1)


@pytest.mark.parametrize(
    'polygon, message',
    [
        (_star(100_001, 50_000), '100001 vertices that crosses itself everywhere'),
        (_star(201, 100), '201 vertices that crosses itself everywhere'),
        (np.zeros((200_001, 2)), '200001 vertices, 200000 are the most'),
    ],
)
def test_polygons_that_would_take_minutes_are_refused(tmp_path, polygon, message):
    from xemap.preparation.converters import CocoConverter

    content = {
        'images': [{'id': 1, 'file_name': 'a.png'}],
        'categories': [{'id': 1, 'name': 'ship'}],
        'annotations': [
            {'id': 1, 'image_id': 1, 'category_id': 1, 'segmentation': [polygon.reshape(-1).round(3).tolist()]},
            {'id': 2, 'image_id': 1, 'category_id': 1, 'bbox': [1, 1, 9, 9]},
        ],
    }
    (tmp_path / 'a.json').write_text(json.dumps(content))
    Image.new('RGB', (512, 512)).save(tmp_path / 'a.png')
    start = time.monotonic()
    with pytest.raises(DataError, match=rf'a\.json annotation 1: polygon (of|with) {message}'):
        converter = CocoConverter(tmp_path, 'a.json')
        converter.record(converter.items()[0])
    converter = CocoConverter(tmp_path, 'a.json', skip_bad=True)
    (query,) = converter.record(converter.items()[0]).queries
    assert query.referents == 1 and converter.report.counts == {'bad_annotations': 1}
    assert time.monotonic() - start < 10


def test_an_outline_of_many_vertices_is_kept():
    angle = 2 * np.pi * np.arange(100_000) / 100_000
    ring = np.stack([300 + 200 * np.cos(angle), 300 + 200 * np.sin(angle)], -1)
    assert clip_polygon(ring, (600, 600))[0] is ring
    assert region_area(PolygonRegion([ring]), (600, 600)) == pytest.approx(np.pi * 200**2, rel=1e-6)
