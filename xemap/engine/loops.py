"""The training loop."""

from __future__ import annotations

from itertools import islice

from mmengine.runner import loops

from xemap.registry import LOOPS


@LOOPS.register_module()
class EpochBasedTrainLoop(loops.EpochBasedTrainLoop):
    """mmengine's loop of that name, which can go on in the middle of an epoch.

    mmengine restarts the epoch in which a checkpoint was written (``CheckpointHook(by_epoch=False)``),
    so that some images are seen twice and the run gets longer. Here the batches that were done are
    passed over. Arguments: see :class:`mmengine.runner.EpochBasedTrainLoop`.
    """

    def run_epoch(self) -> None:
        """Run what is left of one epoch."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        done = max(0, self._iter - self._epoch * len(self.dataloader))
        for index, data_batch in islice(enumerate(self.dataloader), done, None):
            self.run_iter(index, data_batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1
