from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from xemap.errors import ConfigError, DataError
from xemap.raster.image_io import read_image
from xemap.raster.raster import ArrayRaster
from xemap.raster.raster_file import open_raster

RGB = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)


@pytest.fixture
def rasterio():
    return pytest.importorskip('rasterio', reason='georeferenced files need rasterio, the extra "geo"')


@pytest.fixture
def tif(rasterio, tmp_path):
    """``tif(bands (C, H, W), nodata=…)`` writes a placed GeoTIFF."""

    def write(bands, name='a.tif', masks=None, colormap=None, interpretation=None, **profile):
        profile = {'crs': 'EPSG:32616', 'transform': rasterio.Affine(0.5, 0, 700000, 0, -0.5, 3800000), **profile}
        count, height, width = bands.shape
        path = tmp_path / name
        with rasterio.open(
            path, 'w', driver='GTiff', dtype=bands.dtype, count=count, height=height, width=width, **profile
        ) as dataset:
            dataset.write(bands)
            if masks is not None:
                dataset.write_mask(masks)
            if colormap:
                dataset.write_colormap(1, colormap)
            if interpretation:
                dataset.colorinterp = [rasterio.enums.ColorInterp[kind] for kind in interpretation]
        return path

    return write


def test_8_bits_are_taken_as_they_are(tif):
    with open_raster(tif(np.moveaxis(RGB, 2, 0))) as raster:
        assert raster.size == (30, 40) and raster.limits is None and not raster.masked
        pixels = raster.read()
        assert np.array_equal(pixels.rgb, RGB) and pixels.valid is None and raster.valid(0, 5) is None
        assert np.array_equal(raster.read((5, 6, 25, 20)).rgb, RGB[6:20, 5:25])
        small = raster.read((0, 0, 40, 30), (15, 20)).rgb.astype(float)
        assert np.abs(small - RGB.reshape(15, 2, 20, 2, 3).mean((1, 3))).max() <= 0.51


def test_16_bits_are_stretched_as_in_training(tif):
    bands = np.random.default_rng(1).integers(0, 5000, (3, 50, 60), dtype=np.uint16)
    path = tif(bands, interleave='pixel', photometric='RGB')
    with open_raster(path) as raster:
        assert np.array_equal(raster.read().rgb, read_image(path))
        low = np.sort(bands[0], None)[int(np.ceil(0.02 * 3000)) - 1]
        assert raster.limits[0][0] == low
    with open_raster(path, stretch=(0, 100)) as raster:
        assert raster.limits == [(band.min(), band.max()) for band in bands]
        assert raster.read().rgb.min() == 0 and raster.read().rgb.max() == 255


@pytest.mark.parametrize('dtype', ['float32', 'float64', 'int16', 'uint32'])
def test_other_types_are_stretched_linearly(tif, dtype):
    ramp = np.linspace(100, 900, 1200).reshape(1, 30, 40).astype(dtype)
    with open_raster(tif(ramp), stretch=(0, 100)) as raster:
        gray = raster.read().rgb[..., 0].astype(float)
    assert np.abs(gray - (ramp[0].astype(float) - 100) / 800 * 255).max() <= 0.51


def test_bands_of_eight(tif):
    bands = np.stack([np.full((4, 5), i, np.uint8) for i in range(1, 9)])
    path = tif(bands)
    for bands_option, seen in ((None, (1, 2, 3)), ([5, 3, 2], (5, 3, 2)), ([8], (8, 8, 8))):
        with open_raster(path, bands_option) as raster:
            assert tuple(raster.read().rgb[0, 0]) == seen
    for bands_option in ([9], [0, 1, 2], [1, 2]):
        with pytest.raises(ConfigError, match='which has 8'):
            open_raster(path, bands_option)


def test_bands_called_red_green_blue_are_found(tif):
    bands = np.stack([np.full((4, 5), i, np.uint8) for i in range(1, 5)])
    path = tif(bands, interpretation=['blue', 'green', 'red', 'undefined'])
    with open_raster(path) as raster:
        assert tuple(raster.read().rgb[0, 0]) == (3, 2, 1)


