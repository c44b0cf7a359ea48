"""Distributed runs on machines without CUDA.

mmengine 0.10's launchers call ``torch.cuda.set_device`` unconditionally, and its Runner gives DDP device
ids, which DDP refuses for a model on the CPU. Can go when mmengine starts gloo on the CPU by itself.
Inactive on CUDA machines.
"""

from __future__ import annotations

from unittest import mock

import torch
from mmengine.config import Config
from mmengine.dist import init_dist, is_distributed


def prepare_distributed(cfg: Config) -> None:
    """Start the process group on the CPU if ``cfg.launcher`` asks for one, and adapt ``cfg`` to it.

    Args:
        cfg: a Runner's config; ``model_wrapper_cfg`` is set for the CPU.
    """
    if cfg.get('launcher', 'none') == 'none' or torch.cuda.is_available():
        return
    if not is_distributed():
        options = dict(cfg.get('env_cfg', {}).get('dist_cfg', {}), backend='gloo')
        with mock.patch.object(torch.cuda, 'set_device', lambda device: None):
            init_dist(cfg.launcher, **options)
    wrapper = dict(type='MMDistributedDataParallel', broadcast_buffers=False)
    wrapper['find_unused_parameters'] = cfg.get('find_unused_parameters', False)
    wrapper.update(cfg.get('model_wrapper_cfg') or {})
    cfg.model_wrapper_cfg = dict(wrapper, device_ids=None)


def close_distributed() -> None:
    """Leave the process group, if there is one, so that the process ends without complaint."""
    if is_distributed():
        torch.distributed.destroy_process_group()
