"""What strangers' files and texts do to tools/infer.py: a line within seconds, nothing started, nothing left behind."""

from __future__ import annotations

import json
import os
import resource
import struct
import time
import zlib

import numpy as np
import pytest
import rasterio
import torch
from PIL import Image

from tests.tools.test_infer import error_of
from xemap.inference import XeMapInferencer

SECONDS = 5


@pytest.fixture
def attack(infer, tmp_path, capsys):
    """``attack(word, …)`` runs the command; returns its one line of error, '' where it succeeds."""

    def run(*words, query='the lake', out='out', **options) -> str:
        start = time.perf_counter()
        status = infer(*words, '--query', query, '--out', tmp_path / out, **options)
        assert time.perf_counter() - start < SECONDS
        left = [path.name for path in (tmp_path / out).rglob('*') if path.is_file() and path.name.startswith('.')]
        assert not left
        if status == 0:
            return ''
        assert status == 2
        return error_of(capsys)

    return run


@pytest.fixture
def image(tmp_path):
    path = tmp_path / 'image.png'
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(path)
    return path


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.tif', '.eps', ''])
def test_postscript_is_not_executed(attack, tmp_path, monkeypatch, suffix):
    program = tmp_path / 'bin/gs'
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\ntouch {tmp_path}/started\n')
    program.chmod(0o755)
    monkeypatch.setenv('PATH', f'{program.parent}:{os.environ["PATH"]}')
    path = tmp_path / f'a{suffix}'
    path.write_bytes(b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n')
    assert f'a{suffix} is truncated or no known image' in attack(path)
    assert not (tmp_path / 'started').exists()


def test_vrt_under_another_name_reads_no_other_file(attack, tmp_path, image):
    path = tmp_path / 'a.tif'
    path.write_text(
        '<VRTDataset rasterXSize="50" rasterYSize="40"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f'<SourceFilename>{image}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>'
    )
    assert 'a.tif is truncated or no known image' in attack(path)


def png(width: int, height: int, content: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', content) + chunk(b'IEND', b'')


def tiff(width: int, height: int, rows_per_strip: int, strips: int, byte_count: int) -> bytes:
    tags = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
        (273, 4, strips, 8), (277, 3, 1, 1), (278, 4, 1, rows_per_strip), (279, 4, strips, byte_count),
    ]  # fmt: skip
    entries = b''.join(struct.pack('<HHII', *tag) for tag in tags)
    return b'II*\0' + struct.pack('<I', 8) + struct.pack('<H', len(tags)) + entries + bytes(4)


@pytest.mark.parametrize(
    'name, content, message',
    [
        ('a.png', png(20_000, 20_000, zlib.compress(bytes(60_001))), '20000 x 20000 pixels, more than the 268 million'),
        ('a.png', png(16_000, 16_000, zlib.compress(bytes(48_001))), 'declares 768 MB of pixels'),
        ('a.png', png(2**31 - 1, 2**31 - 1, b''), 'a.png'),
        ('a.tif', tiff(2**31 - 1, 2**31 - 1, 2**31 - 1, 1, 100), 'a.tif'),
        ('a.tif', tiff(200_000, 200_000, 200_000, 1, 100), 'a.tif'),
        ('a.tif', tiff(60_000, 60_000, 60_000, 1, 10**9), 'a.tif'),
        ('a.tif', tiff(20_000, 20_000, 20_000, 1, 400_000_000), 'declares 400 MB of pixels'),
        ('a.tif', tiff(60_000, 60_000, 1, 60_000, 8), 'a.tif'),
    ],
)
def test_declared_size_is_compared_with_the_file(attack, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert message in attack(tmp_path / name)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB


def test_sparse_files_are_no_attack(attack, tmp_path):
    profile = dict(driver='GTiff', width=40_000, height=40_000, count=1, dtype='uint8', nodata=0, tiled=True)
    with rasterio.open(tmp_path / 'a.tif', 'w', sparse_ok=True, compress='deflate', crs='EPSG:32616',
                       transform=rasterio.Affine(1, 0, 5e5, 0, -1, 4e6), **profile):  # fmt: skip
        pass
    assert 'more than the 2 million' in attack(tmp_path / 'a.tif', '--max-pixels', '2e6')


@pytest.mark.parametrize('text', ['[/bold]', '[red]lake', '[', 'a\\[b]', 'the \x1b[31mlake\x07', '湖 \u202e x'])
def test_texts_are_no_markup(attack, image, capsys, text):
    named = image.rename(image.with_name(f'{text.replace("/", "")}.png'))
    assert attack(named, query=text) == ''
    printed = capsys.readouterr().out
    assert '\x1b' not in printed and '\x07' not in printed and '1 images written' in printed


def test_texts_that_are_no_utf8(attack, image, tmp_path):
    assert 'no UTF-8' in attack(image, query='the \udcff lake')
    (tmp_path / 'queries.txt').write_bytes(b'the lake\n\xff\xfe\n')
    assert 'queries.txt cannot be read' in attack(image, '--queries-file', tmp_path / 'queries.txt')
    (tmp_path / 'images.txt').write_bytes(b'\xff\xfe.png\n')
    assert 'images.txt cannot be read' in attack('--images-from', tmp_path / 'images.txt')


def test_names_that_are_no_utf8_keep_no_other_from_being_done(attack, image, tmp_path):
    strange = os.fsdecode(os.fsencode(tmp_path) + b'/\xff\xfe.png')
    with open(strange, 'wb') as file:
        file.write(image.read_bytes())
    error = attack(image, strange)
    assert r'\udcff\udcfe.png" has a name that is no UTF-8' in error and '1 other images are finished' in error
    (record,) = json.loads((tmp_path / 'out/failed.json').read_text())
    assert record['image'].endswith(r'\udcff\udcfe.png')


def test_loops_of_links(attack, image, tmp_path):
    (tmp_path / 'loop.png').symlink_to('loop.png')
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'folder/again').symlink_to('.')
    assert 'loop.png does not exist' in attack(tmp_path / 'loop.png')
    assert 'holds no image' in attack(tmp_path / 'folder')
    image.rename(tmp_path / 'folder/a.png')
    assert attack(tmp_path / 'folder') == ''


@pytest.mark.parametrize('damage', ['nan', 'integers', 'text', 'empty'])
def test_checkpoints(attack, image, model, tmp_path, damage):
    state = torch.load(model[2], weights_only=True)['state_dict']
    if damage == 'nan':
        state = {name: torch.full_like(value, float('nan')) if value.is_floating_point() else value
                 for name, value in state.items()}  # fmt: skip
    elif damage == 'integers':
        state = dict(enumerate(state.values()))
    elif damage == 'text':
        state = {name: 'text' for name in state}
    torch.save({'state_dict': {} if damage == 'empty' else state, 'meta': {}}, tmp_path / 'a.pth')
    assert 'a.pth' in attack(image, model_words=('--config', model[1], '--checkpoint', tmp_path / 'a.pth'))


@pytest.mark.parametrize('kind', ['tif', 'npy', 'png', 'geojson'])
def test_full_disk(attack, image, tmp_path, monkeypatch, kind):
    """The largest allowed file stands in for the disk: writing an answer fails in the middle."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    call = XeMapInferencer.__call__

    def limited(*args, **options):
        result = call(*args, **options)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
        return result

    monkeypatch.setattr(XeMapInferencer, '__call__', limited)
    try:
        error = attack(image, '--format', kind, '--threshold', '0.0001')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert 'no space left' in error and 'MB free' in error and f'.{kind}' in error
    assert not [path for path in (tmp_path / 'out').rglob('*') if path.is_file()]


def test_an_image_without_place_keeps_no_other_from_being_done(attack, image, tmp_path):
    with rasterio.open(
        tmp_path / 'placed.tif', 'w', driver='GTiff', width=50, height=40, count=3, dtype='uint8', crs='EPSG:32616',
        transform=rasterio.Affine(1, 0, 5e5, 0, -1, 4e6),
    ) as file:  # fmt: skip
        file.write(np.full((3, 40, 50), 9, np.uint8))
    error = attack(image, tmp_path / 'placed.tif', '--crs', 'wgs84', '--format', 'geojson')
    assert 'image.png: --crs wgs84 of an image without place' in error and '1 other images are finished' in error
    assert (tmp_path / 'out/placed/result.json').is_file()
