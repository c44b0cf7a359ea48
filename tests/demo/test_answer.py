from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.tools.small_run import write_run
from xemap.demo.answer import Answerer, shrink_hint
from xemap.demo.request import MAX_QUERIES, MODES, Request, read_queries, read_request
from xemap.demo.uploads import opened
from xemap.errors import ConfigError
from xemap.inference import XeMapInferencer

rasterio = pytest.importorskip('rasterio', reason='the page writes GeoTIFF: install the extra "geo"')
QUERIES = ('the green field', 'the meadow next to the river')


@pytest.fixture(scope='module')
def answerer(tmp_path_factory):
    config = write_run(tmp_path_factory.mktemp('run'))
    return Answerer(XeMapInferencer(str(config), None, 'cpu'), max_pixels=10_000)


def request(path, *queries, **options) -> Request:
    return Request(str(path), queries, **options)


def pixels(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3)).astype(np.uint8)


@pytest.fixture
def scene(tmp_path):
    """A georeferenced image whose left third has no data."""
    path = tmp_path / 'sce<n>e.tif'
    image = pixels(60, 90).clip(1)
    image[:, :30] = 0
    profile = dict(driver='GTiff', width=90, height=60, count=3, dtype='uint8', nodata=0, crs='EPSG:32633')
    with rasterio.open(path, 'w', transform=rasterio.transform.from_origin(5e5, 5e6, 2, 2), **profile) as dataset:
        dataset.write(image.transpose(2, 0, 1))
    return path


def test_answer_has_a_map_and_two_files_a_query(answerer, scene, tmp_path):
    answer = answerer.answer(request(scene, *QUERIES, threshold='q0.5'), tmp_path / 'out')
    assert answer.ok and re.findall('<h3>(.*?)</h3>', answer.html) == [
        'the green field',
        'the meadow next to the river',
    ]
    assert answer.html.count('class="xm-map"') == 2 and answer.html.count('class="xm-line"') == 2
    assert 'EPSG:32633' in answer.html
    assert [file.rpartition('.')[2] for file in answer.files] == ['tif', 'geojson'] * 2
    with rasterio.open(answer.files[0]) as dataset:
        assert dataset.crs.to_epsg() == 32633 and dataset.tags()['query'] == 'the green field'
        assert dataset.read(1, masked=True).mask[:, :30].all()
    features = json.loads(Path(answer.files[1]).read_text())['features']
    assert features and all(feature['properties']['image'] == 'sce<n>e.tif' for feature in features)


def test_parts_stand_beside_the_whole(answerer, scene, tmp_path):
    answer = answerer.answer(request(scene, *QUERIES, parts=True), tmp_path / 'out')
    assert re.findall('part: <b>(.*?)</b>', answer.html) == ['the meadow', 'the river']
    assert answer.html.count('class="xm-map"') == 4 and len(answer.files) == 4


def test_what_is_typed_is_text(answerer, scene, tmp_path):
    answer = answerer.answer(request(scene, '<script>alert(1)</script> & "x"'), tmp_path / 'out')
    assert answer.ok and '<script' not in answer.html and '&lt;script&gt;' in answer.html
    answer = answerer.preview(tmp_path / '<b>.gif')
    assert not answer.ok and '<b>' not in answer.html


def test_queries_are_lines_without_repeats():
    assert read_queries('a\n b \n\na') == ['a', 'b']


VALID = dict(path='a.png', text='the lake', mode='whole image', threshold='otsu', parts=False)


def test_what_a_client_sends_becomes_a_request():
    assert read_request(**VALID) == Request('a.png', ('the lake',), 'resize', 'otsu', False)
    assert read_request(**{**VALID, 'mode': list(MODES)[1], 'parts': True}).mode == 'tile'


@pytest.mark.parametrize(
    ('name', 'value', 'message'),
    [
        *(('text', value, 'the queries are no text') for value in (None, ['the lake'], 7, {}, 'the \ud800 lake')),
        ('text', ' \n', 'no query; type at least one'),
        ('text', '\n'.join(map(str, range(MAX_QUERIES + 1))), '13 queries; ask at most 12'),
        ('text', 'x' * 301, 'has 301 letters'),
        ('path', None, 'no image; choose a sample'),
        ('path', '', 'no image; choose a sample'),
        ('path', ['a.png'], 'the image is no single file'),
        *(('mode', value, 'what the model sees is unknown') for value in (None, ['whole image'], 'resize', {})),
        *(('threshold', value, 'no threshold') for value in (None, 0.5, ['otsu'], 'o' * 21, '\udcff')),
        *(('parts', value, 'neither true nor false') for value in (None, 1, 'yes', [])),
    ],
)
def test_what_no_page_sends_is_refused(name, value, message):
    with pytest.raises(ConfigError, match=message):
        read_request(**{**VALID, name: value})


