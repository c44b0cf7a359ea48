"""What is written, read back by rasterio and by geopandas, and held against real georeferenced labels."""

from __future__ import annotations

import json

import numpy as np
import pytest
import shapely

from xemap.errors import ConfigError, DataError
from xemap.inference.map_store import MapStore
from xemap.inference.vectorize import find_regions, outline_polygons
from xemap.inference.writers import require_writable, small_map, write_geojson, write_npy
from xemap.raster.georeference import Georeference, areas_m2, place_polygons, target_crs
from xemap.raster.geotiff import write_geotiff
from xemap.raster.raster_file import open_raster

MAP = np.zeros((300, 400), np.float32)
MAP[50:100, 120:200] = 0.75
MAP[60:80, 140:160] = 0.25  # a hole
MAP[200:210, 10:30] = 0.9


def store_of(map) -> MapStore:
    store = MapStore(1, map.shape)
    store.write(0, 0, map)
    return store


@pytest.fixture(scope='module')
def rasterio():
    pytest.importorskip('rasterio', reason='georeferenced files need rasterio, the extra "geo"')
    return pytest.importorskip("rasterio")


@pytest.fixture(scope='module')
def geopandas():
    return pytest.importorskip('geopandas', reason='reads back what is written for a GIS')


@pytest.fixture(scope='module')
def utm(rasterio):
    return Georeference(rasterio.Affine(0.5, 0, 733601, 0, -0.5, 3725139), rasterio.crs.CRS.from_epsg(32616), 0.0, '')


@pytest.mark.parametrize('crs, code', [('image', 32616), ('wgs84', 4326), ('EPSG:3857', 3857)])
def test_geojson_round_trip(tmp_path, rasterio, utm, geopandas, crs, code):
    regions = find_regions(store_of(MAP), 0, 0.5, simplify=0)
    write_geojson(tmp_path / 'a.geojson', regions, utm, crs, {'query': 'the lake'})
    frame = geopandas.read_file(tmp_path / 'a.geojson', engine='pyogrio')
    assert frame.crs.to_epsg() == code and len(frame) == 2
    assert frame['query'].tolist() == ['the lake'] * 2 and frame.score.tolist() == pytest.approx([0.9, 0.75])
    assert frame.area_px.tolist() == [200, 3600] and frame.geometry.is_valid.all()
    # The ground is not flat in UTM: true areas differ from the grid's by the squared scale, 1.0004 here.
    assert frame.area_m2.tolist() == pytest.approx([50, 900], rel=2e-3)
    back = frame.to_crs(32616)
    corners = shapely.box(733601 + 60, 3725139 - 50, 733601 + 100, 3725139 - 25)
    assert shapely.hausdorff_distance(shapely.envelope(back.geometry[1]), corners) < 1e-3
    assert len(frame.geometry[1].interiors) == 1
    assert all(shapely.is_ccw(shapely.get_exterior_ring(polygon)) for polygon in frame.geometry)


def test_true_areas_on_degrees(rasterio, geopandas):
    pyproj = pytest.importorskip('pyproj')
    place = Georeference(rasterio.Affine(1e-4, 0, 10, 0, -1e-4, 60), rasterio.crs.CRS.from_epsg(4326), None, '')
    outlines = outline_polygons([MAP > 0.5], MAP.shape)
    (area, *_), crs = areas_m2(outlines, place), target_crs(place)[0]
    geodesic, _ = pyproj.Geod(ellps='WGS84').geometry_area_perimeter(place_polygons(outlines, place, crs)[0])
    assert area == pytest.approx(geodesic, rel=1e-5)


def test_turned_and_sheared_transform(tmp_path, rasterio, geopandas):
    turned = rasterio.Affine(1.7, 1.1, 700000, 1.0, -1.6, 3800000)
    place = Georeference(turned, rasterio.crs.CRS.from_epsg(32616), None, '')
    regions = find_regions(store_of(MAP), 0, 0.8, simplify=0)
    write_geojson(tmp_path / 'a.geojson', regions, place, 'image', {})
    (polygon,) = geopandas.read_file(tmp_path / 'a.geojson').geometry
    pixels = np.array([(10, 200), (30, 200), (30, 210), (10, 210)])
    corners = {tuple(point) for point in np.round(pixels @ [[1.7, 1.0], [1.1, -1.6]] + (700000, 3800000), 3)}
    assert {tuple(np.round(point, 3)) for point in polygon.exterior.coords} == corners


def test_place_without_crs_and_crs_without_number(tmp_path, rasterio, utm):
    pyogrio = pytest.importorskip('pyogrio', reason='reads as a GIS does')
    regions = find_regions(store_of(MAP), 0, 0.8)
    unknown = Georeference(utm.transform, None, None, 'unknown CRS')
    write_geojson(tmp_path / 'a.geojson', regions, unknown, 'image', {})
    content = json.loads((tmp_path / 'a.geojson').read_text())
    assert 'unknown CRS' in content['coordinates_are'] and 'LOCAL_CS["unknown"' in pyogrio.read_info(
        tmp_path / 'a.geojson'
    )['crs']
    assert content['features'][0]['properties']['area_m2'] is None
    with pytest.raises(DataError, match='unknown CRS'):
        write_geojson(tmp_path / 'b.geojson', regions, unknown, 'wgs84', {})
    local_crs = rasterio.crs.CRS.from_proj4('+proj=tmerc +lat_0=33 +lon_0=-84.5 +k=1 +ellps=bessel +units=m')
    nameless = Georeference(rasterio.Affine(0.5, 0, 100, 0, -0.5, 200), local_crs, None, '')
    write_geojson(tmp_path / 'b.geojson', regions, nameless, 'image', {})
    content = json.loads((tmp_path / 'b.geojson').read_text())
    assert 'WGS84' in content['remark']
    assert content['features'][0]['geometry']['coordinates'][0][0] == pytest.approx([-84.5, 33], abs=0.01)
    for name in ('EPSG:1', 'nonsense'):
        with pytest.raises(ConfigError, match='unknown'):
            target_crs(utm, name)