def test_nodata_is_masked_and_left_out_of_the_percentiles(tif):
    band = np.full((1, 20, 20), 1000, np.uint16)
    band[0, :10] = np.arange(200).reshape(10, 20) + 2000
    band[0, 15:] = 0
    with open_raster(tif(band, nodata=0)) as raster:
        assert raster.masked and raster.limits[0][0] == 1000
        pixels = raster.read()
        assert np.array_equal(pixels.valid, band[0] > 0) and not pixels.rgb[15:].any()
        assert np.array_equal(raster.valid(14, 16), [[True] * 20, [False] * 20])
        assert raster.read((0, 15, 20, 20)).empty and not raster.read((0, 14, 20, 20)).empty


def test_a_pixel_has_data_if_one_band_has(tif):
    bands = np.zeros((3, 2, 2), np.uint8)
    bands[1, 0, 0] = 9
    with open_raster(tif(bands, nodata=0)) as raster:
        assert raster.valid(0, 2).tolist() == raster.read().valid.tolist() == [[True, False], [False, False]]


def test_alpha_nan_and_mask_bands(tif):
    bands = np.concatenate([np.moveaxis(RGB, 2, 0), np.full((1, 30, 40), 255, np.uint8)])
    bands[3, :, :7] = 0
    hidden = np.broadcast_to(np.arange(40) >= 7, (30, 40))
    with open_raster(tif(bands, photometric='RGB', alpha='YES')) as raster:
        assert raster.bands == (1, 2, 3) and np.array_equal(raster.read().valid, hidden)
        assert not raster.read().rgb[:, :7].any()
    floats = np.random.default_rng(0).random((1, 30, 40)).astype(np.float32)
    floats[0, :, :7] = np.nan
    with open_raster(tif(floats)) as raster:
        assert np.array_equal(raster.valid(0, 30), hidden) and np.array_equal(raster.read().valid, hidden)
    with open_raster(tif(bands[:3], masks=hidden)) as raster:
        assert np.array_equal(raster.valid(0, 30), hidden)


def test_all_nodata_is_no_error(tif):
    with open_raster(tif(np.zeros((1, 5, 6), np.uint16), nodata=0)) as raster:
        assert raster.read().empty


def test_palette(tif):
    index = np.array([[[0, 1], [2, 1]]], np.uint8)
    colors = {0: (10, 20, 30, 255), 1: (40, 50, 60, 255), 2: (70, 80, 90, 255)}
    with open_raster(tif(index, colormap=colors)) as raster:
        assert raster.read().rgb.tolist() == [[[10, 20, 30], [40, 50, 60]], [[70, 80, 90], [40, 50, 60]]]


def test_open_dataset_stays_open(tif, rasterio):
    with rasterio.open(tif(np.moveaxis(RGB, 2, 0))) as dataset:
        with open_raster(dataset) as raster:
            assert np.array_equal(raster.read().rgb, RGB)
        assert not dataset.closed


def test_plain_images_and_their_transparency(tmp_path):
    Image.fromarray(RGB).save(tmp_path / 'a.png')
    with open_raster(tmp_path / 'a.png') as raster:
        assert np.array_equal(raster.read().rgb, RGB) and raster.georeference.transform is None
    alpha = np.where(np.arange(40) < 9, 0, 255).astype(np.uint8) * np.ones((30, 1), np.uint8)
    Image.fromarray(np.dstack([RGB, alpha])).save(tmp_path / 'b.png')
    with open_raster(str(tmp_path / 'b.png')) as raster:
        assert np.array_equal(raster.read().valid, alpha > 0) and not raster.read().rgb[:, :9].any()


