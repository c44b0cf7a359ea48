"""tools/infer.py on the real network."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from tests.models.tiny import tiny_network
from tests.tools.command import load_tool
from tests.tools.small_run import NETWORKS, ROOT, write_run
from xemap.cli import run
from xemap.config import load_config
from xemap.errors import ConfigError
from xemap.inference.command import QUICKSTART, choose_model
from xemap.inference.inferencer import XeMapInferencer
from xemap.registry import MODELS


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp('model')
    torch.manual_seed(0)
    torch.save({'state_dict': MODELS.build(tiny_network()).state_dict(), 'meta': {}}, folder / 'weights.pth')
    return folder, write_run(folder), folder / 'weights.pth'


@pytest.fixture
def infer(model):
    """``infer('IMAGE', …)`` as on a command line, with the model; returns the status."""
    tool = load_tool('infer')

    def call(*words, model_words=('--config', model[1], '--checkpoint', model[2])) -> int:
        return run(tool.main, tool.parse_args([*map(str, words), *map(str, model_words), '--device', 'cpu']))

    return call


@pytest.fixture
def scene(tmp_path):
    rasterio = pytest.importorskip('rasterio', reason='georeferenced files need rasterio, the extra "geo"')

    def write(name='scene.tif', **profile):
        transform = rasterio.Affine(0.5, 0, 733601, 0, -0.5, 3725139)
        profile = {'crs': 'EPSG:32616', 'transform': transform, 'count': 3, 'dtype': 'uint8', **profile}
        bands = np.random.default_rng(0).integers(1, 256, (profile['count'], 70, 90)).astype(profile['dtype'])
        bands[:, :5] = 0
        with rasterio.open(tmp_path / name, 'w', driver='GTiff', width=90, height=70, **profile) as dataset:
            dataset.write(bands)
        return tmp_path / name

    return write


def error_of(capsys) -> str:
    """The one line of the error."""
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error:')]
    return line


def test_help_does_not_import_torch():
    code = (
        "import sys, runpy; sys.argv = ['infer.py', '--help']\n"
        f"try: runpy.run_path('{ROOT}/tools/infer.py', run_name='__main__')\n"
        "finally: print([m for m in ('torch', 'mmengine', 'numpy', 'cv2', 'rasterio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and '--queries-file' in done.stdout and done.stdout.endswith('[]\n')


def test_georeferenced_image(tmp_path, infer, scene, capsys):
    rasterio = pytest.importorskip('rasterio')
    geopandas = pytest.importorskip('geopandas', reason='reads back what is written for a GIS')
    path, out = scene(nodata=0), tmp_path / 'out'
    (tmp_path / 'queries.txt').write_text('the lake\n\nthe road, next to the lake\n')
    words = ['--queries-file', tmp_path / 'queries.txt', '--query', 'a field', '--out', out, '--mode', 'tile']
    more = [
        '--simplify',
        0,
        '--tile',
        32,
        '--scales',
        '1,2',
        '--format',
        'png,tif,geojson,npy,mask',
        '--crs',
        'wgs84',
        '--json',
    ]
    assert infer(path, *words, *more) == 0
    summary = json.loads(capsys.readouterr().out)
    (record,) = summary['images']
    assert summary['written'] == 1 and record['crs'] == 'EPSG:32616' and record['georeference'] == 'kept'
    assert [q['query'] for q in record['queries']] == ['a field', 'the lake', 'the road, next to the lake']
    stems = ['01_a-field', '02_the-lake', '03_the-road-next-to-the-lake']
    expected = {stem + suffix for stem in stems for suffix in ('.png', '.tif', '.geojson', '.npy', '.mask.png')}
    assert {file.name for file in (out / 'scene').iterdir()} == expected | {'result.json'}
    with rasterio.open(path) as source, rasterio.open(out / 'scene' / '02_the-lake.tif') as dataset:
        assert (dataset.crs, dataset.transform, dataset.shape) == (source.crs, source.transform, source.shape)
        assert dataset.nodata == 0 and dataset.tags()['query'] == 'the lake'
        values = dataset.read(1, masked=True)
        assert values.mask[:5].all() and not values.mask[5:].any()
        bounds = geopandas.GeoSeries.from_xy([dataset.bounds.left, dataset.bounds.right],
                                             [dataset.bounds.bottom, dataset.bounds.top], crs=dataset.crs)  # fmt: skip
    assert np.allclose(np.load(out / 'scene' / '02_the-lake.npy')[5:], values[5:].data)
    frame = geopandas.read_file(out / 'scene' / '02_the-lake.geojson')
    assert frame.crs.to_epsg() == 4326 and (frame['query'] == 'the lake').all() and len(frame)
    place = bounds.to_crs(4326).total_bounds
    assert (frame.total_bounds[:2] >= place[:2] - 1e-5).all() and (frame.total_bounds[2:] <= place[2:] + 1e-5).all()
    assert frame.area_m2.to_numpy() == pytest.approx(frame.area_px.to_numpy() * 0.25, rel=0.01)


def test_table_and_pixel_coordinates(tmp_path, infer, model, capsys):
    images = [model[0] / '0.png', model[0] / '1.png']
    assert infer(*images, '--query', 'the lake', '--out', tmp_path / 'out') == 0
    printed = capsys.readouterr().out
    assert '2 images written, 0 kept' in printed and '0.png and 1 more: no georeference' in printed
    content = json.loads((tmp_path / 'out' / '0' / '01_the-lake.geojson').read_text())
    assert content['coordinates_are'].startswith('pixels')


def test_a_network_for_masks(tmp_path, infer):
    """Its maps are probabilities, over windows as well; regions are where these are at least 0.5, the mask itself."""
    torch.manual_seed(0)
    weights, config = tmp_path / 'weights.pth', write_run(tmp_path, 'mask')
    torch.save({'state_dict': MODELS.build(NETWORKS['mask']()).state_dict(), 'meta': {}}, weights)
    words = [tmp_path / '0.png', '--query', 'the lake', '--query', 'a field', '--format', 'npy,mask,geojson']
    for mode in ('resize', 'tile'):
        out = tmp_path / mode
        window = ['--tile', 32] if mode == 'tile' else []
        model = ('--config', config, '--checkpoint', weights)
        assert infer(*words, '--out', out, '--mode', mode, *window, model_words=model) == 0
        result = json.loads((out / '0/result.json').read_text())
        for stem, query in zip(('01_the-lake', '02_a-field'), result['queries'], strict=True):
            probability = np.load(out / f'0/{stem}.npy')
            mask = np.asarray(Image.open(out / f'0/{stem}.mask.png')) > 0
            assert probability.shape == mask.shape == (40, 56) and query['threshold'] == 0.5
            assert (mask == (probability >= 0.5)).all() and 0 < mask.mean() < 1


def test_images_of_one_name(tmp_path, infer, model):
    images = [tmp_path / folder / 'a.png' for folder in ('one', 'two')]
    for image in images:
        image.parent.mkdir()
        image.write_bytes((model[0] / '0.png').read_bytes())
    assert infer(*images, '--query', 'a', '--out', tmp_path / 'out') == 0
    assert {folder.name for folder in (tmp_path / 'out').iterdir()} == {'one_a', 'two_a'}
    assert infer(images[0], images[0], '--query', 'a', '--out', tmp_path / 'out') == 2


def test_interrupted_run_goes_on_where_it_stopped(tmp_path, infer, model, monkeypatch, capsys):
    images, out = [model[0] / f'{i}.png' for i in range(3)], tmp_path / 'out'
    words = [*images, '--query', 'the lake', '--query', 'a field', '--out', out, '--format', 'npy,geojson']
    call, calls = XeMapInferencer.__call__, []

    def interrupted(self, image, *args, **kwargs):
        calls.append(image.name)
        result = call(self, image, *args, **kwargs)
        if len(calls) == 2:
            save = result.save

            def stop(path, query, crs):
                if query == 1:
                    raise KeyboardInterrupt
                save(path, query, crs)

            result.save = stop
        return result

    monkeypatch.setattr(XeMapInferencer, '__call__', interrupted)
    assert infer(*words) == 130
    assert {file.name for file in (out / '0').iterdir()} >= {'result.json', '02_a-field.npy'}
    assert {file.name for file in (out / '1').iterdir()} == {'01_the-lake.npy', '01_the-lake.geojson'}
    before = (out / '0' / 'result.json').stat().st_mtime_ns
    assert infer(*words) == 2 and '--resume' in error_of(capsys)
    assert infer(*words, '--resume') == 0
    assert [str(image) for image in calls] == [str(images[i]) for i in (0, 1, 1, 2)]
    assert (out / '0' / 'result.json').stat().st_mtime_ns == before and (out / '1' / 'result.json').is_file()
    assert infer(*words, '--resume') == 0 and len(calls) == 4
    assert infer(*words, '--resume', '--threshold', '0.3') == 2 and 'threshold auto, now 0.3' in error_of(capsys)
    calls[:] = [None]  # the next image is interrupted again
    assert infer(*words, '--overwrite') == 130
    assert not (out / '0' / 'result.json').exists() and (out / '1' / 'result.json').is_file()
    assert infer(*words, '--overwrite') == 0 and len(calls) == 5


def test_overwriting_leaves_nothing_of_the_answer_before(tmp_path, infer, model):
    out = tmp_path / 'out'
    words = [str(model[0] / '0.png'), '--out', str(out), '--format', 'png,npy']
    assert infer(*words, '--query', 'the lake', '--query', 'the road') == 0
    (folder,) = out.iterdir()
    (folder / 'notes.txt').write_text('mine')
    assert infer(*words, '--query', 'the lake', '--query', 'ships', '--overwrite') == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        '01_the-lake.npy', '01_the-lake.png', '02_ships.npy', '02_ships.png', 'notes.txt', 'result.json',
    ]  # fmt: skip


def test_a_broken_image_keeps_no_other_from_being_done(tmp_path, infer, model, capsys):
    broken, out = tmp_path / 'broken.png', tmp_path / 'out'
    broken.write_bytes((model[0] / '1.png').read_bytes()[:300])
    words = [model[0] / '0.png', broken, model[0] / '2.png', '--query', 'the lake', '--out', out, '--format', 'npy']
    assert infer(*words) == 2
    assert 'broken.png' in (error := error_of(capsys)) and '2 other images are finished, --resume' in error
    assert sorted(path.parent.name for path in out.rglob('result.json')) == ['0', '2']
    broken.write_bytes((model[0] / '1.png').read_bytes())
    assert infer(*words, '--resume') == 0 and '1 images written, 2 kept' in capsys.readouterr().out


def test_images_of_one_stem_differ_by_their_suffix(tmp_path, infer, model):
    out = tmp_path / 'out'
    (tmp_path / 'b.jpg').write_bytes((model[0] / '0.png').read_bytes())
    (tmp_path / 'b.png').write_bytes((model[0] / '0.png').read_bytes())
    words = ['--query', 'the lake', '--out', out, '--format', 'npy']
    assert infer(tmp_path / 'b.jpg', tmp_path / 'b.png', model[0] / '0.png', *words) == 0
    assert sorted(path.name for path in out.iterdir()) == ['0.png', 'b.jpg', 'b.png']


def test_file_is_under_its_name_only_when_complete(tmp_path, infer, scene, monkeypatch):
    rasterio = pytest.importorskip('rasterio.shutil')

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(rasterio, 'copy', stop)
    assert infer(scene(), '--query', 'a', '--out', tmp_path / 'out', '--format', 'tif') == 130
    assert not [file for file in (tmp_path / 'out').rglob('*') if file.is_file()]


def test_images_that_do_not_fit(tmp_path, infer, scene, capsys):
    (tmp_path / 'text.tif').write_text('no image')
    wide = scene('eight.tif', count=8, dtype='uint16')
    unplaced = scene('unplaced.tif', crs=None)
    out = ['--query', 'a', '--out', tmp_path / 'out']
    for words, message in (
        ([tmp_path / 'text.tif'], 'text.tif is truncated or no known image'),
        ([tmp_path / 'none.tif'], 'none.tif does not exist'),
        ([wide, '--bands', '9,1,2'], 'which has 8'),
        ([unplaced, '--crs', 'wgs84'], 'unknown CRS'),
        ([unplaced, '--crs', 'EPSG:1'], '--crs "EPSG:1" is unknown'),
    ):
        assert infer(*words, *out) == 2 and message in error_of(capsys)
        (tmp_path / 'out/failed.json').unlink(missing_ok=True)
    assert [file.name for file in (tmp_path / 'out').rglob('*') if file.is_file()] == []
    assert infer(wide, '--bands', '8,1,2', '--stretch', '1,99', *out) == 0
    assert len(json.loads((tmp_path / 'out/eight/result.json').read_text())['stretch']) == 3
    assert infer(unplaced, *out, '--format', 'geojson,tif') == 0
    assert 'unknown CRS' in (tmp_path / 'out/unplaced/01_a.geojson').read_text()


@pytest.mark.parametrize(
    'words, message',
    [
        ([], 'no query'),
        (['--query', ' '], 'is empty'),
        (['--queries-file', 'none.txt'], 'none.txt cannot be read'),
        (['--query', 'a', '--mode', 'tile', '--tile', '8'], 'stride of 16'),
        (['--query', 'a', '--threshold', 'much'], 'threshold "much"'),
        (['--query', 'a', '--format', 'jpg'], 'format "jpg"'),
        (['--query', 'a', '--stretch', '98,2'], 'rising percentiles'),
        (['--query', 'a', '--stretch', '2'], 'rising percentiles'),
    ],
)
def test_arguments_that_do_not_fit(tmp_path, infer, model, capsys, words, message):
    assert infer(model[0] / '0.png', '--out', tmp_path / 'out', *words) == 2
    assert message in error_of(capsys)


def test_folder_that_cannot_be_written(tmp_path, infer, model, capsys):
    (tmp_path / 'file').touch()
    assert infer(model[0] / '0.png', '--query', 'a', '--out', tmp_path / 'file' / 'out') == 2
    assert str(tmp_path / 'file') in error_of(capsys)


def test_default_model_is_the_quickstarts(tmp_path, infer, model, capsys):
    assert load_config(QUICKSTART[0]).model.type == 'XeMapNetwork'
    quickstart = ('a_config', tmp_path)
    with pytest.raises(ConfigError, match='tools/quickstart.sh'):
        choose_model(None, None, quickstart)
    for epoch in (4, 10):
        (tmp_path / f'epoch_{epoch}.pth').touch()
    assert choose_model(None, None, quickstart) == ('a_config', str(tmp_path / 'epoch_10.pth'))
    words = [model[0] / '0.png', '--query', 'a', '--out', tmp_path / 'out']
    assert infer(*words, model_words=('--config', model[1])) == 2 and 'belong together' in error_of(capsys)


def test_notes_are_printed_once(tmp_path, infer, capsys):
    for name in 'ab':
        Image.fromarray(np.zeros((300, 40, 3), np.uint8)).save(tmp_path / f'{name}.png')
    assert infer(tmp_path / 'a.png', tmp_path / 'b.png', '--query', 'the lake', '--out', tmp_path / 'out') == 0
    printed = capsys.readouterr()
    assert printed.err.count('note: ') == 1 and 'note: a: mode "resize" shrinks 40 x 300' in printed.err
    assert 'notes about 2 images are in their result.json' in printed.out
    for name in 'ab':
        (note,) = json.loads((tmp_path / f'out/{name}/result.json').read_text())['notes']
        assert 'give mode "tile" with tile=128' in note
