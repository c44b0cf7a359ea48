"""mmengine's Runner with what it lacks for us."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from mmengine.evaluator import Evaluator
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmengine.runner.checkpoint import _load_checkpoint, _load_checkpoint_to_model
from torch import nn

from xemap.datasets.epochs import with_epochs
from xemap.engine.loops import EpochBasedTrainLoop
from xemap.engine.schedules import FROM_CONFIG, flat, refuse_early_zero, replay_schedules, same_course, starting
from xemap.errors import CheckpointError, ConfigError, XeMapError
from xemap.evaluation import QueryEvaluator
from xemap.models.checkpoint import check_weights
from xemap.models.frozen_weights import named_frozen_parts, restore_left_out
from xemap.registry import BY_NAME, suggestion, unknown_type

_NO_TYPE = re.compile(r'^(?P<name>\S+) is not in the (?P<scope>\w+)::(?P<registry>[\w ]+) registry')

_TYPELESS = re.compile(r'must contain the key "type", but got (\{.*\})')
_CLIP_KEYS = {'type', 'max_norm', 'norm_type', 'error_if_nonfinite', 'foreach', 'clip_value'}


@contextmanager
def config_errors(part: str) -> Iterator[None]:
    """Report what building a part of the config fails on as :class:`ConfigError`.

    Args:
        part: name of the part, for the message.
    """
    try:
        yield
    except XeMapError:
        raise
    except KeyError as error:
        text = str(error.args[0]) if error.args else ''
        if match := _NO_TYPE.match(text):
            raise unknown_type(match['name'], match['registry'], part) from error
        if match := _TYPELESS.search(text):
            raise ConfigError(f'{part}: {match[1]} has no "type"; correct its spelling') from error
        raise ConfigError(f'{part}: there is no key "{text}"; correct its spelling or add it') from error
    except (TypeError, ValueError, AssertionError) as error:  # a wrong key or value; --debug shows where
        raise ConfigError(f'{part}: {error}; correct the key or its value in the config or in --cfg-options') from error


def complete_dataloader(dataloader: dict) -> dict:
    """A copy with what mmengine and torch require; a ``batch_sampler`` decides without them."""
    dataloader = dict(dataloader)
    if dataloader.get('batch_sampler'):
        dataloader.setdefault('sampler', dict(type='DefaultSampler', shuffle=True))
        dataloader.setdefault('batch_size', 1)
    if not dataloader.get('num_workers'):
        dataloader['persistent_workers'] = False  # torch refuses it without workers
    return dataloader


class XeMapRunner(Runner):
    """Trains and tests.

    Differences from :class:`mmengine.runner.Runner`: a checkpoint of another architecture is refused
    instead of leaving random weights; learning rates scale with (image, query) pairs; the schedule of a
    resumed run is that of its config; a misspelled config is reported as
    :class:`~xemap.errors.ConfigError`.
    """

    named_parts: dict[str, str] = {}
    """Fingerprints of frozen parts as their names in the config bring them."""

    _exact_weights = False
    _resumed: dict | None = None  # what the loop and the schedules need of the checkpoint to go on from
    _resuming = False

    def resume(self, filename: str, *args, **kwargs) -> None:
        self._exact_weights = self._resuming = True
        super().resume(filename, *args, **kwargs)
        assert self._resumed is not None
        loop, states = self.train_loop, self._resumed['states']
        same = loop.resume(self._resumed['meta']) if isinstance(loop, EpochBasedTrainLoop) else True
        if self.param_schedulers and not (same and same_course(self.param_schedulers, states)):
            replay_schedules(self, len(self.train_dataloader))

    def val(self) -> dict:
        self._exact_weights = True
        return super().val()

    def test(self) -> dict:
        self._exact_weights = True
        return super().test()

    def set_randomness(self, seed, diff_rank_seed: bool = False, deterministic: bool = False) -> None:
        """As in mmengine; where CUDA has no deterministic algorithm (grid_sample's backward), warn and go on."""
        if deterministic:
            os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')  # cuBLAS refuses to work without
        super().set_randomness(seed, diff_rank_seed, deterministic)
        if deterministic:
            torch.use_deterministic_algorithms(True, warn_only=True)

    def load_checkpoint(
        self,
        filename: str,
        map_location: str | Callable = 'cpu',
        strict: bool = False,
        revise_keys: list = [(r'^module\.', '')],  # noqa: B006  (the parent's signature)
    ) -> dict:
        """Load weights; testing and resuming need all of them, initializing a training at least some.

        Raises:
            CheckpointError: the file cannot be read, or is of another architecture.
        """
        try:
            checkpoint = _load_checkpoint(filename, map_location=map_location)
        except KeyError as error:  # of MMEngine's table of names
            raise CheckpointError(f'checkpoint {filename}: {error} is no known name; give a path') from error
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        model: nn.Module = self.model.module if is_model_wrapper(self.model) else self.model
        restore_left_out(model, checkpoint, filename)
        check_weights(model, checkpoint, filename, strict or self._exact_weights)
        _load_checkpoint_to_model(model, checkpoint, strict, revise_keys=revise_keys)
        if self._resuming:
            self._require_training_state(checkpoint, filename)
            self._require_same_seed(checkpoint['meta'], filename)
            states = flat(checkpoint.get('param_schedulers', []))
            self._resumed = {'meta': dict(checkpoint['meta']), 'states': [dict(state) for state in states]}
            # The parent runs this text as Python, for a key (gpu_ids) that MMEngine 0.10 does not write.
            checkpoint['meta'].pop('config', None)
            for state in flat(checkpoint.get('param_schedulers', [])):  # a copy is compared with this run's
                for key in set(FROM_CONFIG) & state.keys():
                    del state[key]
        self._has_loaded = True
        self.logger.info(f'loaded the checkpoint {filename}')
        return checkpoint

    def _init_model_weights(self) -> None:
        super()._init_model_weights()
        model = self.model.module if is_model_wrapper(self.model) else self.model
        self.named_parts = named_frozen_parts(model)

    def save_checkpoint(self, out_dir, filename, *args, meta: dict | None = None, by_epoch: bool = True, **kwargs):
        """As in mmengine; keeps how much of the epoch is done as well."""
        loop = self.train_loop
        progress = loop.progress(by_epoch) if isinstance(loop, EpochBasedTrainLoop) else {}
        super().save_checkpoint(
            out_dir, filename, *args, meta={**(meta or {}), **progress}, by_epoch=by_epoch, **kwargs
        )

    @staticmethod
    def _require_training_state(checkpoint: dict, filename: str) -> None:
        missing = sorted({'meta', 'optimizer', 'message_hub'} - checkpoint.keys())
        if missing:
            raise CheckpointError(
                f'checkpoint {filename} cannot be resumed: it has no {", ".join(missing)}; resume from epoch_N.pth '
                '(best_*.pth holds weights only), or start a training from it with --cfg-options load_from=…'
            )

    def _require_same_seed(self, meta: dict, filename: str) -> None:
        configured, saved = self._randomness_cfg.get('seed'), meta.get('seed')
        if configured is not None and saved is not None and configured != saved:
            raise ConfigError(
                f'checkpoint {filename} was written with seed {saved}, this run has {configured}; resume with '
                f'--seed {saved}, or start a training from it with --cfg-options load_from=…'
            )

    def scale_lr(self, optim_wrapper, auto_scale_lr: dict | None = None) -> None:
        """Scale learning rates by pairs per step over ``auto_scale_lr['base_batch_size']`` pairs.

        Raises:
            ConfigError: the config does not say how many pairs per step has.
        """
        if not auto_scale_lr or not auto_scale_lr.get('enable', False):
            return
        pairs = self.pairs_per_step(optim_wrapper)
        base = auto_scale_lr['base_batch_size']
        self.logger.info(f'{pairs} pairs per step, learning rates are for {base}: scaled by {pairs / base:g}')
        for group in optim_wrapper.optimizer.param_groups:
            group['lr'] *= pairs / base

    def pairs_per_step(self, optim_wrapper) -> int:
        """(image, query) pairs per optimizer step, over all ranks and accumulated batches."""
        loader = self.cfg.train_dataloader
        pairs = (loader.get('batch_sampler') or {}).get('pairs_per_batch')
        queries = loader.dataset.get('max_queries')
        if pairs is None and queries is not None:
            pairs = loader.batch_size * queries
        if pairs is None:
            raise ConfigError(
                'auto_scale_lr: pairs per step are unknown; set train_dataloader.batch_sampler.pairs_per_batch '
                'or train_dataloader.dataset.max_queries'
            )
        return pairs * self.world_size * getattr(optim_wrapper, '_accumulative_counts', 1)

    @staticmethod
    def build_dataloader(dataloader, seed: int | None = None, diff_rank_seed: bool = False):
        """As in mmengine; with a ``batch_sampler``, ``sampler`` and ``batch_size`` may be left out."""
        if isinstance(dataloader, dict):
            dataloader = complete_dataloader(dataloader)
        return Runner.build_dataloader(dataloader, seed, diff_rank_seed)

    def build_model(self, model):
        with config_errors('model'):
            return super().build_model(model)

    def build_train_loop(self, loop):
        with config_errors('train_cfg or train_dataloader'):
            if isinstance(self._train_dataloader, dict):
                self._train_dataloader = with_epochs(complete_dataloader(self._train_dataloader))
            return super().build_train_loop(loop)

    def build_val_loop(self, loop):
        with config_errors('val_cfg, val_dataloader or val_evaluator'):
            return super().build_val_loop(loop)

    def build_test_loop(self, loop):
        with config_errors('test_cfg, test_dataloader or test_evaluator'):
            return super().build_test_loop(loop)

    def build_evaluator(self, evaluator):
        """As in mmengine; several metrics share one table of queries, see :class:`QueryEvaluator`."""
        if isinstance(evaluator, Evaluator) or (isinstance(evaluator, dict) and 'metrics' in evaluator):
            return super().build_evaluator(evaluator)
        return QueryEvaluator(evaluator)

    def build_optim_wrapper(self, optim_wrapper):
        if isinstance(optim_wrapper, dict):
            for key in optim_wrapper.get('clip_grad') or {}:  # otherwise used for the first time in a step
                if key not in _CLIP_KEYS:
                    raise ConfigError(f'optim_wrapper.clip_grad: unknown key "{key}"; {suggestion(key, _CLIP_KEYS)}')
            optim_wrapper.setdefault('constructor', 'TrainableParamsConstructor')
            kind = optim_wrapper.get('optimizer', {}).get('type')
            if isinstance(kind, str) and BY_NAME['optimizer'].get(kind) is None:
                raise unknown_type(kind, 'optimizer', 'optim_wrapper.optimizer')
        with config_errors('optim_wrapper'):
            return super().build_optim_wrapper(optim_wrapper)

    def build_param_scheduler(self, scheduler):
        with config_errors('param_scheduler'):
            built = super().build_param_scheduler(starting(scheduler, self.max_epochs, self.max_iters))
            refuse_early_zero(built, self.max_epochs, self.max_iters)
            return built

    def build_visualizer(self, visualizer=None):
        with config_errors('visualizer'):
            return super().build_visualizer(visualizer)

    def _check_scheduler_cfg(self, param_scheduler) -> None:
        with config_errors('param_scheduler'):
            super()._check_scheduler_cfg(param_scheduler)

    def build_log_processor(self, log_processor):
        with config_errors('log_processor'):
            return super().build_log_processor(log_processor)

    def register_default_hooks(self, hooks: dict | None = None) -> None:
        """As in mmengine; None takes any of them out, not only mmengine's own."""
        defaults = {'runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint'}
        super().register_default_hooks(
            {n: hook for n, hook in (hooks or {}).items() if hook is not None or n in defaults}
        )

    def register_hook(self, hook, priority=None) -> None:
        with config_errors('default_hooks or custom_hooks'):
            super().register_hook(hook, priority)
