#!/usr/bin/env python
"""Train several configs, one after another, each for the same processor time of one CPU thread.

    python tools/analysis/equal_time.py "CroBIM=configs/crobim/crobim_small_synthetic.py" \
        "LAVT=configs/lavt/lavt_small_synthetic.py" --cpu-minutes 8 --out work_dirs/equal_time

The first 25 steps of each config say how many steps it gets; its learning rate keeps the config's height, rises for a
tenth of the steps and reaches 0 with the last. Each has a folder OUT/NAME with config, checkpoint, plan.json and
training_time.json (steps, CPU seconds, peak memory). Run it again to go on after an interruption.
"""

from __future__ import annotations

import sys
from pathlib import Path

from xemap.cli import ending_cleanly, make_parser, run


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument(
        'methods', nargs='+', metavar='METHOD',
        help='[NAME=]CONFIG[:CHECKPOINT]; the training starts from the weights of the checkpoint',
    )  # fmt: skip
    parser.add_argument('--cpu-minutes', type=float, required=True, help='processor time of the steps of each training')
    parser.add_argument('--out', type=Path, required=True, help='folder; each method has one in it')
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='override entries of every config'
    )
    return parser.parse_args()


def main(args) -> None:
    from xemap.comparison import Method
    from xemap.comparison.equal_time import train_for

    for method in [Method.parse(text) for text in args.methods]:
        folder = args.out / method.name
        done = train_for(method.config, args.cpu_minutes * 60, folder, args.cfg_options, method.checkpoint)
        print(
            f'{method.name}: {done["steps"]} steps, {done["cpu_seconds"] / 60:.2f} CPU minutes, peak memory '
            f'{done["peak_memory_bytes"] / 2**30:.2f} GiB, {done["checkpoint"]}',
            flush=True,
        )


if __name__ == '__main__':
    with ending_cleanly():
        sys.exit(run(main, parse_args()))
