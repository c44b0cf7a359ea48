from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from xemap.errors import DataError
from xemap.preparation.converters.images import check_whole, relative_name
from xemap.raster.image_io import image_size
from xemap.raster.plain_image import open_image


def test_size_is_height_width(tmp_path, save_image):
    assert image_size(save_image(tmp_path / 'a.png', (31, 17))) == (31, 17)


def test_size_needs_no_pixels(tmp_path, save_image):
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    path = save_image(tmp_path / 'a.jpg', pixels=noise)
    path.write_bytes(path.read_bytes()[:1500])
    assert image_size(path) == (200, 300)
    with pytest.raises(DataError, match='truncated'), open_image(path) as image:
        image.load()


def test_huge_image_is_no_attack(tmp_path, recwarn):
    path = tmp_path / 'huge.png'
    Image.new('1', (20000, 10000)).save(path)
    assert image_size(path) == (10000, 20000)
    assert not recwarn.list


def test_missing_and_unreadable(tmp_path):
    with pytest.raises(DataError, match='no.jpg does not exist'):
        image_size(tmp_path / 'no.jpg')
    for name in ('text.jpg', 'text.tif'):
        (tmp_path / name).write_text('no image')
        with pytest.raises(DataError, match=f'{name} is truncated or no known image'):
            image_size(tmp_path / name)


def test_real_geotiffs(shared_dir):
    for path in sorted((shared_dir / 'data/spacenet_sample').glob('*.tif')):
        assert min(image_size(path)) > 0
    assert image_size(shared_dir / 'data/spacenet_sample/sample_geotiff.tif') == (900, 900)


@pytest.mark.parametrize('name', ['a.jpg', 'a.png', 'a.tif', 'a.webp'])
def test_files_that_were_cut_off(tmp_path, save_image, name):
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    path = save_image(tmp_path / name, pixels=noise)
    content = path.read_bytes()
    check_whole(path)
    path.write_bytes(content + b'\0' * 20)  # other bytes behind the end harm nobody
    check_whole(path)
    for length in (len(content) * 2 // 3, 1500):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match='truncated'):
            check_whole(path)


def test_names_are_relative_to_the_root(tmp_path):
    assert relative_name(tmp_path / 'x/../images/a.jpg', tmp_path) == 'images/a.jpg'
    for outside in (tmp_path / '../a.jpg', tmp_path.with_name(tmp_path.name + '2') / 'a.jpg'):
        with pytest.raises(DataError, match='not below --data-root'):
            relative_name(outside, tmp_path)
