"""Every pixel type that can be met becomes 8-bit RGB, and broken files are named."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from xemap.datasets.transforms import LoadImage, ResizeImage
from xemap.errors import ConfigError, DataError
from xemap.raster.image_io import read_image
from xemap.raster.plain_image import open_image


@pytest.fixture
def rgb() -> np.ndarray:
    small = np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return cv2.resize(small, (45, 31), interpolation=cv2.INTER_LINEAR)


@pytest.mark.parametrize('suffix', ['.png', '.tif', '.bmp'])
def test_rgb_order(tmp_path, rgb, suffix) -> None:
    cv2.imwrite(str(tmp_path / f'a{suffix}'), rgb[..., ::-1])
    np.testing.assert_array_equal(read_image(tmp_path / f'a{suffix}'), rgb)


def test_jpeg(tmp_path, rgb) -> None:
    cv2.imwrite(str(tmp_path / 'a.jpg'), rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])
    assert np.abs(read_image(tmp_path / 'a.jpg').astype(int) - rgb).mean() < 6


@pytest.mark.parametrize('at_least, size', [(10, (100, 75)), (75, (100, 75)), (76, (200, 150)), (400, (800, 600))])
def test_large_jpeg_is_decoded_at_a_fraction(tmp_path, rgb, at_least, size) -> None:
    large = cv2.resize(rgb, (800, 600))
    cv2.imwrite(str(tmp_path / 'a.jpg'), large[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])
    read = read_image(tmp_path / 'a.jpg', at_least=at_least)
    assert read.shape == (*size[::-1], 3)
    assert np.abs(read.astype(int) - cv2.resize(large, size, interpolation=cv2.INTER_AREA)).mean() < 3
    cv2.imwrite(str(tmp_path / 'a.png'), large[..., ::-1])
    np.testing.assert_array_equal(read_image(tmp_path / 'a.png', at_least=at_least), large)


@pytest.mark.parametrize('suffix', ['.png', '.tif'])
def test_alpha_is_dropped_not_blended(tmp_path, rgb, suffix) -> None:
    alpha = np.random.default_rng(1).integers(0, 256, (31, 45, 1), dtype=np.uint8)
    Image.fromarray(np.concatenate([rgb, alpha], axis=2)).save(tmp_path / f'a{suffix}')
    assert 0 < (alpha == 0).sum() < 50  # where nothing can be seen there is no data
    np.testing.assert_array_equal(read_image(tmp_path / f'a{suffix}'), np.where(alpha > 0, rgb, 0))


def test_gray_with_and_without_alpha(tmp_path, rgb) -> None:
    gray = rgb[..., 0]
    Image.fromarray(gray).save(tmp_path / 'gray.png')
    Image.fromarray(np.stack([gray, np.full_like(gray, 9)], axis=2)).save(tmp_path / 'gray_alpha.png')
    for name in ('gray.png', 'gray_alpha.png'):
        np.testing.assert_array_equal(read_image(tmp_path / name), np.repeat(gray[..., None], 3, axis=2))


def test_palette_and_one_bit(tmp_path, rgb) -> None:
    palette = Image.fromarray(rgb).quantize(16)
    palette.save(tmp_path / 'palette.png', bits=4)
    np.testing.assert_array_equal(read_image(tmp_path / 'palette.png'), np.array(palette.convert('RGB')))
    Image.fromarray(rgb[..., 0] > 99).save(tmp_path / 'bits.png')
    np.testing.assert_array_equal(read_image(tmp_path / 'bits.png')[..., 1], (rgb[..., 0] > 99) * 255)


def reference_stretch(band: np.ndarray, percentiles: tuple[float, float]) -> np.ndarray:
    """Smallest values that at least the given shares of the pixels do not exceed become 0 and 255."""
    ordered = np.sort(band.ravel())
    low, high = (int(ordered[max(int(np.ceil(p / 100 * band.size)) - 1, 0)]) for p in percentiles)
    return np.round((band.astype(float) - low) * 255 / max(high - low, 1)).clip(0, 255)


@pytest.mark.parametrize('percentiles', [(2, 98), (0, 100), (10, 60.5)])
@pytest.mark.parametrize('bands', [1, 3, 4])
@pytest.mark.parametrize('suffix', ['.png', '.tif'])
def test_16_bits_are_stretched_band_by_band(tmp_path, percentiles, bands, suffix) -> None:
    rng = np.random.default_rng(2)
    image = rng.gamma(2, [300, 900, 5000, 9000][:bands], (40, 50, bands)).clip(0, 65535).astype(np.uint16)
    stored = image if bands == 1 else image[..., [2, 1, 0, 3][:bands]]
    cv2.imwrite(str(tmp_path / f'a{suffix}'), stored)
    read = read_image(tmp_path / f'a{suffix}', percentiles)
    assert read.shape == (40, 50, 3) and read.dtype == np.uint8
    for k in range(3):
        np.testing.assert_array_equal(read[..., k], reference_stretch(image[..., min(k, bands - 1)], percentiles))


def test_constant_16_bit_image(tmp_path) -> None:
    cv2.imwrite(str(tmp_path / 'a.png'), np.full((5, 5), 777, np.uint16))
    assert (read_image(tmp_path / 'a.png') == 0).all()


def test_real_16_bit_geotiff(shared_dir, capfd) -> None:
    image = read_image(shared_dir / 'data/spacenet_sample/sample_geotiff.tif')
    assert image.shape == (900, 900, 3)
    assert 0.005 < (image == 0).mean() < 0.03 and 0.005 < (image == 255).mean() < 0.03 and 60 < image.mean() < 170
    assert capfd.readouterr().err == ''  # no line about every GeoTIFF tag


@pytest.mark.filterwarnings('ignore:Corrupt EXIF data', 'ignore:Truncated File Read')  # Pillow's, before it raises
@pytest.mark.parametrize('share', [0, 0.05, 0.5, 0.97])
@pytest.mark.parametrize(
    'suffix, dtype',
    [('.jpg', np.uint8), ('.png', np.uint8), ('.tif', np.uint8), ('.png', np.uint16), ('.tif', np.uint16)],
)
def test_truncated(tmp_path, rgb, share, suffix, dtype) -> None:
    path = tmp_path / f'a{suffix}'
    cv2.imwrite(str(path), rgb.astype(dtype))
    read_image(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(DataError, match=r'image .*truncated or no known image'):
        read_image(path)


def test_no_image_and_missing(tmp_path) -> None:
    (tmp_path / 'a.png').write_text('hello')
    with pytest.raises(DataError, match=r'a\.png is truncated or no known image.*copy it again'):
        read_image(tmp_path / 'a.png')
    with pytest.raises(DataError, match=r'b\.png does not exist; check data_root'):
        read_image(tmp_path / 'b.png')


@pytest.mark.parametrize('dtype', [np.float32, np.int32])
def test_other_pixel_types_are_stretched(tmp_path, dtype) -> None:
    ramp = np.arange(1200).reshape(30, 40).astype(dtype) * 3 - 700
    Image.fromarray(ramp).save(tmp_path / 'a.tif')
    read = read_image(tmp_path / 'a.tif', (0, 100))
    assert np.abs(read[..., 1] - np.arange(1200).reshape(30, 40) / 1199 * 255).max() <= 0.51


def test_large_images_are_no_bomb_but_have_a_limit(tmp_path, rgb, monkeypatch, recwarn) -> None:
    Image.fromarray(rgb).save(tmp_path / 'large.png')
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)  # Pillow alone would warn or refuse
    assert read_image(tmp_path / 'large.png').shape == rgb.shape
    assert not recwarn.list and Image.MAX_IMAGE_PIXELS == 1000
    with (
        pytest.raises(DataError, match=r'large\.png declares 45 x 31 pixels, more than'),
        open_image(tmp_path / 'large.png', max_pixels=500),
    ):
        pass


def test_exif_orientation_is_not_applied(tmp_path, rgb) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(rgb).save(tmp_path / 'a.png', exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / 'a.png'), rgb)


class TestTransform:
    def test_checks_the_annotated_size(self, tmp_path: Path, rgb) -> None:
        Image.fromarray(rgb).save(tmp_path / 'a.png')
        results = LoadImage()({'img_path': str(tmp_path / 'a.png'), 'ori_shape': (31, 45)})
        assert results['img_shape'] == results['ori_shape'] == (31, 45) == results['img'].shape[:2]
        assert LoadImage()({'img_path': str(tmp_path / 'a.png')})['ori_shape'] == (31, 45)
        with pytest.raises(DataError, match=r'a\.png is 45 x 31 .* annotation says 31 x 45'):
            LoadImage()({'img_path': str(tmp_path / 'a.png'), 'ori_shape': (45, 31)})

    def test_a_fraction_of_a_large_image_keeps_the_file_s_size(self, tmp_path: Path, rgb) -> None:
        cv2.imwrite(str(tmp_path / 'a.jpg'), cv2.resize(rgb, (800, 600)))
        load, resize = LoadImage(at_least=140), ResizeImage((70, 70))
        results = load({'img_path': str(tmp_path / 'a.jpg'), 'ori_shape': (600, 800)})
        assert results['img'].shape == (150, 200, 3) and results['img_shape'] == (150, 200)
        assert results['ori_shape'] == (600, 800) and results['extent'] == (150, 200)
        assert 'extent' not in resize(results) and results['img'].shape == (70, 70, 3)
        with pytest.raises(DataError, match=r'a\.jpg is 800 x 600 .* annotation says 200 x 150'):
            load({'img_path': str(tmp_path / 'a.jpg'), 'ori_shape': (150, 200)})

    @pytest.mark.parametrize('suffix', ['jpg', 'tif'])
    @pytest.mark.parametrize('side', [1600, 1601, 1607])
    def test_a_fraction_shows_every_place_where_the_whole_does(self, tmp_path: Path, suffix, side) -> None:
        """A side that the fraction does not divide leaves a last pixel that stands for less."""
        if suffix == 'tif':
            pytest.importorskip('rasterio')
        smooth = np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)
        path = tmp_path / f'a.{suffix}'
        Image.fromarray(cv2.resize(smooth, (side, side - 3), interpolation=cv2.INTER_CUBIC)).save(path, quality=98)
        whole, reduced = (
            ResizeImage((64, 96))(LoadImage(at_least=at_least)({'img_path': str(path)}))['img'].astype(int)
            for at_least in (None, 192)
        )
        assert np.abs(whole - reduced).max() <= 2  # half a pixel at the far edge would be 8

    def test_whole_where_nothing_is_asked_for_or_to_be_gained(self, tmp_path: Path, rgb) -> None:
        cv2.imwrite(str(tmp_path / 'a.jpg'), cv2.resize(rgb, (800, 600)))
        whole = LoadImage()({'img_path': str(tmp_path / 'a.jpg')})
        same = LoadImage(at_least=301)({'img_path': str(tmp_path / 'a.jpg')})
        assert whole['img_shape'] == same['img_shape'] == (600, 800) and 'extent' not in whole | same
        np.testing.assert_array_equal(same['img'], whole['img'])

    def test_a_resize_that_wants_more_than_was_decoded(self, tmp_path: Path, rgb) -> None:
        cv2.imwrite(str(tmp_path / 'a.jpg'), cv2.resize(rgb, (800, 600)))
        results = LoadImage(at_least=140)({'img_path': str(tmp_path / 'a.jpg')})
        with pytest.raises(ConfigError, match=r'a\.jpg was decoded at 200 x 150 pixels.*set at_least .* to 320'):
            ResizeImage((100, 160)).transform(dict(results)) and ResizeImage((160, 150)).transform(results)
        small = LoadImage()({'img_path': str(tmp_path / 'a.jpg')})
        assert ResizeImage((900, 900))(small)['img'].shape == (900, 900, 3)

    @pytest.mark.parametrize('at_least', [0, -5])
    def test_bad_side(self, at_least) -> None:
        with pytest.raises(ConfigError, match='at_least'):
            LoadImage(at_least=at_least)

    @pytest.mark.parametrize('stretch', [(98, 2), (-1, 50), (0, 101), (5, 5)])
    def test_bad_stretch(self, stretch) -> None:
        with pytest.raises(ConfigError, match='stretch'):
            LoadImage(stretch)
