"""What strangers do to the web page: each is refused in a line and within bounds, and nothing is left behind."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.tools.small_run import ROOT, write_run

pytestmark = pytest.mark.skipif(importlib.util.find_spec('gradio') is None, reason='gradio is not installed')


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    return str(write_run(tmp_path_factory.mktemp('run')))


class Client:
    """Speaks to the page as a program does, not as a browser."""

    def __init__(self, url: str) -> None:
        self.host = url.split('/')[2]

    def ask(self, method: str, path: str, body: bytes | str | None = None, **headers: str):
        connection = http.client.HTTPConnection(self.host, timeout=30)
        try:
            named = {name.replace('_', '-'): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            response = connection.getresponse()
            return response.status, response.read(20_000).decode(errors='replace'), dict(response.getheaders())
        finally:
            connection.close()

    def event(self, function: str, data: object) -> str:
        """What the page says to the data of an event."""
        session = os.urandom(8).hex()
        body = json.dumps({'data': data, 'fn_index': self.functions()[function], 'session_hash': session})
        status, text, _ = self.ask('POST', '/gradio_api/queue/join', body, Content_Type='application/json')
        if status != 200:
            return text
        connection = http.client.HTTPConnection(self.host, timeout=60)
        try:
            connection.request('GET', f'/gradio_api/queue/data?session_hash={session}')
            for line in iter(connection.getresponse().readline, b''):
                if b'process_completed' in line:
                    output = json.loads(line[5:])['output']
                    return next(filter(None, output['data'])) if 'data' in output else output['error']
        finally:
            connection.close()
        raise AssertionError('no answer')

    def functions(self) -> dict[str, int]:
        connection = http.client.HTTPConnection(self.host, timeout=30)
        connection.request('GET', '/config')
        events = json.loads(connection.getresponse().read())['dependencies']
        connection.close()
        return {event['api_name']: event['id'] for event in events}

    def upload(self, name: str, content: bytes, **headers: str):
        form = (
            f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
            + content
            + b'\r\n--x--\r\n'
        )
        kind = 'multipart/form-data; boundary=x'
        return self.ask('POST', '/gradio_api/upload', form, Content_Type=kind, **headers)


@pytest.fixture(scope='module')
def client(config, served_processes):
    from xemap.demo import load_app

    limits = dict(max_mb=0.2, max_megapixels=60, max_seconds=2, max_memory=1, max_disk=0.004)
    with load_app().serving(config, None, 'cpu', port=0, **limits) as (url, _):
        yield Client(url)


@pytest.mark.parametrize('name', ['evil.example', 'evil.example:{port}', '127.0.0.1.evil.example', '10.0.0.1', ''])
def test_another_name_than_the_page_was_started_with(client, name):
    host = name.format(port=client.host.split(':')[1])
    for path in ('/', '/config', '/gradio_api/queue/join'):
        status, text, _ = client.ask('GET', path, Host=host)
        assert (status, text) == (421, 'this page is not served under that name; see --allow-host')


def test_its_own_names(client):
    port = client.host.split(':')[1]
    assert [client.ask('GET', '/', Host=f'{name}:{port}')[0] for name in ('127.0.0.1', 'localhost')] == [200, 200]


@pytest.mark.parametrize('origin', ['http://evil.example', 'http://localhost:1', 'null', 'file://', 'http://[', ''])
@pytest.mark.parametrize('method', ['POST', 'OPTIONS', 'GET'])
def test_a_page_from_elsewhere(client, origin, method):
    preflight = dict(Access_Control_Request_Method='POST') if method == 'OPTIONS' else {}
    status, text, headers = client.ask(method, '/gradio_api/queue/join', Origin=origin, **preflight)
    assert (status, text) == (403, 'pages from elsewhere may not ask this one')
    assert not [name for name in headers if name.lower().startswith('access-control')]
    if method == 'POST':
        assert client.upload('a.png', b'x', Origin=origin)[0] == 403


def test_pictures_and_scripts_of_a_page_from_elsewhere(client):
    fetch = dict(Sec_Fetch_Site='cross-site', Sec_Fetch_Mode='no-cors')
    assert client.ask('GET', '/config', **fetch)[0] == 403
    assert client.ask('GET', '/', Sec_Fetch_Site='cross-site', Sec_Fetch_Mode='navigate')[0] == 200  # a link


def test_its_own_page_gets_no_cross_origin_headers(client):
    status, _, headers = client.ask('GET', '/config', Origin=f'http://{client.host}')
    assert status == 200 and not [name for name in headers if name.lower().startswith('access-control')]


def test_long_requests(client):
    assert client.upload('a.png', bytes(150_000))[0] == 200
    assert client.upload('a.png', bytes(300_000))[0] == 413
    assert client.ask('POST', '/gradio_api/queue/join', bytes(2_000_000))[0] == 413
    assert client.ask('POST', '/gradio_api/upload', b'0\r\n\r\n', Transfer_Encoding='chunked')[0] == 411
    assert client.ask('POST', '/gradio_api/upload', b'x', Content_Length='-1')[0] in (400, 413)


WHOLE = 'whole image'
NO_TEXT = 'the queries are no text'
NOT_FROM_HERE = 'this is not what the page asks for'


def uploaded(path: str) -> dict:
    return {'path': path, 'meta': {'_type': 'gradio.FileData'}}


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        ([None, None, None, WHOLE, 'otsu', False], NO_TEXT),
        ([None, None, ['the lake'], WHOLE, 'otsu', False], NO_TEXT),
        ([None, None, 'the \ud800 lake', WHOLE, 'otsu', False], NO_TEXT),
        ([None, None, 'the lake', None, 'otsu', False], 'what the model sees is unknown'),
        ([None, None, 'the lake', [WHOLE], 'otsu', False], NOT_FROM_HERE),
        ([None, None, 'the lake', '\udfff', 'otsu', False], NOT_FROM_HERE),
        ([None, None, 'the lake', WHOLE, ['otsu'], False], 'no threshold'),
        ([None, None, 'the lake', WHOLE, '\ud800', False], 'no threshold'),
        ([None, None, 'the lake', WHOLE, 'otsu', None], 'neither true nor false'),
        ([[], None, 'the lake', WHOLE, 'otsu', False], NOT_FROM_HERE),
        (['x', None, 'the lake', WHOLE, 'otsu', False], NOT_FROM_HERE),
        ([uploaded('/etc/passwd'), None, 'the lake', WHOLE, 'otsu', False], NOT_FROM_HERE),
        ([uploaded('\ud800'), None, 'the lake', WHOLE, 'otsu', False], NOT_FROM_HERE),
        ([uploaded('http://127.0.0.1:9/a.png'), None, 'the lake', WHOLE, 'otsu', False], 'upload the file itself'),
        ([], NOT_FROM_HERE),
    ],
)
def test_what_no_page_sends(client, data, message):
    assert message in client.event('find', data)


@pytest.mark.parametrize('number', [999, -1, None, [1], '\ud800'])
def test_events_that_do_not_exist(client, number):
    body = json.dumps({'data': [], 'fn_index': number, 'session_hash': 'a'})
    status, text, _ = client.ask('POST', '/gradio_api/queue/join', body, Content_Type='application/json')
    assert 400 <= status < 500 and 'Traceback' not in text


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def png(width: int, height: int) -> bytes:
    """Black, 1 bit a pixel: a thousandth of the bytes that it becomes."""
    packer = zlib.compressobj(9)
    content = b''.join(packer.compress(bytes(1 + -(-width // 8))) for _ in range(height)) + packer.flush()
    header = struct.pack('>IIBBBBB', width, height, 1, 0, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', content) + chunk(b'IEND', b'')


def tiff(path: Path, **profile) -> bytes:
    import rasterio

    with rasterio.open(path, 'w', driver='GTiff', count=1, dtype='uint8', compress='deflate', **profile) as file:
        if profile['width'] * profile['height'] < 1e5:
            file.write(np.zeros((1, profile['height'], profile['width']), np.uint8))
    return path.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    'kind', ['png', 'png of lines', 'png of columns', 'tiff of lines', 'tiff of columns', 'tiff of a tile']
)
def test_small_files_that_unpack_to_huge_ones(client, tmp_path, kind):
    """Some are answered, some refused; each within the bounds, and the page answers afterwards."""
    content = {
        'png': lambda: png(7700, 7700),
        'png of lines': lambda: png(2, 3_000_000),
        'png of columns': lambda: png(30_000_000, 2),
        'tiff of lines': lambda: tiff(tmp_path / 'a.tif', width=1, height=30_000_000, sparse_ok=True, blockysize=2**20),
        'tiff of columns': lambda: tiff(tmp_path / 'a.tif', width=30_000_000, height=1, sparse_ok=True),
        'tiff of a tile': lambda: tiff(
            tmp_path / 'a.tif', width=64, height=64, tiled=True, blockxsize=16384, blockysize=16384
        ),
    }[kind]()
    suffix = kind[:3]
    if len(content) > 200_000:
        content = content[:200_000]
    status, text, _ = client.upload(f'a.{suffix}', content)
    assert status == 200
    file = uploaded(json.loads(text)[0])
    start = time.monotonic()
    answer = client.event('find', [file, None, 'the lake', WHOLE, 'otsu', False])
    assert ('<img' in answer or 'role="alert"' in answer) and time.monotonic() - start < 40
    small = client.upload('a.png', png(40, 40))[1]
    assert '<img' in client.event('choose_file', [uploaded(json.loads(small)[0])])


@contextmanager
def started(config: str, tmp_path: Path):
    words = ['--config', config, '--checkpoint', 'none', '--port', '0', '--device', 'cpu']
    env = {**os.environ, 'TMPDIR': str(tmp_path), 'PYTHONPATH': str(ROOT)}
    tool = subprocess.Popen(
        [sys.executable, str(ROOT / 'tools/deploy/demo_app.py'), *words],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env,
    )  # fmt: skip
    try:
        assert tool.stdout is not None
        assert any(line.startswith('open http') for line in tool.stdout)
        yield tool
    finally:
        tool.kill()
        tool.wait()


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]


@pytest.mark.slow
def test_nothing_is_left_when_it_is_stopped(config, tmp_path):
    """With SIGTERM; that SIGHUP ends a tool in the same way is tested in tests/test_cli.py."""
    with started(config, tmp_path) as tool:
        assert list(tmp_path.glob('xemap_demo_*'))
        processes = children(tool.pid)
        assert processes
        tool.send_signal(signal.SIGTERM)
        assert tool.wait(30) == 128 + signal.SIGTERM
    assert not [path for path in tmp_path.rglob('*') if path != tmp_path / 'gradio']  # empty, made by its import
    deadline = time.monotonic() + 5
    while any(Path('/proc', str(pid)).exists() for pid in processes) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(Path('/proc', str(pid)).exists() for pid in processes)


def test_a_picture_of_many_pixels_is_refused_before_decoding(client, tmp_path):
    Image.new('1', (9000, 9000)).save(tmp_path / 'a.png')
    _, text, _ = client.upload('a.png', (tmp_path / 'a.png').read_bytes())
    assert 'more than the 60 million' in client.event('choose_file', [uploaded(json.loads(text)[0])])
