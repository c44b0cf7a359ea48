from __future__ import annotations

import cv2
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xemap.errors import ConfigError
from xemap.inference.map_store import MapStore
from xemap.inference.vectorize import find_regions, find_threshold, outline_polygons, parse_threshold, region_mask

MASKS = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(lambda size: arrays(bool, size))


def store_of(*maps) -> MapStore:
    store = MapStore(len(maps), maps[0].shape)
    for query, map in enumerate(maps):
        store.write(query, 0, map)
    return store


def pixels_in(polygon, size) -> np.ndarray:
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    return shapely.contains_xy(polygon, x, y)


@settings(max_examples=150, deadline=None)
@given(MASKS, st.integers(1, 9))
def test_polygons_hold_exactly_the_pixels_of_each_connected_region(mask, strip):
    polygons = outline_polygons((mask[i : i + strip] for i in range(0, len(mask), strip)), mask.shape)
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    assert len(polygons) == count - 1 and shapely.is_valid(polygons).all()
    inner_pixels = [pixels_in(polygon, mask.shape) for polygon in polygons]
    for polygon, inside in zip(polygons, inner_pixels):
        assert polygon.geom_type == 'Polygon' and polygon.area == inside.sum()
        (label,) = np.unique(labels[inside])
        assert label and np.array_equal(inside, labels == label)


@settings(max_examples=60, deadline=None)
@given(MASKS)
def test_polygons_are_those_of_gdal(mask):
    features = pytest.importorskip('rasterio.features', reason='compares with rasterio')
    shapes = features.shapes(mask.astype(np.uint8), mask=mask)
    theirs = [shapely.simplify(shapely.buffer(shapely.geometry.shape(shape), 0), 0) for shape, _ in shapes]
    ours = outline_polygons([mask], mask.shape)
    key = [sorted(shapely.to_wkt(shapely.normalize(polygon)) for polygon in both) for both in (ours, theirs)]
    assert key[0] == key[1]


def test_holes_within_holes():
    mask = np.zeros((11, 12), bool)
    mask[1:10, 1:11] = True
    mask[2:9, 2:10] = False
    mask[3:8, 3:9] = True
    mask[4:6, 4:6] = False
    outer, inner = sorted(outline_polygons([mask], mask.shape), key=lambda polygon: -shapely.envelope(polygon).area)
    assert outer.bounds == (1, 1, 11, 10) and [shapely.Polygon(r).bounds for r in outer.interiors] == [(2, 2, 10, 9)]
    assert inner.bounds == (3, 3, 9, 8) and [shapely.Polygon(r).bounds for r in inner.interiors] == [(4, 4, 6, 6)]


@settings(max_examples=60, deadline=None)
@given(arrays(np.float32, (7, 8), elements=st.floats(0, 1, width=16)), st.floats(0.1, 0.9), st.integers(1, 6))
def test_score_is_the_mean_over_the_pixels(map, threshold, min_area):
    map[0, 0] = np.nan
    regions = find_regions(store_of(map), 0, threshold, min_area, simplify=0)
    assert [r.score for r in regions] == sorted((r.score for r in regions), reverse=True)
    united = np.zeros(map.shape, bool)
    for region in regions:
        inside = pixels_in(region.polygon, map.shape)
        rows, columns = np.nonzero(inside)
        assert region.score == pytest.approx(map[inside].mean(dtype=np.float64)) and region.pixels == inside.sum()
        assert region.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        united |= inside
    assert np.array_equal(region_mask(map, threshold, min_area), united)
    count, labels = cv2.connectedComponents((map >= threshold).astype(np.uint8), connectivity=4)
    assert len(regions) == sum((labels == i).sum() >= min_area for i in range(1, count))


def test_scores_over_several_strips(monkeypatch):
    map = np.random.default_rng(0).random((1300, 40), dtype=np.float32)
    map[500:1100, 5:20] = 0.9
    map[500:1100, 4] = map[500:1100, 20] = map[499, 4:21] = map[1100, 4:21] = 0
    best = max(find_regions(store_of(map), 0, 0.9, 100, 0), key=lambda region: region.pixels)
    assert best.pixels == 600 * 15 and best.score == pytest.approx(0.9)


def test_a_map_is_read_once(monkeypatch):
    store = store_of(np.random.default_rng(0).random((1300, 40), dtype=np.float32))
    read, rows = MapStore.read, []
    monkeypatch.setattr(MapStore, 'read', lambda self, query, a, b: rows.extend(range(a, b)) or read(self, query, a, b))
    assert len(find_regions(store, 0, 0.9)) > 1000
    assert rows == list(range(1300))


def test_simplified_outlines_stay_near_and_valid():
    y, x = np.mgrid[:200, :200]
    map = np.exp(-((x - 90) ** 2 + (y - 120) ** 2) / 3000).astype(np.float32)
    exact, simple = (find_regions(store_of(map), 0, 0.4, simplify=s)[0].polygon for s in (0, 1.5))
    assert len(simple.exterior.coords) < len(exact.exterior.coords) / 3 and simple.is_valid
    assert shapely.hausdorff_distance(exact, simple) <= 1.5 and simple.area == pytest.approx(exact.area, rel=0.02)


@pytest.mark.parametrize('number', [20, 400])
def test_otsu_separates_two_hills_as_opencv_does(number):
    rng = np.random.default_rng(1)
    map = np.where(rng.random((number, number)) < 0.3, rng.normal(0.75, 0.06, (number, number)), 0.3)
    map = map.clip(0, 1).astype(np.float32)
    theirs, _ = cv2.threshold(np.rint(map * 255).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    ours = find_threshold(store_of(map), 0, 'otsu')
    assert np.mean((map >= ours) == (map > (theirs + 0.5) / 255)) > 0.995
    assert 0.3 < ours < 0.75


def test_otsu_on_very_many_pixels_and_on_one_value():
    store = store_of(np.repeat(np.float32([0.1, 0.8]), [2_000_000, 1_000_000]).reshape(1500, 2000))
    assert 0.1 < find_threshold(store, 0, 'otsu') <= 0.8
    flat = store_of(np.full((5, 5), 0.4, np.float32))
    assert not find_regions(flat, 0, find_threshold(flat, 0, 'otsu'))


@settings(max_examples=40, deadline=None)
@given(arrays(np.float32, 50, elements=st.floats(0, 1, width=32)), st.floats(0, 1))
def test_quantile_is_exact_to_a_step(values, share):
    values[:3] = np.nan
    threshold = find_threshold(store_of(values[None]), 0, f'q{share}')
    rank = max(1, int(np.ceil(share * 47)))
    assert abs(threshold - np.sort(values[3:])[rank - 1]) <= 1.01 / 65535


def test_thresholds_that_do_not_fit():
    assert (
        parse_threshold('0.25') == 0.25
        and parse_threshold('auto') == 'auto'
        and parse_threshold('otsu') == 'otsu'
        and parse_threshold('q0.9') == 'q0.9'
    )
    for text in ('high', 'q', 'q95', '1.5', 'nan', ''):
        with pytest.raises(ConfigError, match='threshold'):
            parse_threshold(text)
    with pytest.raises(ConfigError, match='min_area'):
        find_regions(store_of(np.ones((2, 2), np.float32)), 0, 0.5, min_area=-1)
