"""A warning where a model answers every query with one value."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
from mmengine.dist import all_gather_object
from mmengine.hooks import Hook

from xemap.registry import HOOKS
from xemap.structures import MapAnswers, XeMapDataSample


@HOOKS.register_module()
class ConstantMapsHook(Hook):
    """Warns after a validation in which the maps of all queries are constant.

    Plain L1 ends there from random encoders: targets are mostly zero, and zero everywhere is their median.

    Args:
        least_spread: a map counts as constant if its largest and smallest value differ by less.
    """

    def __init__(self, least_spread: float = 0.02) -> None:
        self.least_spread = least_spread
        self._spreads: list[float] = []

    def before_val_epoch(self, runner) -> None:
        self._spreads = []

    def after_val_iter(self, runner, batch_idx: int, data_batch: dict, outputs: Sequence[XeMapDataSample] = ()) -> None:
        for sample in outputs:
            if 'answers' in sample and isinstance(sample.answers, MapAnswers):
                self._spreads += np.ptp(sample.answers.data, axis=(1, 2)).tolist()

    def after_val_epoch(self, runner, metrics: dict | None = None) -> None:
        spreads = list(chain.from_iterable(all_gather_object(self._spreads)))
        if spreads and max(spreads) < self.least_spread:
            runner.logger.warning(
                f'all {len(spreads)} maps of the validation are constant (largest spread {max(spreads):.3f}): training '
                'may have collapsed to "everything is background"; the loss BalancedMapL1Loss averages the error over '
                'target and background separately (model.head.loss), and plain L1 wants pretrained encoders'
            )
