#!/usr/bin/env python
"""Score a model on the test set of its config.

    python tools/test.py CONFIG work_dirs/RUN/best_rmi_epoch_25.pth
    python tools/test.py CONFIG CHECKPOINT --show-dir pictures --protocol paper
    python tools/test.py CONFIG none          (the model before training)

Prints the SeLo metrics as a table; one row a query goes to OUT.queries.csv, the summary to
OUT.summary.json.
"""

from __future__ import annotations

import os
import sys

from xemap.cli import make_parser, run


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file; "none" scores the untrained model')
    parser.add_argument('--work-dir', help='where to write logs (default: work_dirs/CONFIG_NAME)')
    parser.add_argument('--out', help='prefix of the result files (default: WORK_DIR/test)')
    parser.add_argument('--show-dir', help='draw every query: image | target | prediction')
    parser.add_argument('--protocol', choices=['reference', 'paper'], help="of the metrics (default: the config's)")
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
        help='override config entries: key=value, a.b=1, key="[1,2]", list.0.key=value',
    )  # fmt: skip
    parser.add_argument('--seed', type=int, help="random seed, of an untrained model (default: the config's)")
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='job launcher')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by old launchers')
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def main(args) -> None:
    from xemap.engine import evaluate_model, load_config

    cfg = load_config(args.config, args.cfg_options)
    evaluate_model(
        cfg,
        None if args.checkpoint == 'none' else args.checkpoint,
        args.work_dir,
        out=args.out,
        show_dir=args.show_dir,
        protocol=args.protocol,
        launcher=args.launcher,
        seed=args.seed,
    )


if __name__ == '__main__':
    sys.exit(run(main, parse_args()))
