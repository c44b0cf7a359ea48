from __future__ import annotations

import hashlib
import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from tests.models.tiny import tiny_network
from tests.tools.small_run import write_run
from xemap.errors import CheckpointError, ConfigError, DataError
from xemap.inference import XeMapInferencer
from xemap.inference.passes import read_whole
from xemap.models import Localizer, build_localizer
from xemap.raster.image_io import read_image
from xemap.raster.raster import ArrayRaster
from xemap.registry import MODELS
from xemap.structures import MapAnswers, XeMapDataSample

TEXTS = ['a green field', 'the meadow next to the river']


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp('run')
    config = write_run(folder)
    torch.manual_seed(0)
    torch.save({'state_dict': MODELS.build(tiny_network()).state_dict(), 'meta': {}}, folder / 'weights.pth')
    return folder, config, folder / 'weights.pth'


@pytest.fixture(scope='module')
def inferencer(run):
    return XeMapInferencer(run[1], run[2], 'cpu')


@MODELS.register_module()
class SeesPixels(Localizer):
    """Takes images of any size as they are; maps are their red and green."""

    form = 'map'

    def __init__(self):
        super().__init__()
        self.sizes = []

    def localize(self, images, texts):
        self.sizes += [image.shape for image in images]
        return [
            MapAnswers(np.stack([image[..., i % 3] / 255 for i in range(len(queries))]))
            for image, queries in zip(images, texts)
        ]


@pytest.fixture
def by_pixel():
    return XeMapInferencer(Config(dict(model=dict(type='SeesPixels'))), device='cpu')


def test_whole_image_is_what_the_test_pipeline_makes_of_it(run, inferencer):
    folder, config, weights = run
    image = read_image(folder / '1.png')
    small = cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA)
    model = build_localizer(config, weights)
    sample = XeMapDataSample(metainfo=dict(img_shape=(32, 32)))
    sample.texts = TEXTS
    data = {'inputs': [torch.from_numpy(small.transpose(2, 0, 1).copy())], 'data_samples': [sample]}
    with torch.no_grad():
        expected = model.test_step(data)[0].answers.maps()
    result = inferencer(folder / '1.png', TEXTS)
    assert result.maps.shape == (2, 40, 56) and result.maps.dtype == np.float32
    for map, small in zip(result.maps, expected):
        assert np.allclose(map, cv2.resize(small, (56, 40), interpolation=cv2.INTER_LINEAR), atol=1e-5)


def test_kinds_of_input_give_the_same(run, inferencer):
    path = run[0] / '0.png'
    rasterio = pytest.importorskip('rasterio', reason='one of the kinds is a rasterio dataset')
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning), rasterio.open(path) as dataset:
        results = inferencer([path, str(path), read_image(path), dataset], TEXTS[0], batch_size=3)
    assert len(results) == 4 and all(np.allclose(r.maps, results[0].maps, atol=1e-6) for r in results)
    assert np.allclose(inferencer(path, TEXTS[0]).maps, results[0].maps, atol=1e-6)


def test_images_are_encoded_once_for_all_queries(run, inferencer, monkeypatch):
    seen = []
    encode = type(inferencer.localizer).encode_images
    monkeypatch.setattr(
        type(inferencer.localizer), 'encode_images', lambda self, x: seen.append(len(x)) or encode(self, x)
    )
    inferencer([run[0] / '0.png', run[0] / '1.png'], TEXTS * 3)
    assert seen == [2]


def test_regions_boxes_masks_and_pictures(run, inferencer):
    result = inferencer(run[0] / '0.png', TEXTS, threshold='q0.8', simplify=0, pictures=True)
    for i in range(2):
        mask = result.mask(i)
        assert mask.sum() == sum(polygon.area for polygon in result.polygons[i]) and 0.15 < mask.mean() < 0.25
        rows, columns = np.nonzero(mask)
        assert tuple(result.boxes[i][:, :2].min(0)) == (columns.min(), rows.min())
        assert result.pictures[i].dtype == np.uint8 and result.pictures[i].shape[1] > 2 * 56
    with pytest.raises(ConfigError, match='not asked for'):
        _ = inferencer(run[0] / '0.png', TEXTS).polygons


