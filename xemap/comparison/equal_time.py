"""Trainings of equal processor time, so that methods can be compared on a machine that other work shares."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.config import Config

from xemap.config import load_config
from xemap.engine.checkpoint import find_newest_checkpoint
from xemap.engine.runner_setup import train_model
from xemap.errors import ConfigError, XeMapError
from xemap.files import write_json
from xemap.parallel import process_environment, start_process
from xemap.registry import typed_parts

MEASURED_STEPS = 20
WARM_UP_STEPS = 5
"""Steps before those that are measured."""

WARM_UP_SHARE = 0.1
"""Share of a training in which the learning rate rises from a hundredth to that of the config; it then falls linearly
and reaches 0 with the last step."""

ONE_THREAD_NO_GPU = {'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}


def train_for(
    config: str | Path,
    cpu_seconds: float,
    folder: str | Path,
    options: list[str] | dict | None = None,
    start: str | Path | None = None,
) -> dict[str, Any]:
    """Train a config for this processor time of one thread, on the CPU.

    A process of its own trains ``WARM_UP_STEPS + MEASURED_STEPS`` steps; their time says how many steps the training
    gets. It validates nothing and reads its data itself, without worker processes. A call goes on where an earlier one
    was interrupted; a finished training is left as it is.

    Args:
        config: path or name.
        cpu_seconds: processor time of all steps together; reading the model and writing the last checkpoint are extra.
        folder: gets ``plan.json``, ``training_time.json``, the config as it is trained, logs and checkpoints.
        options: overrides of the config.
        start: checkpoint whose weights the training starts from; None = as the config says.

    Returns:
        ``config`` and ``checkpoint`` (paths), ``steps``, ``cpu_seconds``, ``peak_memory_bytes``, ``parameters``,
        ``trained_parameters``; see :class:`~xemap.engine.cpu_time_hook.CPUTimeHook`.

    Raises:
        ConfigError: the config does not train, the time is too short for two steps, or the folder holds a training of
            another config or time.
    """
    folder = Path(folder)
    cfg = load_config(config, options)
    if not cfg.get('train_dataloader'):
        raise ConfigError(f'config {cfg.filename} has no train_dataloader: give that of its retrieval model')
    if start is not None:
        cfg.load_from = str(start)
    request = {
        'config': str(config),
        'options': options or [],
        'start': cfg.get('load_from'),
        'cpu_seconds': cpu_seconds,
    }
    plan = _read(folder / 'plan.json')
    if plan is None:
        measured = _train(of_steps(cfg, WARM_UP_STEPS + MEASURED_STEPS), folder / 'measured')
        steps = round(cpu_seconds / measured['step_seconds'])
        plan = {**request, 'step_seconds': measured['step_seconds'], 'steps': steps}
        write_json(folder / 'plan.json', plan)
    if {key: plan.get(key) for key in request} != request:
        raise ConfigError(f'{folder} holds a training of {plan}, not of {request}; give another folder')
    if plan['steps'] < 2:
        raise ConfigError(
            f'{cpu_seconds:g} s are {plan["steps"]} steps of {cfg.filename} ({plan["step_seconds"]:.2f} s each); '
            'give more time'
        )
    path = folder / Path(cfg.filename).name
    done = _read(folder / 'training_time.json') or _train(of_steps(cfg, plan['steps']), folder)
    return {**done, 'config': str(path), 'checkpoint': str(find_newest_checkpoint(folder))}


def of_steps(cfg: Config, steps: int) -> Config:
    """A copy of a config that trains this many steps in one process, without validation; its schedule ends with them.

    All steps see images of one size: the time of the first ones tells that of all, and there may be no full epoch.

    Args:
        cfg: stays as it is.
        steps: at least 2.
    """
    cfg = Config(cfg._cfg_dict.to_dict(), filename=cfg.filename)
    for key in ('val_cfg', 'val_dataloader', 'val_evaluator'):
        cfg[key] = None
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=steps)
    rise = max(1, round(steps * WARM_UP_SHARE))
    cfg.param_scheduler = [
        dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=rise),
        dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=False, begin=rise, end=steps),
    ]
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    for _, part in typed_parts(cfg.train_dataloader):
        for key in ('first_size', 'first_epochs'):
            part.pop(key, None)
    hooks = cfg.setdefault('default_hooks', {})
    hooks.update(
        checkpoint=dict(
            type='CheckpointHook',
            by_epoch=False,
            interval=max(WARM_UP_STEPS + MEASURED_STEPS, steps // 4),
            max_keep_ckpts=1,
        ),
        logger=dict(type='LoggerHook', interval=10),
        draw=None,
        constant_maps=None,
    )
    cfg.log_processor = dict(type='LogProcessor', window_size=20, by_epoch=False)
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), dict(type='CPUTimeHook', warm_up=WARM_UP_STEPS)]
    return cfg


def _train(cfg: Config, folder: Path) -> dict[str, Any]:
    """Train in a process of its own, whose memory is that of this training; what its ``training_time.json`` says."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / Path(cfg.filename).name
    cfg.dump(path)
    exit_code = in_own_process(_run, str(path), str(folder))
    report = _read(folder / 'training_time.json')
    if exit_code or report is None:
        raise ConfigError(f'training {path} ended with exit code {exit_code}; its log in {folder} says why')
    return report


def in_own_process(function: Callable, *arguments: str) -> int | None:
    """Call a function in a new process with one thread and no GPU, which ends with this one; its exit code."""
    with process_environment(ONE_THREAD_NO_GPU):
        process = start_process(function, arguments)
    process.join()
    return process.exitcode


def _run(config: str, folder: str) -> None:
    import torch

    torch.set_num_threads(1)
    try:
        train_model(load_config(config), folder, resume='auto')
    except XeMapError as error:
        sys.exit(f'error: {error}')


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text()) if path.is_file() else None