def test_bad_threshold(answerer, scene, tmp_path):
    answer = answerer.answer(request(scene, 'a', threshold='half'), tmp_path)
    assert not answer.ok and 'threshold &quot;half&quot;' in answer.html and 'role="alert"' in answer.html


def test_an_image_that_is_shrunk_far_says_so(answerer, scene, tmp_path):
    message = 'The model saw this image of 90 × 60 pixels at 32 × 32; to find small objects choose tiles'
    assert message in answerer.answer(request(scene, 'a'), tmp_path / 'out').html
    assert 'The model saw' not in answerer.answer(request(scene, 'a', mode='tile'), tmp_path / 'out').html
    assert shrink_hint((64, 64), (32, 32)) is None and shrink_hint((64, 65), (32, 32)) and not shrink_hint((9, 9), None)


VRT = '<VRTDataset rasterXSize="4" rasterYSize="4"><VRTRasterBand dataType="Byte" band="1"/></VRTDataset>'


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('a.tif', b'II*\0garbage', 'a.tif is broken or no TIFF'),
        ('a.tif', VRT.encode(), 'a.tif is broken or no TIFF'),
        ('a.png', b'\x89PNG\r\n\x1a\n', 'a.png is broken or no PNG'),
        ('a.png', b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n', 'a.png is broken or no PNG'),
        ('a.jpg', b'', 'a.jpg is broken or no JPEG'),
        ('a.vrt', VRT.encode(), 'a.vrt is none of .tif, .tiff, .jpg'),
        ('a', b'', 'a is none of'),
    ],
)
def test_files_that_are_not_what_they_claim(answerer, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    answer = answerer.preview(tmp_path / name)
    assert not answer.ok and message in answer.html


@pytest.mark.parametrize(('suffix', 'message'), [('.png', 'truncated'), ('.tif', 'half.tif is truncated')])
def test_a_truncated_file_is_a_message_without_the_servers_folders(answerer, tmp_path, suffix, message):
    Image.fromarray(pixels(90, 90)).save(tmp_path / f'whole{suffix}')
    half = tmp_path / f'half{suffix}'
    half.write_bytes((tmp_path / f'whole{suffix}').read_bytes()[:5000])
    for answer in (answerer.preview(half), answerer.answer(request(half, 'a'), tmp_path / 'out')):
        assert not answer.ok and message in answer.html and 'Traceback' not in answer.html
        assert str(tmp_path) not in answer.html


@pytest.mark.parametrize('suffix', ['.tif', '.png'])
def test_too_many_pixels_are_refused_before_decoding(answerer, tmp_path, suffix):
    path = tmp_path / f'large{suffix}'
    Image.fromarray(pixels(101, 100)).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    for answer in (answerer.preview(path), answerer.answer(request(path, 'a'), tmp_path / 'out')):
        assert not answer.ok and '100 x 101 pixels, more than the 0.01 million' in answer.html
    with opened(path, 10_100) as source:
        assert source is not None


def test_too_many_bands_are_refused(answerer, tmp_path):
    path = tmp_path / 'cube.tif'
    with rasterio.open(path, 'w', driver='GTiff', width=9, height=9, count=17, dtype='uint8') as dataset:
        dataset.write(np.ones((17, 9, 9), np.uint8))
    assert 'has 17 bands, more than 16' in answerer.preview(path).html


def test_tiles_report_progress(answerer, scene, tmp_path):
    seen = []
    answer = answerer.answer(request(scene, 'a', mode='tile'), tmp_path / 'out', lambda *state: seen.append(state))
    assert answer.ok and seen[-1][0] == seen[-1][1] > 0


def test_an_accident_is_logged_and_told_without_its_trace(tmp_path, caplog, scene):
    def broken(*args, **options):
        raise ZeroDivisionError('secret')

    with caplog.at_level(logging.ERROR):
        answer = Answerer(broken, 10_000).answer(request(scene, 'a'), tmp_path)
    assert not answer.ok and 'ZeroDivisionError' in answer.html and 'secret' not in answer.html
    assert 'secret' in caplog.text
