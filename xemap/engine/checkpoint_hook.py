"""Checkpoints that survive a kill at any moment.

mmengine writes a checkpoint straight to its final name, and deletes the outdated and the previous best
one before it writes the new. A process killed in between leaves a truncated file, or none.
"""

from __future__ import annotations

import shutil
from io import BytesIO
from pathlib import Path

import torch
from mmengine import hooks
from mmengine.dist import is_main_process, master_only
from mmengine.fileio import LocalBackend, register_backend
from mmengine.model import is_model_wrapper

from xemap.compat.checkpoint_loading import load_checkpoint_file
from xemap.errors import CheckpointError, ConfigError, OutOfSpaceError
from xemap.evaluation.scores import main_score, score_rules
from xemap.files import remove_parts, write_bytes
from xemap.models.frozen_weights import LEFT_OUT, fingerprint, without
from xemap.registry import HOOKS

BACKEND = 'xemap_atomic'


class AtomicLocalBackend(LocalBackend):
    """Local files that appear under their name only when they are complete and on the disk."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        path = Path(filepath)
        try:
            write_bytes(path, obj, sync=True)
        except (OSError, OutOfSpaceError) as error:
            reason = error.strerror if isinstance(error, OSError) else 'no space left'
            free = shutil.disk_usage(path.parent).free if path.parent.is_dir() else 0
            raise CheckpointError(
                f'{path} ({len(obj) / 1e6:.1f} MB) cannot be written: {reason}, {free / 1e6:.1f} MB are free; '
                'make space and go on with --resume, which takes the checkpoint before'
            ) from error

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        self.put(obj.encode(encoding), filepath)


register_backend(BACKEND, AtomicLocalBackend, force=True)


@HOOKS.register_module()
class CheckpointHook(hooks.CheckpointHook):
    """mmengine's hook of that name, writing first and deleting afterwards.

    Args:
        save_best: name of the result by which the best checkpoint is chosen; ``'auto'`` = the main score of the first
            metric of the validation.
        rule: ``'greater'`` or ``'less'``; None = as the metric declares its score.
        leave_out_frozen: leave out frozen parts whose weights come by a name in the config (text encoder of a hub,
            backbone of an address); loading puts them back, see :mod:`xemap.models.frozen_weights`.
        keep_optimizer: ``'latest'`` keeps the optimizer's state, which resuming needs, in the newest checkpoint
            only, ``'all'`` in all.
        backend_args: where to write; local files by default, each written completely or not at all.
        kwargs: see :class:`mmengine.hooks.CheckpointHook`.
    """

    best_ckpt_path: str | None
    best_ckpt_path_dict: dict[str, str | None]

    def __init__(
        self,
        *args,
        save_best: str | list[str] | None = None,
        rule: str | list[str] | None = None,
        leave_out_frozen: bool = True,
        keep_optimizer: str = 'latest',
        backend_args: dict | None = None,
        **kwargs,
    ) -> None:
        self._declared = rule is None
        known = rule or (None if save_best in (None, 'auto') else 'greater')  # until the metrics are there
        backend_args = backend_args or {'backend': BACKEND}
        super().__init__(*args, save_best=save_best, rule=known, backend_args=backend_args, **kwargs)
        if keep_optimizer not in ('latest', 'all'):
            raise ConfigError(f'CheckpointHook: keep_optimizer is {keep_optimizer!r}; give "latest" or "all"')
        self.leave_out_frozen, self.keep_optimizer = leave_out_frozen, keep_optimizer
        self._left_out: dict[str, str] = {}

    def before_train(self, runner) -> None:
        if self.save_best and self._declared and runner.val_loop is not None:
            rules = score_rules(runner.val_loop.evaluator)
            main = main_score(runner.val_loop.evaluator)[0] if rules else 'auto'
            indicators = [main if name == 'auto' else name for name in self.key_indicators]
            self._init_rule([rules.get(name, 'greater') if rules else None for name in indicators], indicators)
        super().before_train(runner)
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if self.leave_out_frozen:  # a checkpoint that was loaded may have brought others
            parts = runner.named_parts.items()
            self._left_out = {name: mark for name, mark in parts if fingerprint(model.get_submodule(name)) == mark}
        sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
        trained, total = sum(n for n, trains in sizes if trains), sum(n for n, _ in sizes)
        names = f'; checkpoints leave out {", ".join(self._left_out)}, named by the config' if self._left_out else ''
        runner.logger.info(f'{trained:,} of {total:,} parameters train{names}')
        if is_main_process():
            for folder in {Path(self.out_dir), Path(runner.work_dir)}:
                remove_parts(folder, below=False)  # left by a run that was killed while it wrote

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        if self._left_out:
            checkpoint['state_dict'] = without(checkpoint['state_dict'], self._left_out)
            checkpoint['meta'][LEFT_OUT] = self._left_out

    def _save_checkpoint_with_step(self, runner, step: int, meta: dict) -> None:
        outdated = None
        if self.max_keep_ckpts > 0 and step not in self.keep_ckpt_ids:
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                outdated = self.filename_tmpl.format(self.keep_ckpt_ids.popleft())
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        name = self.filename_tmpl.format(step)
        before = runner.message_hub.runtime_info.get('last_ckpt')
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
        if before != self.last_ckpt and self.keep_optimizer == 'latest':
            self._drop_optimizer(before)

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
    def _drop_optimizer(self, path: str | None) -> None:
        """Make an older checkpoint of this run smaller, where it still lies in its folder."""
        if path is None or Path(path).parent != Path(self.out_dir) or not Path(path).is_file():
            return
        content = load_checkpoint_file(path)
        if content.pop('optimizer', None) is not None:
            buffer = BytesIO()
            torch.save(content, buffer)
            AtomicLocalBackend().put(buffer.getvalue(), path)

    @master_only
    def _remove(self, path: str) -> None:
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)
