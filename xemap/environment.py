"""What a measured number depends on besides the code."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import cv2
import mmdet
import mmengine
import numpy as np
import torch
import transformers

import xemap
from xemap.errors import ConfigError
from xemap.models.fusion.sampling import has_compiled_ops

ROOT = Path(xemap.__file__).resolve().parents[1]


def choose_device(name: str) -> str:
    """``'cpu'`` or ``'cuda'``; ``'auto'`` takes the GPU where there is one.

    Raises:
        ConfigError: no such device.
    """
    if name == 'auto':
        return 'cuda' if torch.cuda.is_available() else 'cpu'
    if name not in ('cpu', 'cuda'):
        raise ConfigError(f'device "{name}" is unknown; use auto, cpu or cuda')
    if name == 'cuda' and not torch.cuda.is_available():
        raise ConfigError('device "cuda": torch sees no GPU; use --device cpu, or a torch built for CUDA')
    return name


def describe_environment(device: str) -> dict[str, Any]:
    """Device, processor, versions and commit.

    ``load_average`` is that of the last minute, None where the system has none: above the number of
    busy threads, something else was running.
    """
    commit, changed = _commit()
    return {
        'device': device,
        'device_name': torch.cuda.get_device_name() if device == 'cuda' else _processor(),
        'processor': _processor(),
        'cpu_count': len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count(),
        'load_average': os.getloadavg()[0] if hasattr(os, 'getloadavg') else None,
        'python': platform.python_version(),
        'versions': {
            'xemap': xemap.__version__,
            'torch': torch.__version__,
            'mmengine': mmengine.__version__,
            'mmdet': mmdet.__version__,
            'transformers': transformers.__version__,
            'numpy': np.__version__,
            'opencv': cv2.__version__,
        },
        'compiled_mmcv_ops': has_compiled_ops(),
        'commit': commit,
        'uncommitted_changes': changed,
    }


def _processor() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor() or platform.machine()


def _commit() -> tuple[str | None, bool | None]:
    """Commit of the checkout and whether files differ from it; None where this is no checkout."""
    root, commit = _git('rev-parse', '--show-toplevel'), _git('rev-parse', 'HEAD')
    if not root or not commit or Path(root).resolve() != ROOT:  # installed into somebody else's repository
        return None, None
    return commit, bool(_git('status', '--porcelain'))


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(['git', '-C', str(ROOT), *words], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
