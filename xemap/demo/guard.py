"""Which requests reach the page at all: those to its own names, from its own pages, of a size that it takes."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from xemap.demo.storage import Storage
from xemap.errors import DataError

LOOPBACK = frozenset({'localhost', '127.0.0.1', '::1'})
EVERY_ADDRESS = frozenset({'0.0.0.0', '::'})

MAX_MESSAGE = 1_000_000
"""Bytes of a request that uploads nothing."""

FORM_BYTES = 10_000
"""What a form adds to the file that it uploads."""

HEADERS = (
    (
        b'content-security-policy',
        b"default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; frame-ancestors 'self'; base-uri 'self'; "
        b"object-src 'none'",
    ),
    (b'referrer-policy', b'no-referrer'),
    (b'x-content-type-options', b'nosniff'),
    (b'cross-origin-resource-policy', b'same-origin'),
)
"""The promise "nothing from elsewhere, nothing to elsewhere", kept by the browser."""


class Names:
    """The host names under which a page answers.

    A name that an attacker's DNS server points at this machine is none of them. A numeric address can't be pointed
    anywhere, so that a page on every address of the machine takes each.

    Args:
        host: address that the server listens on.
        others: names by which it is reached besides, as behind a proxy.
    """

    def __init__(self, host: str, others: Iterable[str] = ()) -> None:
        self.given = frozenset(name.lower().strip('[]') for name in others)
        name = host.lower().strip('[]')
        self._any_address = name in EVERY_ADDRESS
        names = {name} | self.given
        if name in LOOPBACK or self._any_address:
            names |= LOOPBACK
        if self._any_address:
            names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
        self._names = frozenset(names)

    def __contains__(self, name: str | None) -> bool:
        return name in self._names or (self._any_address and _is_address(name))


class Guard:
    """ASGI application in front of another one.

    Args:
        app: what is guarded.
        names: host names under which it answers.
        max_upload: bytes of an upload.
        storage: where uploads go.
    """

    def __init__(self, app: Any, names: Names, max_upload: int, storage: Storage) -> None:
        self._app, self._names, self._max_upload, self._storage = app, names, max_upload, storage

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope['type'] == 'lifespan':
            await self._app(scope, receive, send)
            return
        if scope['type'] != 'http':  # the page uses no web sockets
            await send({'type': 'websocket.close', 'code': 1008})
            return
        headers = Headers(scope=scope)
        uploads = scope['path'].rstrip('/').endswith('/upload')
        refusal = self._foreign(headers) or self._oversized(headers, self._max_upload if uploads else MAX_MESSAGE)
        if refusal is not None:
            await refusal(scope, receive, _with_headers(send))
            return
        try:
            with self._storage.expecting(int(headers.get('content-length', 0))) if uploads else nullcontext():
                await self._app(scope, receive, _with_headers(send))
        except DataError as error:
            await PlainTextResponse(str(error), 507)(scope, receive, _with_headers(send))

    def _foreign(self, headers: Headers) -> PlainTextResponse | None:
        host = headers.get('host', '')
        if _name_of(f'//{host}') not in self._names:
            return PlainTextResponse('this page is not served under that name; see --allow-host', 421)
        origin = headers.get('origin')
        if origin is not None and origin.partition('://')[2] != host and _name_of(origin) not in self._names.given:
            return PlainTextResponse('pages from elsewhere may not ask this one', 403)
        site, mode = headers.get('sec-fetch-site'), headers.get('sec-fetch-mode')
        if origin is None and site in ('cross-site', 'same-site') and mode != 'navigate':
            return PlainTextResponse('pages from elsewhere may not ask this one', 403)
        return None

    @staticmethod
    def _oversized(headers: Headers, limit: int) -> PlainTextResponse | None:
        if 'transfer-encoding' in headers:
            return PlainTextResponse('say how long the request is (Content-Length)', 411)
        length = headers.get('content-length', '0')
        if not length.isdecimal() or int(length) > limit + FORM_BYTES:
            return PlainTextResponse(f'more than the {limit / 1e6:g} MB that are allowed', 413)
        return None


def _with_headers(send: Any) -> Any:
    async def wrapped(message: Any) -> None:
        if message['type'] == 'http.response.start':
            # What gradio allows pages from elsewhere is taken back.
            headers = [
                entry for entry in message.get('headers', ()) if not entry[0].lower().startswith(b'access-control-')
            ]
            message = {**message, 'headers': [*headers, *HEADERS]}
        await send(message)

    return wrapped


def _name_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _is_address(name: str | None) -> bool:
    try:
        ipaddress.ip_address(name or '')
    except ValueError:
        return False
    return True
