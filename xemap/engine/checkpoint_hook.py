"""Checkpoints that survive a kill at any moment.

mmengine writes a checkpoint straight to its final name, and deletes the outdated and the previous best
one before it writes the new. A process killed in between leaves a truncated file, or none.
"""

from __future__ import annotations

import os
from pathlib import Path

from mmengine import hooks
from mmengine.dist import is_main_process, master_only
from mmengine.fileio import LocalBackend, register_backend

from xemap.errors import ConfigError
from xemap.registry import HOOKS

BACKEND = 'xemap_atomic'
PART_SUFFIX = '.part'


class AtomicLocalBackend(LocalBackend):
    """Local files that appear under their name only when they are complete and on the disk."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        path = Path(filepath)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f'{path.name}.{os.getpid()}{PART_SUFFIX}')
        try:
            with open(part, 'wb') as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        self.put(obj.encode(encoding), filepath)


register_backend(BACKEND, AtomicLocalBackend, force=True)


@HOOKS.register_module()
class CheckpointHook(hooks.CheckpointHook):
    """mmengine's hook of that name, writing first and deleting afterwards.

    Args:
        backend_args: where to write; local files by default, each written completely or not at all.
        kwargs: see :class:`mmengine.hooks.CheckpointHook`.
    """

    best_ckpt_path: str | None
    best_ckpt_path_dict: dict[str, str | None]

    def __init__(self, *args, backend_args: dict | None = None, **kwargs) -> None:
        super().__init__(*args, backend_args=backend_args or {'backend': BACKEND}, **kwargs)

    def before_train(self, runner) -> None:
        super().before_train(runner)
        if is_main_process():
            for folder in {Path(self.out_dir), Path(runner.work_dir)}:
                for part in folder.glob(f'*.*{PART_SUFFIX}'):
                    part.unlink()  # left by a run that was killed while it wrote

    def _save_checkpoint_with_step(self, runner, step: int, meta: dict) -> None:
        outdated = None
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                outdated = self.filename_tmpl.format(self.keep_ckpt_ids.popleft())
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            AtomicLocalBackend().put_text(self.last_ckpt, Path(runner.work_dir, 'last_checkpoint'))
        if outdated:
            self._remove(self.file_backend.join_path(self.out_dir, outdated))

    def _save_best_checkpoint(self, runner, metrics: dict) -> None:
        if not self.save_best:
            return
        for key in self.key_indicators:
            if key != 'auto' and key not in metrics:
                raise ConfigError(f'save_best: "{key}" is no metric of this run; known: {", ".join(sorted(metrics))}')
        # The parent deletes the best checkpoint that it knows of before it writes a better one.
        single = len(self.key_indicators) == 1
        previous = {self.key_indicators[0]: self.best_ckpt_path} if single else dict(self.best_ckpt_path_dict)
        if single:
            self.best_ckpt_path = None
        else:
            self.best_ckpt_path_dict = dict.fromkeys(previous)
        super()._save_best_checkpoint(runner, metrics)
        for key, old in previous.items():
            new = self.best_ckpt_path if single else self.best_ckpt_path_dict[key]
            if new is None and single:
                self.best_ckpt_path = old
            elif new is None:
                self.best_ckpt_path_dict[key] = old
            elif old and old != new:
                self._remove(old)

    @master_only
    def _remove(self, path: str) -> None:
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)
