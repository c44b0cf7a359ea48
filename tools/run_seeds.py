#!/usr/bin/env python
"""Train and test a config with several seeds: mean, its interval and standard deviation of every score.

    python tools/run_seeds.py configs/xemap/xemap_small_synthetic.py --seeds 5

A difference between two models that is below the standard deviation over seeds says nothing. Run it again to go on
after an interruption.
"""

from __future__ import annotations

import sys
from pathlib import Path

from xemap.cli import make_parser, run


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument('config', help='config file, or the name of one of the project')
    parser.add_argument('--seeds', type=int, default=5, help='how many (default: 5)')
    parser.add_argument('--first', type=int, default=0, help='the first seed; the others follow it (default: 0)')
    parser.add_argument('--work-dir', help='where to write (default: work_dirs/CONFIG_NAME_seeds)')
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='override config entries: key=value'
    )
    parser.add_argument(
        '--text-control', nargs='+', default=[], metavar='CONTROL',
        help='score with broken texts, too, in the ways of tools/test.py: target-only category …',
    )  # fmt: skip
    return parser.parse_args()


def main(args) -> None:
    from xemap.engine.seeds import run_seeds, table_of_seeds

    work_dir = Path(args.work_dir or f'work_dirs/{Path(args.config).stem}_seeds')
    seeds = range(args.first, args.first + args.seeds)
    print(table_of_seeds(run_seeds(args.config, seeds, work_dir, args.cfg_options, args.text_control)))
    print(f'written to {work_dir / "seeds.json"}')


if __name__ == '__main__':
    sys.exit(run(main, parse_args()))
