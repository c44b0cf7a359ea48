"""Services for :class:`~xemap.demo.model_process.ModelProcess`, which starts them in processes of their own.

The module is imported there, each time anew, so it imports nothing heavy.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path

import numpy as np

from xemap.demo.request import Answer, Request
from xemap.errors import ConfigError


class HostileService:
    """A service that a request can make do anything."""

    def preview(self, path: str) -> Answer:
        if path == 'hang':
            time.sleep(60)
        elif path == 'eat':
            kept = []
            while len(kept) < 40:
                kept.append(np.ones(20_000_000 // 8))
                time.sleep(0.01)
        elif path == 'crash':
            os.kill(os.getpid(), signal.SIGKILL)
        return Answer(f'{os.getpid()}')

    def answer(self, request: Request, out: str, progress=None) -> Answer:
        files = []
        for i in range(int(request.queries[0])):
            Path(out, f'{i}').write_bytes(bytes(100_000))
            files.append(str(Path(out, f'{i}')))
            time.sleep(0.01)
        if request.mode == 'unnamed':
            with tempfile.TemporaryFile() as file:
                file.write(bytes(2_000_000))
                file.flush()
                time.sleep(1.5)
        progress(1, 2)
        return Answer('ok', files, ok=request.mode != 'failed')


def broken() -> HostileService:
    raise ConfigError('no such model; choose another')
