from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from xemap.errors import ConfigError, DataError
from xemap.preparation.converters.crops import CropWriter, crop_windows


@pytest.fixture
def tile(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (70, 100, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'tile.tif')
    return tmp_path / 'tile.tif', pixels


def test_table_1():
    windows = crop_windows(5000, 5000, 512)
    assert len(windows) == 81 and windows[:2] == [(0, 0, 512, 512), (512, 0, 1024, 512)]
    assert windows[9] == (0, 512, 512, 1024) and windows[-1] == (4096, 4096, 4608, 4608)
    covering = crop_windows(5000, 5000, 512, cover=True)
    assert len(covering) == 100 and covering[-1] == (4488, 4488, 5000, 5000)


def test_small_images():
    assert crop_windows(511, 600, 512) == []
    assert crop_windows(300, 600, 512, cover=True) == [(0, 0, 300, 512), (0, 88, 300, 600)]
    assert crop_windows(512, 512, 512, cover=True) == crop_windows(512, 512, 512) == [(0, 0, 512, 512)]


@pytest.mark.parametrize('options', [{'size': 0}, {'size': 8, 'stride': 0}])
def test_faulty_sizes(options):
    with pytest.raises(ConfigError, match='both must be at least 1'):
        crop_windows(100, 100, **options)


@given(
    width=st.integers(1, 60),
    height=st.integers(1, 60),
    size=st.integers(1, 30),
    stride=st.none() | st.integers(1, 30),
    cover=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_windows_against_every_pixel(width, height, size, stride, cover):
    windows = crop_windows(width, height, size, stride, cover)
    step = stride or size
    hits = np.zeros((height, width), int)
    for x0, y0, x1, y1 in windows:
        assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
        if cover:
            assert (x1 - x0, y1 - y0) == (min(size, width), min(size, height))
        else:
            assert (x1 - x0, y1 - y0) == (size, size) and x0 % step == y0 % step == 0
        hits[y0:y1, x0:x1] += 1
    assert len(set(windows)) == len(windows) and windows == sorted(windows, key=lambda window: (window[1], window[0]))
    if stride is None and not cover:
        assert len(windows) == (width // size) * (height // size)
    if cover and step <= size:
        assert hits.all()
    if stride is None and not cover:
        assert (hits[: height // size * size, : width // size * size] == 1).all() and hits.max() <= 1


def test_crops_are_the_tiles_pixels_which_are_decoded_once(tmp_path, tile):
    path, pixels = tile
    writer = CropWriter(tmp_path / 'crops/x', 32)
    for x0, y0, x1, y1 in crop_windows(100, 70, 32):
        crop = writer.write(path, (x0, y0, x1, y1))
        assert crop == tmp_path / f'crops/x/tile_{x0}_{y0}.png' and crop.name == writer.name(path, (x0, y0, x1, y1))
        np.testing.assert_array_equal(np.array(Image.open(crop)), pixels[y0:y1, x0:x1])
        path.unlink(missing_ok=True)
    assert len(list((tmp_path / 'crops/x').iterdir())) == 6


def test_crops_that_are_there_stay(tmp_path, tile):
    path, pixels = tile
    window = (32, 0, 64, 32)
    first = CropWriter(tmp_path / 'crops', 32).write(path, window)
    before = first.stat().st_mtime_ns
    path.unlink()
    assert CropWriter(tmp_path / 'crops', 32).write(path, window) == first
    assert first.stat().st_mtime_ns == before


@pytest.mark.parametrize('damage', [b'', b'no image', None])
def test_crops_that_are_damaged_or_of_another_size_are_replaced(tmp_path, tile, damage):
    path, pixels = tile
    (tmp_path / 'crops').mkdir()
    if damage is None:
        Image.new('RGB', (16, 16)).save(tmp_path / 'crops/tile_32_0.png')
    else:
        (tmp_path / 'crops/tile_32_0.png').write_bytes(damage)
    crop = CropWriter(tmp_path / 'crops', 32).write(path, (32, 0, 64, 32))
    np.testing.assert_array_equal(np.array(Image.open(crop)), pixels[:32, 32:64])


def test_only_one_image_is_kept(tmp_path, tile):
    path, pixels = tile
    other = tmp_path / 'other.png'
    Image.fromarray(pixels[::-1].copy()).save(other)
    writer = CropWriter(tmp_path / 'crops', 32)
    writer.write(path, (0, 0, 32, 32))
    crop = writer.write(other, (0, 0, 32, 32))
    np.testing.assert_array_equal(np.array(Image.open(crop)), pixels[::-1][:32, :32])
    path.unlink()
    with pytest.raises(DataError, match='does not exist'):
        writer.write(path, (32, 32, 64, 64))


def test_rgba_and_gray_become_rgb(tmp_path):
    gray = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64).astype(np.uint8)
    for mode in ('L', 'RGBA'):
        Image.fromarray(gray).convert(mode).save(tmp_path / f'{mode}.png')
        crop = CropWriter(tmp_path, 32).write(tmp_path / f'{mode}.png', (0, 32, 32, 64))
        with Image.open(crop) as image:
            assert image.mode == 'RGB'
            np.testing.assert_array_equal(np.array(image)[..., 1], gray[32:, :32])


def test_a_failure_leaves_no_file(tmp_path, tile, monkeypatch):
    def fail(self, path, **options):
        path.write_bytes(b'half')
        raise OSError('disk full')

    monkeypatch.setattr(Image.Image, 'save', fail)
    with pytest.raises(OSError, match='disk full'):
        CropWriter(tmp_path / 'crops', 32).write(tile[0], (0, 0, 32, 32))
    assert list((tmp_path / 'crops').iterdir()) == []


def test_errors(tmp_path, tile):
    writer = CropWriter(tmp_path / 'crops', 32)
    with pytest.raises(DataError, match=r'crop \(80, 0, 112, 32\) of .*tile.tif, which is 100 x 70 pixels'):
        writer.write(tile[0], (80, 0, 112, 32))
    with pytest.raises(DataError, match='nowhere.tif does not exist'):
        writer.write(tmp_path / 'nowhere.tif', (0, 0, 32, 32))
    with pytest.raises(ConfigError, match='crops of 0 pixels'):
        CropWriter(tmp_path, 0)
