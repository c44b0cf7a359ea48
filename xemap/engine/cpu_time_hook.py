"""Processor time and memory of a training."""

from __future__ import annotations

import time
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from xemap.files import write_json
from xemap.process_memory import peak_memory
from xemap.registry import HOOKS


@HOOKS.register_module()
class CPUTimeHook(Hook):
    """Writes ``work_dir/training_time.json`` at the end of a training.

    Its keys are ``steps``; ``cpu_seconds``, of all threads of the training process from the first step on, with those
    before an interruption; ``step_seconds``, ``cpu_seconds`` per step without the first ``warm_up`` steps of this
    process; ``peak_memory_bytes``, the most memory that this process held (None where the system does not tell);
    ``parameters`` and ``trained_parameters``. Worker processes of the data loader are not counted: give it
    ``num_workers=0``.

    Args:
        warm_up: steps that ``step_seconds`` leaves out.
    """

    priority = 'LOW'  # before the checkpoint of the step is written

    def __init__(self, warm_up: int = 5) -> None:
        self.warm_up = warm_up

    def before_train(self, runner) -> None:
        self._steps = 0
        self._begun = self._warm = self._last = time.process_time()
        self._before = float(runner.message_hub.runtime_info.get('cpu_seconds', 0.0))

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        checkpoint['message_hub']['runtime_info']['cpu_seconds'] = self._seconds()

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        self._steps += 1
        self._last = time.process_time()
        if self._steps == self.warm_up:
            self._warm = self._last

    def after_train(self, runner) -> None:
        seconds = self._seconds()
        counted = self._steps - self.warm_up
        sizes = [(p.numel(), p.requires_grad) for p in runner.model.parameters()]
        report = {
            'steps': runner.iter,
            'cpu_seconds': seconds,
            'step_seconds': (self._last - self._warm) / counted if counted > 0 else None,
            'peak_memory_bytes': peak_memory(),
            'parameters': sum(n for n, _ in sizes),
            'trained_parameters': sum(n for n, trained in sizes if trained),
        }
        if is_main_process():
            write_json(Path(runner.work_dir, 'training_time.json'), report)

    def _seconds(self) -> float:
        return self._before + time.process_time() - self._begun
