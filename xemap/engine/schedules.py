"""Learning rates that fit the run: schedules of a resumed run, and none that ends at 0 too early."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from typing import Any

from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner

from xemap.errors import ConfigError

FROM_CONFIG = ('begin', 'end', 'T_max', 'total_iters')
"""State of mmengine's schedulers that follows from the config and from the number of steps per epoch."""


def flat(schedulers: list | dict) -> Iterator[Any]:
    """Schedulers, or their states, one by one; mmengine keeps a list, or a list for each of several optimizers."""
    for part in schedulers.values() if isinstance(schedulers, dict) else [schedulers]:
        yield from part


def same_course(schedulers: list | dict, states: list[dict]) -> bool:
    """Whether schedulers run from where to where those of a checkpoint did.

    Args:
        schedulers: the schedulers of this run.
        states: those of the checkpoint, one by one.
    """
    now = list(flat(schedulers))
    return len(now) == len(states) and all(
        getattr(scheduler, key, None) == state.get(key) for scheduler, state in zip(now, states) for key in FROM_CONFIG
    )


def replay_schedules(runner: Runner, steps: int) -> None:
    """Bring rates to where they stand in a run of this config and this number of steps per epoch.

    Schedulers compute a rate from the one before, so a state that was written for another course ends
    elsewhere. They are built anew and stepped through what was trained. A scheduler that follows a
    metric cannot be; then all keep the checkpoint's state.

    Args:
        runner: with optimizer and loop as resumed; gets new schedulers.
        steps: per epoch.
    """
    if any(getattr(scheduler, 'need_val_args', False) for scheduler in flat(runner.param_schedulers)):
        return
    wrapper = runner.optim_wrapper
    for part in wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]:
        for group in part.param_groups:
            for key in [key for key in group if key.startswith('initial_')]:
                group[key.removeprefix('initial_')] = group[key]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # that no optimizer step lies between
        runner.param_schedulers = runner.build_param_scheduler(copy.deepcopy(runner.cfg.param_scheduler))
        schedulers = list(flat(runner.param_schedulers))
        for iteration in range(1, runner.iter + 1):
            for scheduler in schedulers:
                if not scheduler.by_epoch:
                    scheduler.step()
            if iteration % steps == 0:
                for scheduler in schedulers:
                    if scheduler.by_epoch:
                        scheduler.step()


def starting(schedulers: Any, max_epochs: int, max_iters: int) -> Any:
    """Configs of schedules without those that end with the run and would begin when it is over.

    Such is the decay after the warm-up in a run that is as short as the warm-up.

    Args:
        schedulers: a list of configs; anything else is given back as it is.
        max_epochs, max_iters: length of the run.
    """
    if not isinstance(schedulers, (list, tuple)):
        return schedulers
    return [
        part
        for part in schedulers
        if not isinstance(part, dict)
        or part.get('end') is not None
        or part.get('begin', 0) < (max_epochs if part.get('by_epoch', True) else max_iters)
    ]


def refuse_early_zero(schedulers: list | dict, max_epochs: int, max_iters: int) -> None:
    """Refuse a learning rate that is 0 from some point before the end of the run.

    Args:
        schedulers: as built.
        max_epochs, max_iters: length of the run.

    Raises:
        ConfigError: a schedule ends at 0 before the run ends, or leaves 0 for the whole last epoch.
    """
    rates = [scheduler for scheduler in flat(schedulers) if scheduler.param_name == 'lr']
    lengths = [max_epochs if scheduler.by_epoch else max_iters for scheduler in rates]
    begins = [scheduler.begin / length for scheduler, length in zip(rates, lengths)]
    for scheduler, length in zip(rates, lengths):
        unit = 'epoch' if scheduler.by_epoch else 'iteration'
        at_zero = getattr(scheduler, 'eta_min', None) == 0 or getattr(scheduler, 'end_factor', None) == 0
        period = getattr(scheduler, 'T_max', None)
        if period is not None:  # a cosine rises again after it
            at_zero &= abs((scheduler.end - scheduler.begin) % (2 * period) - period) <= 1
        later = any(begin >= scheduler.end / length for begin in begins)  # another schedule takes over
        if at_zero and not later and scheduler.end < length:
            raise ConfigError(
                f'param_scheduler: {type(scheduler).__name__} brings the learning rate to 0 at {unit} {scheduler.end}, '
                f'and the run has {length}; leave out its "end" (it then ends with the run) or raise it'
            )
        # mmengine's linear and polynomial decay are at their end one step early: here, for all of the last epoch.
        if at_zero and scheduler.by_epoch and scheduler.end == length and getattr(scheduler, 'total_iters', 0) > 0:
            raise ConfigError(
                f'param_scheduler: {type(scheduler).__name__} changes the learning rate once per epoch and leaves '
                f'0 for the last of {length}; add convert_to_iter_based=True, or an end value above 0'
            )
