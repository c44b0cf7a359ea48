"""Large files at a fraction of their size: as close to the whole as stated, small files untouched."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from xemap.datasets.transforms.geometry import average_areas
from xemap.errors import DataError
from xemap.raster.image_io import read_image, read_reduced
from xemap.raster.raster import ArrayRaster

rasterio = pytest.importorskip('rasterio')
pytestmark = pytest.mark.filterwarnings('ignore::rasterio.errors.NotGeoreferencedWarning')

TILED = dict(tiled=True, blockxsize=64, blockysize=64, compress='lzw')
COLORS = {1: 'minisblack', 3: 'rgb', 4: 'rgb'}


def texture(height: int, width: int, bands: int = 3, top: int = 255) -> np.ndarray:
    """Detail at every scale, down to single pixels; (height, width, bands), 0 .. top."""
    rng = np.random.default_rng(0)
    total = np.zeros((height, width, bands), np.float32)
    for step in (1, 4, 32):
        coarse = rng.random((-(-height // step), -(-width // step), bands), dtype=np.float32)
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR).reshape(total.shape)
    total -= total.min()
    return (total / total.max() * top).astype(np.uint8 if top < 256 else np.uint16)


def write_tiff(path: Path, array: np.ndarray, overviews: tuple[int, ...] = (), how: str = 'average', **options) -> None:
    height, width, bands = array.shape
    options = {'interleave': 'pixel', 'photometric': COLORS[bands], **options}
    shape = dict(width=width, height=height, count=bands, dtype=array.dtype)
    with rasterio.open(path, 'w', driver='GTiff', **shape, **options) as file:
        file.write(np.moveaxis(array, 2, 0))
    if overviews:
        with rasterio.open(path, 'r+') as file:
            file.build_overviews(overviews, rasterio.enums.Resampling[how])


def block_means(array: np.ndarray, factor: int) -> np.ndarray:
    """Mean of every factor x factor block, the plain way; the sides are multiples of the factor."""
    height, width, bands = array.shape
    blocks = array.reshape(height // factor, factor, width // factor, factor, bands).astype(np.float64)
    return blocks.mean(axis=(1, 3))


@pytest.mark.parametrize('layout', [{}, TILED, {**TILED, 'interleave': 'band'}, {'compress': 'deflate'}])
@pytest.mark.parametrize('bands', [1, 3, 4])
def test_block_means_of_every_layout(tmp_path, layout, bands):
    array = texture(640, 480, bands)
    write_tiff(tmp_path / 'a.tif', array, **layout)
    read, size, _ = read_reduced(tmp_path / 'a.tif', at_least=120)
    assert size == (640, 480) and read.shape == (160, 120, 3) and read.dtype == np.uint8
    expected = block_means(array, 4)[..., :3] if bands > 1 else np.repeat(block_means(array, 4), 3, axis=2)
    assert np.abs(read - expected).max() <= 0.5 + 1e-6  # rounded once


@pytest.mark.parametrize('at_least, factor', [(481, 1), (241, 1), (240, 2), (121, 2), (120, 4), (60, 8), (7, 8)])
def test_no_side_gets_shorter_than_asked_for(tmp_path, at_least, factor):
    array = texture(640, 480)
    write_tiff(tmp_path / 'a.tif', array)
    cv2.imwrite(str(tmp_path / 'a.jpg'), array, [cv2.IMWRITE_JPEG_QUALITY, 95])
    for name in ('a.tif', 'a.jpg'):
        read, size, _ = read_reduced(tmp_path / name, at_least=at_least)
        assert read.shape == (640 // factor, 480 // factor, 3) and size == (640, 480)
        if factor == 1:
            np.testing.assert_array_equal(read, read_image(tmp_path / name))


@pytest.mark.parametrize('suffix', ['jpg', 'tif'])
@pytest.mark.parametrize('sides', [(640, 480), (643, 517)])
def test_after_the_resize_hardly_a_difference(tmp_path, suffix, sides):
    """At twice the target, reduced and whole differ less than two filters of the same resize."""
    array = texture(*sides)
    path = tmp_path / f'a.{suffix}'
    if suffix == 'jpg':
        cv2.imwrite(str(path), array[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    else:
        write_tiff(path, array)
    whole = read_image(path)
    expected = cv2.resize(whole, (60, 60), interpolation=cv2.INTER_AREA).astype(int)
    other_filter = np.array(Image.fromarray(whole).resize((60, 60), Image.Resampling.BILINEAR))
    reduced, _, extent = read_reduced(path, at_least=120)
    assert max(reduced.shape) <= 170
    difference = np.abs(average_areas(reduced, extent, (60, 60)) - expected).mean()
    assert difference < np.abs(other_filter - expected).mean()


def test_cut_blocks_at_the_edge_are_no_darker(tmp_path):
    array = np.full((403, 501, 3), 200, np.uint8)
    write_tiff(tmp_path / 'a.tif', array)
    read = read_image(tmp_path / 'a.tif', at_least=50)
    assert read.shape == (51, 63, 3) and (read == 200).all()


@pytest.mark.parametrize('how, tolerance', [('average', 1.0), ('nearest', 40.0)])
def test_overviews_take_the_place_of_the_full_image(tmp_path, how, tolerance):
    array = texture(640, 640)
    write_tiff(tmp_path / 'a.tif', array, (2, 4, 8), how, **TILED)
    read = read_image(tmp_path / 'a.tif', at_least=80)
    assert read.shape == (80, 80, 3)
    assert np.abs(read - block_means(array, 8)).mean() < tolerance
    # The full image overwritten, its overviews not: only who reads these does not notice.
    with rasterio.open(tmp_path / 'a.tif', 'r+') as file:
        file.write(np.zeros((3, 640, 640), np.uint8))
    np.testing.assert_array_equal(read_image(tmp_path / 'a.tif', at_least=80), read)
    assert not read_image(tmp_path / 'a.tif', at_least=320).any()  # no overview is twice as large


def test_overviews_beside_the_file_and_of_odd_steps(tmp_path):
    array = texture(700, 700)
    write_tiff(tmp_path / 'a.tif', array, **TILED)
    with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(tmp_path / 'a.tif', 'r+') as file:
        file.build_overviews([3, 7], rasterio.enums.Resampling.average)
    assert (tmp_path / 'a.tif.ovr').is_file()
    read = read_image(tmp_path / 'a.tif', at_least=80)
    assert read.shape == (88, 88, 3)
    assert np.abs(read - cv2.resize(array, (88, 88), interpolation=cv2.INTER_AREA).astype(int)).mean() < 3
    with rasterio.open(tmp_path / 'a.tif', 'r+') as file:
        file.write(np.zeros((3, 700, 700), np.uint8))
    np.testing.assert_array_equal(read_image(tmp_path / 'a.tif', at_least=80), read)  # the first, 234 x 234
    assert not read_image(tmp_path / 'a.tif', at_least=175).any()  # which is not twice 175


def test_16_bits_are_stretched_by_the_percentiles_of_pixels_not_of_averages(tmp_path):
    array = texture(640, 640, 3, 40_000)
    write_tiff(tmp_path / 'a.tif', array)
    whole = read_image(tmp_path / 'a.tif')
    reduced = read_image(tmp_path / 'a.tif', at_least=160)
    difference = np.abs(reduced - block_means(whole, 4))
    assert difference.mean() < 2  # clipped after averaging, not before
    averages = np.round(block_means(array, 4)).astype(np.uint16)
    assert np.abs(ArrayRaster(averages).read().rgb - block_means(whole, 4)).mean() > 10


def test_kinds_that_are_decoded_whole(tmp_path):
    small = cv2.resize(texture(64, 64), (320, 320))
    Image.fromarray(small).quantize(16).save(tmp_path / 'palette.tif')
    Image.fromarray(small[..., 0] > 99).save(tmp_path / 'bits.tif')
    Image.fromarray(small).save(tmp_path / 'plain.png')
    for name in ('palette.tif', 'bits.tif', 'plain.png'):
        with Image.open(tmp_path / name) as image:
            whole = np.array(image.convert('RGB'))
        np.testing.assert_array_equal(read_image(tmp_path / name, at_least=40), whole)


def test_gray_of_few_bits_inverted_and_turned(tmp_path):
    small = cv2.resize(texture(64, 64), (320, 320))
    write_tiff(tmp_path / 'inverted.tif', small[..., :1], photometric='miniswhite')
    write_tiff(tmp_path / 'nibbles.tif', small[..., :1] // 16, nbits=4)
    Image.fromarray(small).save(tmp_path / 'turned.tif', tiffinfo={274: 6})
    expected = {'inverted': 255 - small[..., :1], 'nibbles': small[..., :1] // 16 * 17, 'turned': small}
    for name, pixels in expected.items():
        np.testing.assert_array_equal(read_image(tmp_path / f'{name}.tif'), np.broadcast_to(pixels, small.shape))
        reduced = read_image(tmp_path / f'{name}.tif', at_least=40)
        assert np.abs(reduced - block_means(np.broadcast_to(pixels, small.shape), 8)).max() <= 9


def test_uncompressed_ycbcr(tmp_path):
    smooth = cv2.GaussianBlur(texture(320, 320), (9, 9), 0)
    Image.fromarray(smooth).convert('YCbCr').save(tmp_path / 'ycbcr.tif')
    assert np.abs(read_image(tmp_path / 'ycbcr.tif').astype(int) - smooth).max() <= 3
    assert np.abs(read_image(tmp_path / 'ycbcr.tif', at_least=40) - block_means(smooth, 8)).max() <= 3


def test_one_strip_and_jpeg_inside(tmp_path):
    array = cv2.GaussianBlur(texture(320, 320), (9, 9), 0)
    write_tiff(tmp_path / 'strip.tif', array, compress='lzw', blockysize=320)
    write_tiff(tmp_path / 'jpeg.tif', array, **{**TILED, 'compress': 'jpeg'}, photometric='ycbcr', jpeg_quality=95)
    for name in ('strip.tif', 'jpeg.tif'):
        read = read_image(tmp_path / name, at_least=80)
        assert read.shape == (80, 80, 3)
        assert np.abs(read - block_means(array, 4)).mean() < 2


@pytest.mark.parametrize('suffix', ['.tif', '.jpg'])
@pytest.mark.parametrize('share', [0.3, 0.9])
def test_truncated_files_are_found_at_a_fraction_too(tmp_path, suffix, share):
    path = tmp_path / f'a{suffix}'
    if suffix == '.tif':
        write_tiff(path, texture(640, 640), compress='lzw')
    else:
        cv2.imwrite(str(path), texture(640, 640))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(DataError, match=r'image .*truncated or no known image'):
        read_image(path, at_least=80)
