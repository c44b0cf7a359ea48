"""Reading weights safely, and fitting them to a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from mmengine.logging import print_log
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from xemap.compat import setup
from xemap.errors import CheckpointError
from xemap.models.frozen_weights import restore_left_out

FROM_GROUNDING_DINO = {
    'backbone.': 'backbone.',
    'neck.': 'neck.',
    'encoder.': 'encoder.',
    'text_feat_map.': 'text_feat_map.',
    'level_embed': 'level_embed',
    'language_model.language_backbone.body.model.': 'language_model.model.',
}
"""Prefixes of MMDetection's Grounding DINO that have a counterpart here -> ours."""

SHOWN_KEYS = 3


class AdaptsWeights:
    """A model, or a part of one, that adapts a checkpoint's weights or its own sizes before the two are compared."""

    def adapt_weights(self, weights: dict) -> dict:
        """The weights of a checkpoint by this model's names; for checkpoints of a part of it.

        Called for whole models only.
        """
        return weights

    def take_sizes(self, weights: Mapping[str, Any], prefix: str = '') -> None:
        """Take on sizes that come with a checkpoint.

        Args:
            weights: weights of the whole model, by name.
            prefix: prefix of this module in it.
        """


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Weights of a checkpoint, without executing anything in it.

    Args:
        path: file or address of a ``.pth`` of MMEngine or torch (a state dict, or a dict with ``state_dict``
            or ``model``), or a ``.safetensors``.

    Returns:
        names without a leading ``module.`` -> tensors on the CPU.

    Raises:
        CheckpointError: the file is missing, truncated, needs code to be loaded, or holds no weights.
    """
    return _tensors_of(_read(path), path)


def _read(path: str | Path) -> dict:
    setup()  # makes MMEngine's loader the safe one
    return CheckpointLoader.load_checkpoint(str(path), map_location='cpu')


def _tensors_of(checkpoint: dict, path: str | Path) -> dict[str, Tensor]:
    weights = weights_of(checkpoint, path)
    if not any(isinstance(value, Tensor) for value in weights.values()):
        raise CheckpointError(f'checkpoint {path} holds no weights; give a state dict or a training checkpoint')
    weights = {name: value for name, value in weights.items() if isinstance(value, Tensor)}
    require_finite(weights, path)
    return weights


def weights_of(checkpoint: dict, path: str | Path) -> dict[str, Tensor]:
    """The weights by name in a loaded checkpoint, without DDP's ``module.`` in front.

    Args:
        checkpoint: as loaded.
        path: its file, for the message.

    Raises:
        CheckpointError: a name is no string.
    """
    for key in ('state_dict', 'model'):
        if isinstance(checkpoint.get(key), dict):
            checkpoint = checkpoint[key]
            break
    for name in checkpoint:
        if not isinstance(name, str):
            raise CheckpointError(
                f'checkpoint {path} has an entry named {name!r}, a {type(name).__name__}; weights have names: save '
                "what model.state_dict() gives, torch.save({'state_dict': model.state_dict()}, path)"
            )
    return {name.removeprefix('module.'): value for name, value in checkpoint.items()}


def require_finite(weights: dict[str, Tensor], path: str | Path) -> None:
    """Refuse weights that make every answer NaN.

    Raises:
        CheckpointError: NaN or infinite values; says how many weights have them and names the first.
    """
    broken = [name for name, value in weights.items() if isinstance(value, Tensor) and not value.isfinite().all()]
    if broken:
        raise CheckpointError(
            f'checkpoint {path} has NaN or infinite values in {len(broken)} of {len(weights)} weights '
            f'({", ".join(broken[:SHOWN_KEYS])}{", …" if len(broken) > SHOWN_KEYS else ""}): its training diverged or '
            'the file is damaged; take an earlier checkpoint'
        )


def check_weights(model: nn.Module, checkpoint: dict, path: str | Path, exact: bool) -> None:
    """Compare a checkpoint's weights with a model's, by name and shape.

    Args:
        model: what they are to be loaded into.
        checkpoint: as loaded.
        path: its file, for the message.
        exact: every weight must be there and none be left over, as testing and resuming need; otherwise
            at least one must fit, as for initializing a training.

    Raises:
        CheckpointError: they do not fit; the message counts what does and names what does not.
    """
    given = weights_of(checkpoint, path)
    require_finite(given, path)
    if isinstance(model, AdaptsWeights):
        given = model.adapt_weights(given)
    for name, module in model.named_modules():
        if isinstance(module, AdaptsWeights):
            module.take_sizes(given, f'{name}.' if name else '')
    expected = model.state_dict()
    shared = expected.keys() & given.keys()
    differing = sorted(k for k in shared if expected[k].shape != getattr(given[k], 'shape', None))
    missing, unknown = sorted(expected.keys() - given.keys()), sorted(given.keys() - expected.keys())
    fitting = len(shared) - len(differing)
    if fitting == len(expected) and not unknown:
        return
    problems = [
        f'{len(keys)} {what} ({", ".join(keys[:SHOWN_KEYS])}{", …" if len(keys) > SHOWN_KEYS else ""})'
        for what, keys in (('missing', missing), ('of another shape', differing), ('unknown to the model', unknown))
        if keys
    ]
    summary = f'{fitting} of {len(expected)} weights of {type(model).__name__} match; ' + ', '.join(problems)
    if exact or not fitting:
        raise CheckpointError(
            f'checkpoint {path} is of another architecture: {summary}; '
            'use the config that it was trained with (a copy lies in its work_dir)'
        )
    print_log(f'checkpoint {path} fits in part: {summary}', logger='current', level=30)


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Fill a model from a checkpoint of the same architecture.

    Raises:
        CheckpointError: as :func:`read_state_dict`, or names or shapes differ.
    """
    checkpoint = _read(path)
    restore_left_out(model, checkpoint, path)
    state = _tensors_of(checkpoint, path)
    check_weights(model, state, path, exact=True)
    model.load_state_dict(state)