def test_percentiles_of_plain_images(tmp_path):
    Image.fromarray(RGB // 4 + 50).save(tmp_path / 'a.png')
    with open_raster(tmp_path / 'a.png', stretch=(0, 100)) as raster:
        assert raster.limits == [(50, 113)] * 3 and raster.read().rgb.max() == 255
    wide = np.arange(1200, dtype=np.uint16).reshape(30, 40) * 50
    Image.fromarray(wide).save(tmp_path / 'b.png')
    with open_raster(tmp_path / 'b.png', stretch=(0, 100)) as raster:
        assert np.array_equal(raster.read().rgb, read_image(tmp_path / 'b.png', (0, 100)))


def test_world_file_beside_a_jpeg(tmp_path, rasterio):
    Image.fromarray(RGB).save(tmp_path / 'a.jpg')
    (tmp_path / 'a.jgw').write_text('0.5\n0\n0\n-0.5\n1000.25\n1999.75\n')
    with open_raster(tmp_path / 'a.jpg') as raster:
        assert tuple(raster.georeference.transform)[:6] == (0.5, 0, 1000, 0, -0.5, 2000)
        assert raster.georeference.problem == 'unknown CRS'


@pytest.mark.parametrize('shape', [(30, 40), (30, 40, 1), (30, 40, 3), (30, 40, 8)])
def test_arrays(shape):
    array = np.random.default_rng(0).random(shape)
    array[3, 4] = np.nan
    with open_raster(array, stretch=(0, 100)) as raster:
        pixels = raster.read((2, 2, 12, 12))
    assert pixels.rgb.shape == (10, 10, 3) and not pixels.valid[1, 2] and pixels.valid.sum() == 99
    assert np.array_equal(open_raster(RGB).read((0, 0, 40, 30), (30, 40)).rgb, RGB)


def test_what_is_no_image(tmp_path, rasterio, tif):
    for name in ('a.tif', 'a.png'):
        (tmp_path / name).write_text('no image')
        with pytest.raises(DataError, match=name):
            open_raster(tmp_path / name)
    with pytest.raises(DataError, match='does not exist'):
        open_raster(tmp_path / 'none.tif')
    (tmp_path / 'none.vrt').write_text('<VRTDataset rasterXSize="5" rasterYSize="4"></VRTDataset>')
    with pytest.raises(DataError, match='none.vrt is truncated or no known image'):
        open_raster(tmp_path / 'none.vrt')
    with pytest.raises(DataError, match='empty has no bands'):
        open_raster(SimpleNamespace(name='empty', count=0, subdatasets=[]))
    with pytest.raises(DataError, match='box holds 2 images, the first a:1'):
        open_raster(SimpleNamespace(name='box', count=0, subdatasets=['a:1', 'a:2']))
    with pytest.raises(DataError, match='no bands'):
        open_raster(np.zeros((4, 5, 0)))
    with pytest.raises(DataError, match='complex'):
        open_raster(np.zeros((4, 5), complex))
    with pytest.raises(DataError, match='shape'):
        open_raster(np.zeros(4))
    with pytest.raises(DataError, match='at least one'):
        open_raster(np.zeros((0, 4)))
    with pytest.raises(ConfigError, match='percentiles'):
        open_raster(RGB, stretch=(98, 2))
    broken = tif(np.random.default_rng(0).integers(0, 255, (3, 200, 200), dtype=np.uint8), name='b.tif')
    broken.write_bytes(broken.read_bytes()[:60_000])
    with pytest.raises(DataError, match='b.tif is truncated'), open_raster(broken) as raster:
        raster.read()


def test_large_images_are_sampled_for_the_percentiles():
    array = np.random.default_rng(0).normal(1000, 100, (200, 300))
    whole, sampled = (ArrayRaster(array, stretch=(10, 90)) for _ in range(2))
    sampled.sample_pixels = 400
    assert sampled.limits[0] == pytest.approx(np.percentile(array, [10, 90]), abs=40)
    assert sampled.limits != whole.limits and whole.limits[0] == pytest.approx(np.percentile(array, [10, 90]), abs=0.1)