def test_a_tile_as_large_as_the_image_is_the_whole_image(run, inferencer):
    image = run[0] / '0.png'
    whole, tiled = (inferencer(image, TEXTS, mode, tile=64).maps for mode in ('resize', 'tile'))
    assert np.allclose(whole, tiled, atol=1e-5)


def test_models_that_take_images_as_they_are(by_pixel):
    image = np.random.default_rng(0).integers(0, 256, (90, 130, 3), dtype=np.uint8)
    whole = by_pixel([image, image[:50]], ['a', 'b'])
    assert whole[1].maps.shape == (2, 50, 130) and by_pixel.localizer.sizes == [(90, 130, 3), (50, 130, 3)]
    tiled = by_pixel(image, ['a', 'b'], 'tile', tile=40)
    assert np.abs(tiled.maps - whole[0].maps).max() < 1e-5
    assert set(by_pixel.localizer.sizes[2:]) == {(40, 40, 3)}


def test_large_images_are_averaged_while_they_are_read(inferencer):
    image = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (400, 300, 3), dtype=np.uint8), (0, 0), 9)
    exact = inferencer(image, TEXTS).maps
    small, untouched = (read_whole([ArrayRaster(image)], fixed, max_pixels=20_000)[0] for fixed in (True, False))
    assert small.shape == (133, 100, 3) and untouched.shape == image.shape
    maps = inferencer.localizer.localize([small], [TEXTS])[0].maps(image.shape[:2])
    assert np.allclose(maps, exact, atol=0.02)


def test_pixels_without_data_do_not_matter_and_have_no_value(run, inferencer):
    image = read_image(run[0] / '0.png').astype(np.float32)
    other = image.copy()
    image[:9], other[:9] = np.nan, np.inf
    one, two = (inferencer(part, TEXTS, threshold='otsu') for part in (image, other))
    assert np.isnan(one.maps[:, :9]).all() and np.isfinite(one.maps[:, 9:]).all()
    assert np.array_equal(one.maps, two.maps, equal_nan=True)
    assert all(box[1] >= 9 for boxes in one.boxes for box in boxes)


def test_maps_that_do_not_fit_in_memory(run, inferencer, tmp_path):
    for mode in ('tile', 'resize'):
        options = dict(mode=mode, tile=32, threshold='otsu')
        inside = inferencer(run[0] / '0.png', TEXTS, **options)
        result = inferencer(run[0] / '0.png', TEXTS, **options, scratch=tmp_path, in_memory=0)
        assert not isinstance(inside.maps, np.memmap) and isinstance(result.maps, np.memmap)
        assert np.array_equal(result.maps, inside.maps)
        assert result.polygons == inside.polygons and not list(tmp_path.iterdir())


def test_saving(run, inferencer, tmp_path):
    result = inferencer(run[0] / '0.png', TEXTS, threshold=0.0, pictures=True)
    for suffix in ('.png', '.mask.png', '.npy', '.geojson'):
        result.save(tmp_path / f'a{suffix}', 1)
    assert np.array_equal(np.load(tmp_path / 'a.npy'), result.maps[1])
    assert np.array_equal(cv2.imread(str(tmp_path / 'a.mask.png'), cv2.IMREAD_UNCHANGED) > 0, result.mask(1))
    with pytest.raises(ConfigError, match='suffix'):
        result.save(tmp_path / 'a.doc', 0)
    with pytest.raises(ConfigError, match='not asked for'):
        inferencer(run[0] / '0.png', TEXTS).save(tmp_path / 'b.png', 0)


def test_a_checkpoint_alone_is_enough(run, inferencer, tmp_path):
    folder, config, weights = run
    state = torch.load(weights, weights_only=True)['state_dict']
    torch.save({'state_dict': state, 'meta': {'cfg': Config.fromfile(config).pretty_text}}, tmp_path / 'epoch_1.pth')
    alone = XeMapInferencer(tmp_path / 'epoch_1.pth', device='cpu')
    assert np.array_equal(alone(folder / '0.png', TEXTS).maps, inferencer(folder / '0.png', TEXTS).maps)