def load_grounding_dino(model: nn.Module, path: str | Path) -> None:
    """Initialize backbone, neck, text projection and fusion from a (MM-)Grounding-DINO checkpoint.

    The names may be those of MMDetection, of IDEA's repository or of transformers. Entries without a
    counterpart (decoder, box head) are left out; entries of ours that the checkpoint lacks keep their values.
    The log says how many were taken, left and missing, by part.

    Raises:
        CheckpointError: nothing fits, or an entry has another shape.
    """
    from xemap.models.grounding_dino import to_mmdet  # mmdet.models takes seconds

    weights, dialect = to_mmdet(read_state_dict(path))

    def places(name: str) -> list[str]:
        return [ours + name[len(theirs) :] for theirs, ours in FROM_GROUNDING_DINO.items() if name.startswith(theirs)]

    take_weights(model, weights, places, f'{path}, with the names of {dialect}', 'Grounding DINO checkpoint', 'current')


def _summary(names: list[str]) -> str:
    """How many, and of which parts: '12 (decoder 10, bbox_head 2)'."""
    parts = Counter(name.partition('.')[0] for name in names)
    return f'{len(names)} ({", ".join(f"{part} {count}" for part, count in parts.items())})' if names else '0'


def take_weights(
    model: nn.Module,
    weights: Mapping[str, Tensor],
    places: Callable[[str], Iterable[str]],
    source: str,
    kind: str,
    logger: str | None = None,
) -> dict[str, list[str]]:
    """Fill a part of a model from weights of other names, and print what was taken, left and missing, by part.

    Args:
        model: whose entries without a counterpart keep their values.
        weights: tensors by their own names, with or without ``module.`` in front.
        places: the model's names for one of theirs; names that the model does not have are passed over.
        source: where they come from, for messages.
        kind: what they should be, for messages.
        logger: where the message goes, as in :func:`mmengine.logging.print_log`; None = printed.

    Returns:
        names: ``taken`` and ``missing`` of the model, ``left`` of the weights.

    Raises:
        CheckpointError: nothing fits, or a tensor has another shape.
    """
    state = model.state_dict()
    taken: dict[str, Tensor] = {}
    left = []
    for name, value in weights.items():
        fitting = [place for place in places(name.removeprefix('module.')) if place in state]
        for place in fitting:
            if state[place].shape != value.shape:
                raise CheckpointError(
                    f'{source}: {name} has shape {tuple(value.shape)}, the model {tuple(state[place].shape)} '
                    f'({place}); use a config with the same widths'
                )
            taken[place] = value
        if not fitting:
            left.append(name)
    if not taken:
        raise CheckpointError(f'{source} is no {kind}: none of its {len(left)} entries fits {type(model).__name__}')
    model.load_state_dict(taken, strict=False)
    missing = [name for name in state if name not in taken and not name.endswith('num_batches_tracked')]
    print_log(
        f"{source}: took {len(taken)} of the model's {len(state)} entries; left {_summary(left)} of the checkpoint's; "
        f'missing there {_summary(missing)}',
        logger=logger,
    )
    return {'taken': list(taken), 'left': left, 'missing': missing}
