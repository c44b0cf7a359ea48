"""Maps as GeoTIFF, read back by rasterio."""

from __future__ import annotations

import errno
import resource

import numpy as np
import pytest
import rasterio

from xemap.errors import OutOfSpaceError
from xemap.raster.georeference import Georeference
from xemap.raster.geotiff import BLOCK, output_nodata, write_geotiff

MAP = np.zeros((300, 400), np.float32)
MAP[50:100, 120:200] = 0.75


def strips_of(map, rows=BLOCK):
    return ((top, map[top : top + rows]) for top in range(0, len(map), rows))


@pytest.fixture(scope='module')
def utm():
    return Georeference(rasterio.Affine(0.5, 0, 733601, 0, -0.5, 3725139), rasterio.crs.CRS.from_epsg(32616), 0.0, '')


def test_geotiff_round_trip(tmp_path, utm):
    map = MAP.copy()
    map[:10] = np.nan
    path = tmp_path / 'deep' / 'a.tif'
    write_geotiff(path, strips_of(map), map.shape, utm, True, {'query': 'the “lake” — 湖', 'model': 'm'})
    with rasterio.open(path) as dataset:
        assert dataset.crs == utm.crs and dataset.transform == utm.transform and dataset.nodata == 0
        assert dataset.dtypes == ('float32',) and dataset.tags()['query'] == 'the “lake” — 湖'
        assert dataset.descriptions == ('the “lake” — 湖',)
        assert dataset.tags(ns='IMAGE_STRUCTURE')['LAYOUT'] == 'COG'
        values, valid = dataset.read(1), dataset.dataset_mask() > 0
    assert np.array_equal(valid, ~np.isnan(map))  # zeros are data, though 0 means no data
    assert np.allclose(values[valid], map[valid], atol=1e-30)
    assert [file.name for file in path.parent.iterdir()] == ['a.tif']


def test_large_geotiff_has_tiles_and_overviews(tmp_path, utm):
    map = np.random.default_rng(0).random((1100, 1300), dtype=np.float32)
    write_geotiff(tmp_path / 'a.tif', strips_of(map), map.shape, utm, False, {})
    with rasterio.open(tmp_path / 'a.tif') as dataset:
        assert dataset.block_shapes == [(512, 512)] and dataset.overviews(1)
        assert np.array_equal(dataset.read(1), map)


def test_nodata_of_a_map():
    assert output_nodata(0, False) == 0 and output_nodata(-9999.0, True) == -9999
    assert output_nodata(None, False) is None and np.isnan(output_nodata(None, True))
    assert np.isnan(output_nodata(-1.7e308, True)) and np.isnan(output_nodata(float('nan'), True))


def test_image_without_place(tmp_path):
    write_geotiff(tmp_path / 'a.tif', strips_of(MAP), MAP.shape, Georeference(), False, {'query': 'a'})
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning), rasterio.open(tmp_path / 'a.tif') as dataset:
        assert dataset.crs is None and np.array_equal(dataset.read(1), MAP)


def test_turned_and_sheared_transform(tmp_path):
    turned = rasterio.Affine(1.7, 1.1, 700000, 1.0, -1.6, 3800000)
    place = Georeference(turned, rasterio.crs.CRS.from_epsg(32616), None, '')
    write_geotiff(tmp_path / 'a.tif', strips_of(MAP), MAP.shape, place, False, {})
    with rasterio.open(tmp_path / 'a.tif') as dataset:
        assert dataset.transform.almost_equals(turned)


def test_blocks_without_data_are_not_stored(tmp_path, utm):
    map = np.full((1200, 1700), np.nan, np.float32)
    map[600, 1100] = 0.5
    write_geotiff(tmp_path / 'a.tif', strips_of(map), map.shape, utm, True, {})
    with rasterio.open(tmp_path / 'a.tif') as dataset:
        stored = [
            (y, x)
            for y in range(3)
            for x in range(4)
            if dataset.get_tag_item(f'BLOCK_OFFSET_{x}_{y}', 'TIFF', bidx=1) is not None
        ]
        values = dataset.read(1, masked=True)
    assert stored == [(1, 2)]
    assert values.count() == 1 and values[600, 1100] == 0.5


@pytest.mark.parametrize('limit', [300, 40_000])
def test_a_full_disk_is_called_so(tmp_path, utm, limit):
    """The largest allowed file stands in for the disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(OutOfSpaceError, match=r'a\.tif cannot be written: no space left'):
            write_geotiff(tmp_path / 'a.tif', strips_of(MAP), MAP.shape, utm, False, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def test_another_failure_is_not_called_a_full_disk(tmp_path, utm, monkeypatch):
    def fail(*args, **options):
        raise rasterio.errors.RasterioIOError('the driver is missing')

    monkeypatch.setattr(rasterio.shutil, 'copy', fail)
    with pytest.raises(OSError, match='GDAL could not write it .the driver is missing') as caught:
        write_geotiff(tmp_path / 'a.tif', strips_of(MAP), MAP.shape, utm, False, {})
    assert caught.value.errno == errno.EIO and caught.value.filename == str(tmp_path / 'a.tif')
    assert not list(tmp_path.iterdir())
