"""Which requests reach the page: by host name, origin and size, without a server."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest

pytest.importorskip('starlette', reason='gradio is not installed')

from xemap.demo.guard import FORM_BYTES, MAX_MESSAGE, Guard, Names
from xemap.demo.storage import Storage

HOST = '127.0.0.1:7860'


async def page(scope, receive, send):
    headers = [(b'access-control-allow-origin', b'*'), (b'content-type', b'text/plain')]
    await send({'type': 'http.response.start', 'status': 200, 'headers': headers})
    await send({'type': 'http.response.body', 'body': b'the page'})


@pytest.fixture
def ask(tmp_path):
    """``ask(headers…, path=, names=, type=)``: status and headers of the response, the ASGI messages of a socket."""

    def run(path='/config', names=None, type='http', **headers):
        guard = Guard(page, names or Names('127.0.0.1'), 1000, Storage(Path(tempfile.mkdtemp(dir=tmp_path)), 10_000))
        headers = {'host': HOST, **{name.replace('_', '-'): value for name, value in headers.items()}}
        raw = [(name.encode(), value.encode()) for name, value in headers.items() if value is not None]
        scope, messages = {'type': type, 'method': 'POST', 'path': path, 'headers': raw}, []

        async def send(message):
            messages.append(message)

        asyncio.run(guard(scope, None, send))
        if type != 'http':
            return messages
        return messages[0]['status'], {name.decode(): value.decode() for name, value in messages[0]['headers']}

    return run


@pytest.mark.parametrize('host, status', [
    ('127.0.0.1', 200), ('localhost:1', 200), ('[::1]:7860', 200), ('LOCALHOST', 200), (None, 421), ('', 421),
    ('evil.example', 421), ('127.0.0.1.evil.example', 421), ('10.0.0.1', 421), ('[', 421),
])  # fmt: skip
def test_names_of_a_page_of_this_machine(ask, host, status):
    assert ask(host=host)[0] == status


def test_names_that_are_allowed_besides(ask):
    names = Names('127.0.0.1', ['Maps.Example'])
    assert ask(host='maps.example', names=names)[0] == ask(host=HOST, names=names)[0] == 200
    assert ask(host='other.example', names=names)[0] == 421


def test_a_page_on_every_address_takes_numeric_addresses_alone(ask):
    names = Names('0.0.0.0')
    assert [ask(host=host, names=names)[0] for host in ('192.168.1.7:7860', '[fe80::1]', 'localhost')] == [200] * 3
    assert ask(host='rebound.example', names=names)[0] == 421
    assert ask(host='127.0.0.1', names=Names('192.168.1.7'))[0] == 421  # listens elsewhere


@pytest.mark.parametrize('origin, status', [
    (f'http://{HOST}', 200), (None, 200), ('http://127.0.0.1:1', 403), ('http://localhost:7860', 403),
    ('http://evil.example', 403), ('null', 403), ('', 403), ('file://', 403), ('http://[', 403),
])  # fmt: skip
def test_origins(ask, origin, status):
    assert ask(origin=origin)[0] == status


def test_the_origin_behind_a_proxy_is_an_allowed_name(ask):
    names = Names('127.0.0.1', ['maps.example'])
    assert ask(origin='https://maps.example', names=names)[0] == 200
    assert ask(origin='https://other.example', names=names)[0] == 403


@pytest.mark.parametrize('site, mode, status', [
    ('cross-site', 'no-cors', 403), ('same-site', 'cors', 403), ('cross-site', 'navigate', 200),
    ('same-origin', 'cors', 200), ('none', 'navigate', 200),
])  # fmt: skip
def test_pictures_and_scripts_of_other_pages(ask, site, mode, status):
    assert ask(sec_fetch_site=site, sec_fetch_mode=mode)[0] == status


UPLOAD = '/gradio_api/upload'


@pytest.mark.parametrize('path, limit', [(UPLOAD, 1000), (f'{UPLOAD}/', 1000), ('/x', MAX_MESSAGE)])
def test_sizes(ask, path, limit):
    assert ask(path, content_length=str(limit + FORM_BYTES + 1))[0] == 413
    assert ask(path, content_length='-1')[0] == ask(path, content_length='x')[0] == 413
    assert ask(path, transfer_encoding='chunked')[0] == 411
    if limit > 1000:
        assert ask(path, content_length=str(limit + FORM_BYTES))[0] == 200


def test_uploads_share_the_room_that_is_left(ask):
    assert ask(UPLOAD, content_length='9000')[0] == 200
    assert ask(UPLOAD, content_length='10500')[0] == 507


def test_headers(ask):
    for headers in (ask()[1], ask(host='evil.example')[1]):
        assert not [name for name in headers if name.startswith('access-control')]
        assert "default-src 'self'" in headers['content-security-policy']
        assert headers['cross-origin-resource-policy'] == 'same-origin'


def test_web_sockets_are_closed(ask):
    assert ask(type='websocket') == [{'type': 'websocket.close', 'code': 1008}]
