"""Frozen parts whose weights a config names: checkpoints need not carry them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn

from xemap.errors import CheckpointError

LEFT_OUT = 'left_out'
"""Key of a checkpoint's ``meta``: fingerprint of each part that the file leaves out, by the part's name."""


def fingerprint(module: nn.Module) -> str:
    """Hash of a module's weights, names and values."""
    total = hashlib.blake2b(digest_size=16)
    for name, value in module.state_dict().items():
        total.update(name.encode())
        total.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return total.hexdigest()


def named_frozen_parts(model: nn.Module) -> dict[str, str]:
    """Fingerprints of the frozen parts whose weights can be loaded again by a name.

    These are weights of a hub, a package or an address. A file of this machine may be gone where the
    checkpoint is used, and a Grounding DINO checkpoint replaces what the names bring.

    Args:
        model: with weights as its config initializes them.
    """
    if getattr(model, 'grounding_dino', None):
        return {}
    parts = {name: model.get_submodule(name) for name in getattr(model, 'frozen', ())}
    return {name: fingerprint(part) for name, part in parts.items() if _comes_by_name(part)}


def restore_left_out(model: nn.Module, checkpoint: dict, path: str | Path) -> None:
    """Put weights that a checkpoint leaves out back into it, from the names in the model's config.

    Args:
        model: what the checkpoint will be loaded into; the parts get their named weights.
        checkpoint: with ``meta`` and ``state_dict``; changed in place.
        path: its file, for the message.

    Raises:
        CheckpointError: a name brings other weights than those that the checkpoint was trained with.
    """
    meta = checkpoint.get('meta')
    left_out = meta.get(LEFT_OUT, {}) if isinstance(meta, dict) else {}
    for name, expected in left_out.items():
        part = getattr(model, name, None)
        if not isinstance(part, nn.Module):
            continue  # another model, which the check of names reports
        load_named = getattr(part, 'init_weights', None)
        if fingerprint(part) != expected and callable(load_named):
            load_named()
        if fingerprint(part) != expected:
            raise CheckpointError(
                f'checkpoint {path} leaves out the frozen {name}, and the config names other weights than it was '
                f'trained with; give the name of those in model.{name}, or train with '
                'default_hooks.checkpoint.leave_out_frozen=False'
            )
        checkpoint['state_dict'].update({f'{name}.{key}': value for key, value in part.state_dict().items()})


def without(weights: dict[str, Tensor], parts: dict[str, str]) -> dict[str, Tensor]:
    """The weights that belong to none of the parts."""
    return {key: value for key, value in weights.items() if not key.startswith(tuple(f'{part}.' for part in parts))}


def _comes_by_name(part: nn.Module) -> bool:
    init = getattr(part, 'init_cfg', None)
    if getattr(part, 'pretrained', False):
        name = part.name
    elif isinstance(init, dict) and init.get('type') == 'Pretrained':
        name = init['checkpoint']
    else:
        return False
    return not Path(str(name)).expanduser().exists()
