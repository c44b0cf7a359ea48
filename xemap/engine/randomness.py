"""Randomness as a function of the iteration."""

from __future__ import annotations

import random

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook

from xemap.registry import HOOKS


def seed_everything(*key: int) -> None:
    """Seed torch (all devices), numpy and Python from non-negative integers."""
    words = np.random.SeedSequence(key).generate_state(4)
    torch.manual_seed(int(words[0]) << 32 | int(words[1]))
    np.random.seed(words[2])  # noqa: NPY002  (third-party modules draw from it)
    random.seed(int(words[3]))


@HOOKS.register_module()
class SeedByIterationHook(Hook):
    """Seeds all generators from (seed, rank, iteration) before every training step.

    A resumed run then draws the same dropout masks as one that was never interrupted, on every rank,
    whatever validation or drawing consumed in between. Saving generator states instead would need
    those of all ranks, while only the first one writes checkpoints. The data pipeline needs none of
    this: it draws from (seed, epoch, index).
    """

    priority = 'VERY_HIGH'

    def before_train_epoch(self, runner) -> None:
        seed_everything(runner.seed, get_rank(), runner.iter, 1)  # the data loader draws a base seed

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        seed_everything(runner.seed, get_rank(), runner.iter)
