from __future__ import annotations

import multiprocessing
import os

import pytest

from tests.engine.toy import write_config
from xemap.engine import XeMapRunner, build_runner, load_config


@pytest.fixture
def toy_runner(tmp_path):
    """Builds runners of the toy model: ``toy_runner(work_dir='a', options={…}, resume=True)``."""

    def make(work_dir: str = 'run', options: dict | None = None, **kwargs) -> XeMapRunner:
        cfg = load_config(write_config(tmp_path), options)
        return build_runner(cfg, tmp_path / work_dir, **kwargs)

    return make


@pytest.fixture(scope='session')
def start_process(process_server):
    """Starts ``function(*args)`` in a process of its own, on the CPU; the function must be importable."""

    def start(function, *args) -> multiprocessing.Process:
        process = process_server.Process(target=_on_cpu, args=(function, *args))
        process.start()
        return process

    return start


def _on_cpu(function, *args) -> None:
    os.environ['CUDA_VISIBLE_DEVICES'] = ''
    import torch

    torch.set_num_threads(1)
    function(*args)
