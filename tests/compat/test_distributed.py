"""Who shares a GPU with whom. Real runs with two processes are in tests/tools and tests/engine."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import Config

from xemap.compat import distributed


@pytest.mark.parametrize(
    'gpus, processes, devices',
    [(0, 2, []), (1, 2, [0, 0]), (2, 3, [0, 1, 0]), (2, 2, None), (1, 1, None)],
)
def test_processes_without_a_gpu_of_their_own_share(monkeypatch, gpus, processes, devices):
    chosen, started = [], []
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: gpus)
    monkeypatch.setattr(torch.cuda, 'set_device', chosen.append)
    monkeypatch.setenv('LOCAL_WORLD_SIZE', str(processes))

    for process in range(processes):

        def init_dist(launcher, process=process, **options):
            started.append((launcher, options))
            torch.cuda.set_device(process)

        monkeypatch.setattr(distributed, 'init_dist', init_dist)
        cfg = Config(dict(launcher='pytorch', env_cfg=dict(dist_cfg=dict(backend='nccl'))))
        distributed.prepare_distributed(cfg)
        assert ('model_wrapper_cfg' in cfg) == (devices is not None)
    if devices is None:
        assert not started and not chosen  # mmengine's own way, with NCCL
    else:
        assert started == [('pytorch', {'backend': 'gloo'})] * processes and chosen == devices
        assert cfg.model_wrapper_cfg.device_ids is None


def test_one_process_needs_no_group(monkeypatch):
    monkeypatch.setattr(distributed, 'init_dist', lambda *_, **__: pytest.fail('a group was started'))
    cfg = Config({})
    distributed.prepare_distributed(cfg)
    assert 'model_wrapper_cfg' not in cfg
