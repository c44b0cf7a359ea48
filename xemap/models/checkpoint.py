"""Reading weights safely, and fitting them to a model."""

from __future__ import annotations

from pathlib import Path

from mmengine.logging import print_log
from torch import Tensor, nn

from xemap.compat.checkpoint_loading import load_checkpoint_file
from xemap.errors import CheckpointError

FROM_GROUNDING_DINO = {
    'backbone.': 'backbone.',
    'neck.': 'neck.',
    'encoder.': 'encoder.',
    'text_feat_map.': 'text_feat_map.',
    'level_embed': 'level_embed',
    'language_model.language_backbone.body.model.': 'language_model.model.',
}
"""Prefixes of MMDetection's Grounding DINO that have a counterpart here -> ours."""


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Weights of a checkpoint, without executing anything in it.

    Args:
        path: ``.pth`` of MMEngine or torch (a state dict, or a dict with ``state_dict`` or ``model``), or
            ``.safetensors``.

    Returns:
        names without a leading ``module.`` -> tensors on the CPU.

    Raises:
        CheckpointError: the file is missing, truncated, needs code to be loaded, or holds no weights.
    """
    content = load_checkpoint_file(path)
    for key in ('state_dict', 'model'):
        if isinstance(content.get(key), dict):
            content = content[key]
            break
    if not any(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f'checkpoint {path} holds no weights; give a state dict or a training checkpoint')
    return {k.removeprefix('module.'): v for k, v in content.items() if isinstance(v, Tensor)}


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Fill a model from a checkpoint of the same architecture.

    Raises:
        CheckpointError: as :func:`read_state_dict`, or names or shapes differ.
    """
    state = read_state_dict(path)
    own = model.state_dict()
    missing = sorted(own.keys() - state.keys())
    extra = sorted(state.keys() - own.keys())
    misshapen = sorted(k for k in own.keys() & state.keys() if own[k].shape != state[k].shape)
    if missing or extra or misshapen:
        first = (misshapen or missing or extra)[0]
        how = (
            f'shape {tuple(state[first].shape)} for {tuple(own[first].shape)}'
            if misshapen
            else ('missing' if missing else 'unknown to the model')
        )
        fitting = len(own) - len(missing) - len(misshapen)
        raise CheckpointError(
            f"checkpoint {path} is of another architecture: {fitting} of the {type(model).__name__}'s {len(own)} "
            f'entries fit, {len(missing)} are missing, {len(misshapen)} have another shape, {len(extra)} are unknown '
            f'(first: {first}, {how}); use the config it was trained with'
        )
    model.load_state_dict(state)


def load_grounding_dino(model: nn.Module, path: str | Path) -> None:
    """Initialise backbone, neck, text projection and fusion from a (MM-)Grounding-DINO checkpoint.

    Entries without a counterpart (decoder, box head) are left out; entries of ours that the checkpoint
    lacks keep their values. The log says how many were taken.

    Raises:
        CheckpointError: nothing fits, or an entry has another shape.
    """
    own = model.state_dict()
    taken = {}
    for name, value in read_state_dict(path).items():
        for theirs, ours in FROM_GROUNDING_DINO.items():
            renamed = ours + name[len(theirs) :]
            if name.startswith(theirs) and renamed in own:
                if own[renamed].shape != value.shape:
                    raise CheckpointError(
                        f'{path}: {name} has shape {tuple(value.shape)}, the model {tuple(own[renamed].shape)}; '
                        "use a config with the checkpoint's backbone and widths"
                    )
                taken[renamed] = value
    if not taken:
        raise CheckpointError(f'{path} is no Grounding DINO checkpoint of MMDetection: none of its entries fit')
    model.load_state_dict(taken, strict=False)
    print_log(f"{path}: took {len(taken)} of the model's {len(own)} entries", logger='current')