def test_features_say_where_they_come_from(run, inferencer, tmp_path):
    result = inferencer(run[0] / '0.png', TEXTS, threshold='q0.8')
    result.save(tmp_path / 'a.geojson', 0)
    text = (tmp_path / 'a.geojson').read_text()
    first = json.loads(text)['features'][0]['properties']
    digest = hashlib.sha256(run[2].read_bytes()).hexdigest()[:16]
    expected = dict(image='0.png', mode='resize', weights='weights.pth', weights_sha256=digest, rank=1)
    assert {key: first[key] for key in expected} == expected and first['model'] and str(run[0]) not in text


def test_what_the_user_should_know(inferencer):
    assert not inferencer(np.zeros((200, 40, 3), np.uint8), 'a').notes
    (note,) = inferencer(np.zeros((300, 40, 3), np.uint8), 'a').notes
    assert '40 x 300' in note and 'give mode "tile" with tile=128' in note
    image = np.zeros((40, 40, 3), np.uint8)
    assert not inferencer(image, 'a', 'tile', tile=32).notes
    (note,) = inferencer(image, 'a', 'tile', tile=32, overlap=0).notes
    assert 'hard seams' in note


def test_the_maps_are_the_means_of_their_levels(run, inferencer):
    image = run[0] / '0.png'
    plain, result = inferencer(image, TEXTS), inferencer(image, TEXTS, levels=True)
    assert plain.levels is None and len(result.levels) > 1
    np.testing.assert_array_equal(result.maps, plain.maps)
    mean = np.mean([level.maps(plain.store.size) for level in result.levels], 0)
    np.testing.assert_allclose(mean, plain.maps, atol=1e-5)
    assert np.abs(result.levels[0].maps() - result.levels[-1].maps()).max() > 1e-3
    np.testing.assert_array_equal(inferencer(image, TEXTS).maps, plain.maps)


@pytest.mark.parametrize(
    'queries, options, message',
    [
        ([], {}, 'no query'),
        (['a', '  '], {}, 'is empty'),
        ('a', {'mode': 'whole'}, 'mode'),
        ('a', {'mode': 'tile', 'tile': 8}, 'stride of 16'),
        ('a', {'mode': 'tile', 'overlap': 1.0}, 'overlap'),
        ('a', {'mode': 'tile', 'scales': (0.5,)}, 'scales'),
        ('a', {'mode': 'tile', 'scales': ()}, 'scales'),
        ('a', {'batch_size': 0}, 'batch_size'),
        ('a', {'min_area': -1}, 'min_area=-1'),
        ('a', {'simplify': float('nan')}, 'simplify=nan'),
        ('a', {'threshold': 'much'}, 'threshold'),
        ('a', {'bands': [4]}, 'bands 4'),
        ('a', {'mode': 'tile', 'tile': 64, 'levels': True}, 'levels in mode "tile"'),
        ('a', {'parts': {'a': ['b']}}, 'part "b" is no query'),
    ],
)
def test_arguments_that_do_not_fit(run, inferencer, queries, options, message):
    with pytest.raises(ConfigError, match=message):
        inferencer(run[0] / '0.png', queries, **options)


def test_model_that_is_not_there(run, tmp_path):
    with pytest.raises(ConfigError, match='did you mean "xemap_small_synthetic"'):
        XeMapInferencer('xemap_smal_synthetic')
    with pytest.raises(CheckpointError):
        XeMapInferencer(run[1], tmp_path / 'none.pth')
    with pytest.raises(ConfigError, match='device "cuda:99"'):
        XeMapInferencer(run[1], run[2], 'cuda:99')
    with pytest.raises(DataError, match='does not exist'):
        XeMapInferencer(run[1], run[2], 'cpu')(tmp_path / 'none.tif', 'a')


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_gpu_gives_the_same(run, inferencer):
    image = run[0] / '0.png'
    on_gpu = XeMapInferencer(run[1], run[2], 'cuda')(image, TEXTS, 'tile', tile=32)
    assert np.allclose(on_gpu.maps, inferencer(image, TEXTS, 'tile', tile=32).maps, atol=2e-3)
