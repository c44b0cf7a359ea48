"""From a config and the options of a command line to a Runner."""

from __future__ import annotations

import inspect
import os
import re
from itertools import count
from pathlib import Path

import torch
from mmengine.config import Config

from xemap.compat.distributed import close_distributed, prepare_distributed
from xemap.engine.checkpoint import find_newest_checkpoint
from xemap.engine.runner import XeMapRunner
from xemap.errors import ConfigError
from xemap.registry import DATASETS, constructor_keywords

_runs = count()

_LAUNCHED_WITH = {'pytorch': 'RANK', 'slurm': 'SLURM_PROCID', 'mpi': 'OMPI_COMM_WORLD_RANK'}
"""What a launcher leaves in the environment."""


def build_runner(
    cfg: Config,
    work_dir: str | Path | None = None,
    *,
    checkpoint: str | Path | None = None,
    resume: str | Path | bool | None = None,
    amp: bool = False,
    auto_scale_lr: bool = False,
    launcher: str = 'none',
    seed: int | None = None,
    deterministic: bool = False,
) -> XeMapRunner:
    """A Runner ready for ``train()`` or ``test()``.

    Args:
        cfg: the config, see :func:`xemap.engine.load_config`; changed in place.
        work_dir: where everything is written; default ``cfg.work_dir``, then ``work_dirs/CONFIG_NAME``.
        checkpoint: weights to start from.
        resume: True or ``'auto'`` goes on from the newest readable checkpoint in ``work_dir``, or starts
            anew if there is none; a path goes on from that one.
        amp: mixed precision: bfloat16 where the GPU has it, else float16 with loss scaling.
        auto_scale_lr: scale learning rates with the pairs per step, see :meth:`XeMapRunner.scale_lr`.
        launcher: none, pytorch, slurm or mpi.
        seed: seed of model and data; default ``cfg.randomness.seed``.
        deterministic: use only deterministic CUDA algorithms.

    Raises:
        ConfigError: the config or an option does not fit.
        CheckpointError: the checkpoint to resume cannot be read.
    """
    if not cfg.get('model'):
        raise ConfigError(f'config {cfg.filename} has no "model"')
    name = _name(cfg)
    cfg.work_dir = default_work_dir(cfg, work_dir)
    cfg.launcher = launcher
    variable = _LAUNCHED_WITH.get(launcher)
    if variable and variable not in os.environ:
        raise ConfigError(f'--launcher {launcher}: {variable} is not set; use tools/dist_*.sh or tools/slurm_*.sh')
    # Loggers and visualizers are kept by name and second; two runs of a process must not share them.
    run = next(_runs)
    cfg.experiment_name = f'{name}_{run}' if run else name
    if checkpoint is not None:
        cfg.load_from = str(checkpoint)
    _set_resume(cfg, resume)
    _set_randomness(cfg, seed, deterministic)
    if amp:
        _set_amp(cfg)
    if auto_scale_lr:
        if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
            raise ConfigError('--auto-scale-lr: set auto_scale_lr = dict(base_batch_size=…) in the config, in pairs')
        cfg.auto_scale_lr.enable = True
    prepare_distributed(cfg)
    try:
        return XeMapRunner.from_cfg(cfg)
    except ImportError as error:  # of an optional package that the config names, such as wandb
        raise ConfigError(f'config {cfg.filename}: {error}') from error
    except ValueError as error:
        if not re.search('either all None or not None|Seed must be', str(error)):
            raise
        raise ConfigError(f'config {cfg.filename}: {error}') from error


def train_model(cfg: Config, work_dir: str | Path | None = None, **options) -> None:
    """Train; arguments as for :func:`build_runner`.

    Raises:
        ConfigError: as :func:`build_runner`, or the config is for testing only.
        CheckpointError: as :func:`build_runner`.
    """
    if not cfg.get('train_dataloader'):
        raise ConfigError(
            f'config {cfg.filename} has no train_dataloader: it is for testing; SeLo takes the checkpoint of its '
            'retrieval model, which a config in configs/retrieval trains'
        )
    try:
        build_runner(cfg, work_dir, **options).train()
    finally:
        close_distributed()


def _name(cfg: Config) -> str:
    return Path(cfg.filename).stem if cfg.filename else 'xemap'


def default_work_dir(cfg: Config, work_dir: str | Path | None) -> str:
    return str(work_dir or cfg.get('work_dir') or Path('work_dirs', _name(cfg)))


def _set_resume(cfg: Config, resume: str | Path | bool | None) -> None:
    if resume is None:
        resume = cfg.get('load_from') or True if cfg.get('resume') else False
    if resume is False:
        cfg.resume = False
    elif resume is True or str(resume) == 'auto':
        newest = find_newest_checkpoint(cfg.work_dir)
        cfg.resume = newest is not None
        if newest is not None:
            cfg.load_from = str(newest)
    else:
        cfg.resume, cfg.load_from = True, str(resume)


def _set_randomness(cfg: Config, seed: int | None, deterministic: bool) -> None:
    randomness = dict(cfg.get('randomness') or {})
    if seed is None:
        seed = randomness.get('seed')
    randomness['seed'] = 0 if seed is None else seed
    if deterministic:
        randomness['deterministic'] = True
    cfg.randomness = randomness
    if seed is not None and cfg.get('train_dataloader'):
        _seed_datasets(cfg.train_dataloader.get('dataset'), seed)


def _seed_datasets(dataset: dict | None, seed: int) -> None:
    """Give the seed to every data set in the config of one that takes it."""
    if not isinstance(dataset, dict):
        return
    kind = dataset.get('type')
    cls = DATASETS.get(kind) if isinstance(kind, str) else kind
    if inspect.isclass(cls) and 'seed' in constructor_keywords(cls):
        dataset['seed'] = seed
    for part in [dataset.get('dataset'), *(dataset.get('datasets') or [])]:
        _seed_datasets(part, seed)


def _set_amp(cfg: Config) -> None:
    if not torch.cuda.is_available():
        raise ConfigError('--amp: mixed precision needs a GPU; leave it out on the CPU')
    dtype = 'bfloat16' if torch.cuda.is_bf16_supported() else 'float16'
    # bfloat16 has float32's range: Grounding DINO's attention overflows in float16 (mmdetection #10335).
    scale = {'loss_scale': 'dynamic'} if dtype == 'float16' else {'loss_scale': 1.0}
    cfg.optim_wrapper.update(type='AmpOptimWrapper', dtype=dtype, **scale)
