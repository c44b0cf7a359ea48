"""How far two trainings are apart."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xemap.cli import ending_cleanly, make_parser, run
from xemap.compat import setup
from xemap.compat.checkpoint_loading import load_checkpoint_file
from xemap.files import write_json


def difference(one: dict[str, Tensor], other: dict[str, Tensor], start: dict[str, Tensor]) -> dict[str, Any]:
    """Compare the weights of two trainings.

    Args:
        one, other: weights by name, of the same names and shapes.
        start: weights that both had before.

    Returns:
        ``equal``: bit for bit; ``largest``: largest difference of a weight; ``relative``: norm of the difference over
        that of the way from ``start`` to ``one``, 0 where nothing moved and nothing differs.
    """

    def flat(weights: dict[str, Tensor]) -> Tensor:
        return torch.cat([weights[name].double().flatten() for name in sorted(one)])

    apart, moved = flat(other) - flat(one), float((flat(one) - flat(start)).norm())
    return {
        'equal': all(torch.equal(weight, other[name]) for name, weight in one.items()),
        'largest': float(apart.abs().max()),
        'relative': float(apart.norm()) / moved if moved else float(apart.norm()),
    }


def main(args) -> None:
    setup()  # a run's checkpoint holds objects of mmengine
    one, other, start = (load_checkpoint_file(path)['state_dict'] for path in (args.one, args.other, args.start))
    result = difference(one, other, start)
    write_json(args.out, result)
    print(result)


if __name__ == '__main__':
    parser = make_parser(__doc__)
    for name in ('one', 'other', 'start', 'out'):
        parser.add_argument(name, type=Path)
    with ending_cleanly():
        sys.exit(run(main, parser.parse_args()))
