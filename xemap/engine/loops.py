"""The training loop."""

from __future__ import annotations

from itertools import islice

from mmengine.logging import print_log
from mmengine.runner import loops

from xemap.registry import LOOPS


@LOOPS.register_module()
class EpochBasedTrainLoop(loops.EpochBasedTrainLoop):
    """mmengine's loop of that name, which can go on in the middle of an epoch.

    mmengine restarts the epoch in which a checkpoint was written (``CheckpointHook(by_epoch=False)``),
    so that some images are seen twice and the run gets longer. Here the steps that were done are
    passed over. Arguments: see :class:`mmengine.runner.EpochBasedTrainLoop`.

    Attributes:
        steps_done: steps of the current epoch that are finished.
    """

    steps_done = 0

    def run_epoch(self) -> None:
        """Run what is left of one epoch."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        if hasattr(self.dataloader.batch_sampler, 'set_epoch'):
            self.dataloader.batch_sampler.set_epoch(self._epoch)
        for step, data_batch in islice(enumerate(self.dataloader), self.steps_done, None):
            self.run_iter(step, data_batch)
            self.steps_done = step + 1
        self.runner.call_hook('after_train_epoch')
        self.steps_done = 0
        self._epoch += 1

    def progress(self, by_epoch: bool) -> dict[str, int]:
        """What a checkpoint needs beside epoch and iteration to go on within an epoch.

        Args:
            by_epoch: the checkpoint is written at the end of an epoch, otherwise at the end of a step.
        """
        return {'epoch_steps': len(self.dataloader), 'steps_done': 0 if by_epoch else self.steps_done + 1}

    def resume(self, meta: dict) -> bool:
        """Go on where a checkpoint was written.

        Steps are passed over only where an epoch has as many as then. Otherwise the loop goes on at the
        start of the epoch, and iterations count as if every epoch had had today's number of steps.

        Args:
            meta: meta data of the checkpoint, with ``epoch``, ``iter`` and what :meth:`progress` returned.

        Returns:
            whether an epoch has as many steps as then.
        """
        steps, epoch, done = len(self.dataloader), meta['epoch'], meta.get('steps_done', 0)
        if meta.get('epoch_steps', steps) == steps and meta['iter'] == epoch * steps + done:
            self.steps_done = done
            return True
        before = meta.get('epoch_steps', 'another number of')
        again = f'; the {done} steps that were done of it are done again' if done else ''
        print_log(
            f'an epoch has {steps} steps now and had {before} when the checkpoint was written: training goes on at '
            f'the start of epoch {epoch + 1}{again}; iterations and schedules continue as if every epoch had had '
            f'{steps} steps',
            logger='current',
            level=30,
        )
        self._iter = epoch * steps
        return False
