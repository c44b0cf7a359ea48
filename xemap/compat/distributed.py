"""Distributed runs on machines with fewer GPUs than processes, or with none.

mmengine 0.10's launchers call ``torch.cuda.set_device`` with the number of the process, and its Runner gives DDP that
number as the device. Without a GPU both fail; so do two processes that share one. Can go when mmengine starts gloo in
these cases by itself. Inactive where every process has a GPU of its own.
"""

from __future__ import annotations

import os
from unittest import mock

import torch
from mmengine.config import Config
from mmengine.dist import init_dist, is_distributed


def prepare_distributed(cfg: Config) -> None:
    """Start the process group with gloo if ``cfg.launcher`` asks for one and GPUs lack, and adapt ``cfg`` to it.

    Processes share GPUs in turn: of two processes and one GPU both take that one.

    Args:
        cfg: a Runner's config; ``model_wrapper_cfg`` is set for it.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    # Set by torchrun; other launchers of mmengine share GPUs by themselves.
    processes = int(os.environ.get('LOCAL_WORLD_SIZE', 1))
    if cfg.get('launcher', 'none') == 'none' or gpus >= processes:
        return
    if not is_distributed():
        options = dict(cfg.get('env_cfg', {}).get('dist_cfg', {}), backend='gloo')
        choose = torch.cuda.set_device

        def share(process: int) -> None:
            if gpus:
                choose(process % gpus)

        with mock.patch.object(torch.cuda, 'set_device', share):
            init_dist(cfg.launcher, **options)
    wrapper = dict(type='MMDistributedDataParallel', broadcast_buffers=False)
    wrapper['find_unused_parameters'] = cfg.get('find_unused_parameters', False)
    wrapper.update(cfg.get('model_wrapper_cfg') or {})
    cfg.model_wrapper_cfg = dict(wrapper, device_ids=None)


def close_distributed() -> None:
    """Leave the process group, if there is one, so that the process ends without complaint."""
    if is_distributed():
        torch.distributed.destroy_process_group()