def test_pixel_coordinates_say_so(tmp_path):
    write_geojson(tmp_path / 'a.geojson', find_regions(store_of(MAP), 0, 0.8), Georeference(), 'image', {'query': 'a'})
    content = json.loads((tmp_path / 'a.geojson').read_text())
    assert content['coordinates_are'].startswith('pixels') and 'no georeference' in content['coordinates_are']
    crs = pytest.importorskip('pyogrio').read_info(tmp_path / 'a.geojson')['crs']
    assert crs.startswith('LOCAL_CS["pixels, y down"') and 'UNIT["pixel",1]' in crs  # and not degrees
    (feature,) = content['features']
    assert {tuple(p) for p in feature['geometry']['coordinates'][0]} == {(10, 200), (30, 200), (30, 210), (10, 210)}
    assert feature['properties'] == dict(
        query='a', rank=1, score=0.9, area_m2=None, area_px=200, box_px=[10, 200, 30, 210]
    )
    with pytest.raises(DataError, match='without place'):
        write_geojson(tmp_path / 'b.geojson', [], Georeference(), 'wgs84', {})


def test_no_regions(tmp_path, utm, geopandas):
    write_geojson(tmp_path / 'a.geojson', [], utm, 'image', {'query': 'a'})
    assert len(geopandas.read_file(tmp_path / 'a.geojson')) == 0


def test_an_error_leaves_no_file(tmp_path, monkeypatch, utm, rasterio):
    def fail(*args, **kwargs):
        raise OSError('disk full')

    store = store_of(MAP)
    monkeypatch.setattr(MapStore, 'read', fail)
    for write in (
        lambda: write_npy(tmp_path / 'a.npy', store, 0),
        lambda: write_geotiff(tmp_path / 'a.tif', store.strips(0), store.size, utm, False, {}),
    ):
        with pytest.raises(OSError, match='disk full'):
            write()
    assert not list(tmp_path.iterdir())


def test_npy_and_small_copy(tmp_path):
    write_npy(tmp_path / 'a.npy', store_of(MAP), 0)
    assert np.array_equal(np.load(tmp_path / 'a.npy'), MAP)
    assert np.allclose(small_map(store_of(MAP), 0, 100), MAP.reshape(75, 4, 100, 4).mean((1, 3)), atol=1e-6)
    assert small_map(store_of(MAP[:299, :7]), 0, 100).shape == (100, 3)


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(OSError, match='file'):
        require_writable(tmp_path / 'file' / 'out')


def test_real_footprints_land_where_they_should(tmp_path, shared_dir, rasterio, geopandas):
    """The GeoTIFF of SpaceNet: its footprints in pixels, through our files, against those on the ground."""
    folder = shared_dir / 'data' / 'spacenet_sample'
    with open_raster(folder / 'sample_geotiff.tif') as raster:
        place, size = raster.georeference, raster.size
        assert raster.masked and place.crs.to_epsg() == 32616
    pixels = {
        feature['properties']['osm_id']: shapely.geometry.shape(feature['geometry'])
        for feature in json.loads((folder / 'gj_to_px_result.geojson').read_text())['features']
    }
    labels = geopandas.read_file(folder / 'geotiff_labels.geojson').dissolve('osm_id')
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    offsets = []
    for key, footprint in pixels.items():
        map = shapely.contains_xy(footprint, x, y).astype(np.float32)
        regions = find_regions(store_of(map), 0, 0.5, simplify=0)
        if len(regions) != 1 or footprint.bounds[2] >= size[1] or footprint.bounds[3] >= size[0]:
            continue
        for crs in ('image', 'wgs84'):
            write_geojson(tmp_path / 'a.geojson', regions, place, crs, {})
            placed = geopandas.read_file(tmp_path / 'a.geojson').to_crs(32616).geometry[0]
            truth = labels.geometry[key]
            # Published pixels are rounded, by up to 0.71 px of 0.5 m; our outline follows the edges of pixels.
            assert shapely.hausdorff_distance(placed, truth) < 1.0, key
            assert placed.intersection(truth).area / placed.union(truth).area > 0.8, key
        area = geopandas.read_file(tmp_path / 'a.geojson').area_m2[0]
        assert area == pytest.approx(truth.area, rel=0.12), key
        offsets.append(np.subtract(placed.centroid.coords[0], truth.centroid.coords[0]))
    # Half a pixel, the classic mistake, is 0.25 m.
    assert len(offsets) > 25 and np.abs(np.mean(offsets, 0)).max() < 0.06
